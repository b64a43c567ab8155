package api

// VM is a sandbox for one command, which is made and started by hand. It lives until that
// command has ended, it is deleted, or its time is over. Its states are those of a
// workspace: created before its first start.
type VM struct {
	VMID               string            `json:"vm_id"`
	Environment        string            `json:"environment"`
	EnvironmentVersion *string           `json:"environment_version"`
	VCPUCount          int               `json:"vcpu_count"`
	MemMiB             int               `json:"mem_mib"`
	TTLSeconds         int               `json:"ttl_seconds"`
	CreatedAt          Timestamp         `json:"created_at"`
	ExpiresAt          *Timestamp        `json:"expires_at"` // null: never
	State              State             `json:"state"`
	Reason             *string           `json:"reason"` // why it is stopped
	NetworkEnabled     bool              `json:"network_enabled"`
	AllowHostCompat    bool              `json:"allow_host_compat"`
	GuestIP            *string           `json:"guest_ip"`
	TapName            *string           `json:"tap_name"`
	ExecutionMode      ExecutionMode     `json:"execution_mode"`
	Engine             string            `json:"engine"` // empty before the first start
	Isolation          string            `json:"isolation"`
	Metadata           map[string]string `json:"metadata"`
}

// VMNetwork says what network a VM has.
type VMNetwork struct {
	VMID                         string `json:"vm_id"`
	NetworkEnabled               bool   `json:"network_enabled"`
	OutboundConnectivityExpected bool   `json:"outbound_connectivity_expected"`
	Reason                       string `json:"reason"` // why there is none
}

// VMReap names the VMs whose time was over and that are gone now.
type VMReap struct {
	DeletedVMIDs []string `json:"deleted_vm_ids"`
	Count        int      `json:"count"`
}

// RunRequest asks for one command in a workspace of its own, which is deleted when the
// command has ended.
type RunRequest struct {
	Workspace CreateRequest `json:"workspace"`
	Exec      ExecRequest   `json:"exec"`
}

// EnvironmentList is the root file systems that a machine has.
type EnvironmentList struct {
	CatalogVersion string        `json:"catalog_version"`
	Environments   []Environment `json:"environments"`
}

// Environment is a root file system that sandboxes can begin with.
type Environment struct {
	Name                string   `json:"name"`
	Version             string   `json:"version"`
	Description         string   `json:"description"`
	DefaultPackages     []string `json:"default_packages"`
	Distribution        string   `json:"distribution"`
	DistributionVersion string   `json:"distribution_version"`
	Platform            string   `json:"platform"` // as Doctor.Platform
	OCIRegistry         *string  `json:"oci_registry"`
	OCIRepository       *string  `json:"oci_repository"`
	OCIReference        *string  `json:"oci_reference"`
	SourceDigest        *string  `json:"source_digest"`
	Compatibility       string   `json:"compatibility"`
	CatalogVersion      string   `json:"catalog_version"`
	Installed           bool     `json:"installed"`
	CacheDir            string   `json:"cache_dir"`
	InstallDir          string   `json:"install_dir"`
}
