package api

// Version says which pyro this is, and which programs it runs sandboxes with.
type Version struct {
	Version  string           `json:"version"`  // semver.org
	Go       string           `json:"go"`       // the toolchain that built it
	Platform string           `json:"platform"` // GOOS/GOARCH
	GVisor   *string          `json:"gvisor"`   // version of the module gvisor.dev/gvisor; null when pyro-runsc was not found
	Programs []ProgramVersion `json:"programs"` // by name
}

// ProgramVersion is one of the programs that pyro starts.
type ProgramVersion struct {
	Name    string  `json:"name"`
	Version *string `json:"version"` // null when it is unknown
	Carried bool    `json:"carried"` // inside the file pyro, and unpacked when it is needed
	Path    *string `json:"path"`    // where it was found; null for one that is carried or was not found
	Why     *string `json:"why"`     // why it cannot be said which version it is
}
