package api

// Warmth says whether an environment was tried on this machine as it is now.
type Warmth string

// The states of an environment.
const (
	Cold  Warmth = "cold"  // it was never tried here
	Warm  Warmth = "warm"  // it was, and nothing that counts has changed since
	Stale Warmth = "stale" // it was, with another pyro, kernel or set of programs
)

// EnvironmentState is what is known of an environment before it is used.
type EnvironmentState struct {
	Name       string     `json:"name"`
	State      Warmth     `json:"state"`
	Reason     *string    `json:"reason"`      // why it is not warm
	PreparedAt *Timestamp `json:"prepared_at"` // when it was tried last; null: never
}

// PrepareRequest asks for an environment to be tried. Zero values try it where there is a
// reason to.
type PrepareRequest struct {
	Environment     string `json:"environment"`
	Force           bool   `json:"force,omitempty"`   // also where nothing has changed since the last time
	Network         bool   `json:"network,omitempty"` // with a network
	AllowHostCompat bool   `json:"allow_host_compat,omitempty"`
}

// Prepare is what came of trying an environment.
type Prepare struct {
	Environment string        `json:"environment"`
	State       Warmth        `json:"state"` // now: always Warm, as what fails is an error
	StateBefore Warmth        `json:"state_before"`
	Executed    bool          `json:"executed"`    // false: it was warm already, and nothing was done
	Reason      *string       `json:"reason"`      // why it was done; null where it was not
	PreparedAt  Timestamp     `json:"prepared_at"` // by this call, or by an earlier one
	Engine      string        `json:"engine"`      // what ran it
	DurationMS  int64         `json:"duration_ms"` // of all steps
	Steps       []PrepareStep `json:"steps"`       // in their order; those of the earlier call where nothing was done
}

// PrepareStep is one thing that was tried.
type PrepareStep struct {
	Name       string `json:"name"` // create, exec, reset, delete
	DurationMS int64  `json:"duration_ms"`
}
