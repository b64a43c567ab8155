package api

// Config is the configuration of a machine: what is in force for its user, and from
// where. A flag of a command goes before all of it.
type Config struct {
	Path     *string   `json:"path"`   // where the file is looked for; null: no place is known
	Exists   bool      `json:"exists"` // there is one
	Settings []Setting `json:"settings"`
}

// Setting is one thing that can be configured.
type Setting struct {
	Key         string `json:"key"`   // in the file; for a directory, which the file does not hold, its variable says it all
	Value       string `json:"value"` // as a variable would hold it
	Source      string `json:"source"`
	Variable    string `json:"variable"`
	Default     string `json:"default"`
	Allowed     string `json:"allowed"` // the values that are taken, in words
	Description string `json:"description"`
}

// Where the value of a Setting comes from.
const (
	SourceDefault     = "default"
	SourceFile        = "file"
	SourceEnvironment = "environment"
)
