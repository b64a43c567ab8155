package mcpserver

import "slices"

// The tools of the profiles, in the order of the contract. They are made when a server
// is: no other command of pyro pays for their schemas.

func runTools() []tool { return nil }

func coreTools() []tool {
	return slices.Concat([]tool{createCore(), execCore(), execWait()}, workspaceTools())
}

func fullTools() []tool {
	return slices.Concat([]tool{createFull(), execFull(), execWait()}, workspaceTools())
}
