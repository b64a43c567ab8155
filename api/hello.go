package api

// Hello is how a supervisor introduces itself on its socket. A client uses a
// capability only where it is named; unknown fields and names are ignored.
type Hello struct {
	Version      string   `json:"version"`
	API          int      `json:"api"` // APIVersion of the side that speaks
	Capabilities []string `json:"capabilities"`
}

// APIVersion counts incompatible changes of the HTTP API.
const APIVersion = 1

// Frames is the name of the streaming protocol in HTTP's Upgrade header. The
// frames are those of the guest agent, see docs/protocol.md.
const Frames = "pyro-frames/1"
