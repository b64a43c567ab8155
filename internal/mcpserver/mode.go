package mcpserver

// mode is a profile for one job: its tools, how the job goes, and what the tools are for
// in it.
type mode struct {
	tools        []string
	instructions string
	says         map[string]string // descriptions in place of the usual ones
}

// modes are all of them by name.
var modes = map[string]mode{}
