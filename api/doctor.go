package api

// Doctor is what was found out about this machine. It is an answer, not a verdict:
// a machine that can run nothing has a Doctor too.
type Doctor struct {
	Platform   string           `json:"platform"`   // GOOS-GOARCH in the words of uname: linux-x86_64
	RuntimeOK  bool             `json:"runtime_ok"` // at least one isolating engine runs here
	Issues     []string         `json:"issues"`     // each a sentence with its next step; empty where all is well
	KVM        DoctorKVM        `json:"kvm"`
	Networking DoctorNetworking `json:"networking"`
	Runtime    *DoctorRuntime   `json:"runtime"` // null where no engine runs
	Engines    []DoctorEngine   `json:"engines"` // in order of preference
	Checks     []DoctorCheck    `json:"checks"`  // all that was looked at
	Fixed      []string         `json:"fixed"`   // what this call has put right, where it was asked to

	// Environment is the one that was asked about; null: none was.
	Environment *EnvironmentState `json:"environment"`
}

// DoctorCheck is one thing that was looked at.
type DoctorCheck struct {
	Name     string      `json:"name"`
	Result   CheckResult `json:"result"`
	Reason   string      `json:"reason"`    // what was found, never empty
	NextStep *string     `json:"next_step"` // what to do about it; null where nothing is to be done
}

// CheckResult is how a check came out.
type CheckResult string

// The results of a check.
const (
	CheckOK   CheckResult = "ok"
	CheckWarn CheckResult = "warn" // it works, but less well than it could, or not for long
	CheckFail CheckResult = "fail" // what needs it does not work
	CheckSkip CheckResult = "skip" // something else has to be put right first
)

// DoctorRequest is what doctor is asked for.
type DoctorRequest struct {
	Environment string // looks whether this one can be used, too; empty: none
	Fix         bool   // frees what was left over
}

// DoctorKVM is the state of /dev/kvm for the calling user.
type DoctorKVM struct {
	Exists   bool `json:"exists"`
	Readable bool `json:"readable"`
	Writable bool `json:"writable"`
}

// DoctorNetworking says what a network for guests could be built from.
type DoctorNetworking struct {
	EnabledByDefault bool    `json:"enabled_by_default"`
	TunAvailable     bool    `json:"tun_available"`
	IPBinary         *string `json:"ip_binary"`
	NftBinary        *string `json:"nft_binary"`
	IptablesBinary   *string `json:"iptables_binary"`
	IPForwardEnabled bool    `json:"ip_forward_enabled"`
}

// DoctorRuntime is the installation that was found: where its parts lie, and what
// they can do. A path is null where the engines here need no such part.
type DoctorRuntime struct {
	BundleRoot        string             `json:"bundle_root"`
	ManifestPath      *string            `json:"manifest_path"`
	FirecrackerBin    *string            `json:"firecracker_bin"`
	JailerBin         *string            `json:"jailer_bin"`
	GuestAgentPath    *string            `json:"guest_agent_path"`
	GuestInitPath     *string            `json:"guest_init_path"`
	ArtifactsDir      *string            `json:"artifacts_dir"`
	ArtifactsPresent  bool               `json:"artifacts_present"`
	NoticePath        *string            `json:"notice_path"`
	BundleVersion     string             `json:"bundle_version"`
	ComponentVersions map[string]string  `json:"component_versions"`
	Capabilities      DoctorCapabilities `json:"capabilities"`
	CatalogVersion    string             `json:"catalog_version"`
	CacheDir          string             `json:"cache_dir"`
}

// DoctorCapabilities says what sandboxes can do on this machine.
type DoctorCapabilities struct {
	SupportsVMBoot       bool    `json:"supports_vm_boot"`
	SupportsGuestExec    bool    `json:"supports_guest_exec"`
	SupportsGuestNetwork bool    `json:"supports_guest_network"`
	Reason               *string `json:"reason"` // why not all of them
}

// DoctorEngine is one engine on this machine.
type DoctorEngine struct {
	Name      string `json:"name"`
	Available bool   `json:"available"`
	Isolation string `json:"isolation"` // sentry, microvm or none

	// NeedsConsent says that it is used for no call that does not ask for it: it
	// isolates nothing.
	NeedsConsent bool `json:"needs_consent"`

	Why     *string  `json:"why"`     // the step that failed; null where available
	Hint    *string  `json:"hint"`    // what to do about it
	Weakens []string `json:"weakens"` // what is weaker here than it could be, each a sentence
}
