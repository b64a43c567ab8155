package api

// Demo is what came of a demonstration.
type Demo struct {
	WorkspaceID string     `json:"workspace_id"`
	OK          bool       `json:"ok"` // every step came out as it should
	DurationMS  int64      `json:"duration_ms"`
	Steps       []DemoStep `json:"steps"`
}

// DemoStep is one command of a demonstration and what came of it.
type DemoStep struct {
	Title      string `json:"title"`
	Command    string `json:"command"`   // what to type for it
	ExitCode   int    `json:"exit_code"` // of that command
	Output     string `json:"output"`    // its lines that tell something
	DurationMS int64  `json:"duration_ms"`
}
