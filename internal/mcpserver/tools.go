package mcpserver

import "slices"

// The tools of the profiles, in the order of the contract. They are made when a server
// is: no other command of pyro pays for their schemas.

func runTools() []tool { return []tool{runTool()} }

func coreTools() []tool {
	return []tool{
		createCore(), listTool(), updateTool(), execCore(), execWait(), pushTool(), statusTool(), summaryTool(), logsTool(),
		exportTool(), diffTool(), fileListTool(), fileReadTool(), fileWriteTool(), patchTool(), resetTool(), deleteTool(),
	}
}

func fullTools() []tool {
	return slices.Concat(vmTools(), []tool{
		createFull(), listTool(), updateTool(), execFull(), execWait(), pushTool(), statusTool(), summaryTool(), stopTool(), startTool(), logsTool(),
		exportTool(), diffTool(), fileListTool(), fileReadTool(), fileWriteTool(), patchTool(),
	}, diskTools(), snapshotTools(), []tool{resetTool()}, shellTools(), serviceTools(), []tool{deleteTool()})
}
