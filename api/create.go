package api

import (
	"errors"
	"fmt"
)

// Defaults and limits of a workspace. All are inclusive.
const (
	DefaultVCPUCount = 1
	MinVCPUCount     = 1
	MaxVCPUCount     = 8

	DefaultMemMiB = 1024
	MinMemMiB     = 256
	MaxMemMiB     = 32768

	DefaultDiskMiB = 10240
	MinDiskMiB     = 64
	MaxDiskMiB     = 1 << 20

	DefaultTTLSeconds = 600
	MinTTLSeconds     = 60
	MaxTTLSeconds     = 3600

	DefaultTimeoutSeconds = 30
)

// maxSeconds is a hundred years: times beyond it mean nothing, and far below it
// nothing overflows.
const maxSeconds = 100 * 365 * 24 * 60 * 60

// maxEnvironment is the longest name of an environment, in bytes.
const maxEnvironment = 1024

// Network policies.
const (
	NetworkOff                  = "off"
	NetworkEgress               = "egress"
	NetworkEgressPublishedPorts = "egress+published-ports"
)

// CreateRequest asks for a workspace. Zero values mean the defaults.
type CreateRequest struct {
	Environment     string            `json:"environment"`
	VCPUCount       int               `json:"vcpu_count,omitempty"`
	MemMiB          int               `json:"mem_mib,omitempty"`
	DiskMiB         int               `json:"disk_mib,omitempty"`
	TTLSeconds      int               `json:"ttl_seconds,omitempty"`
	NetworkPolicy   string            `json:"network_policy,omitempty"`
	AllowHostCompat bool              `json:"allow_host_compat,omitempty"`
	Name            string            `json:"name,omitempty"`
	Labels          map[string]string `json:"labels,omitempty"`

	// IdleSeconds stops the workspace, with its disk saved, when nothing was done in
	// it for so long; 0 means never.
	IdleSeconds int `json:"idle_seconds,omitempty"`

	// Engine is that which runs it, such as gvisor; empty: the best one that works
	// here. EngineHostCompat needs AllowHostCompat too.
	Engine string `json:"engine,omitempty"`

	// Seed is what is put into /workspace before the workspace is ready, and is sent
	// as an archive after this request; nil: nothing.
	Seed *Seed `json:"seed,omitempty"`

	// Secrets are put into /run/pyro-secrets of the guest. They are on their way in alone:
	// nothing that is recorded holds them.
	Secrets []SecretValue `json:"secrets,omitempty"`
}

// EngineHostCompat is the engine that isolates nothing.
const EngineHostCompat = "host-compat"

// WithDefaults returns r with zero values replaced by the defaults, where they are
// the machine's to say by those of its policy.
func (r CreateRequest) WithDefaults(p Policy) CreateRequest {
	fill := func(v *int, otherwise int) {
		if *v == 0 {
			*v = otherwise
		}
	}
	fill(&r.VCPUCount, DefaultVCPUCount)
	fill(&r.MemMiB, DefaultMemMiB)
	fill(&r.DiskMiB, p.DiskMiB)
	fill(&r.TTLSeconds, p.DefaultTTLSeconds)
	if r.NetworkPolicy == "" {
		r.NetworkPolicy = NetworkOff
	}
	return r
}

// Check returns an Invalid error that names the first field outside its limits,
// with the value and the limit. Zero values are the defaults and always allowed. The
// time to live has no limits of its own here: they are those of the machine that the
// workspace is made on, see Policy.
func (r CreateRequest) Check() error {
	if r.Environment == "" {
		return invalid("environment", "must not be empty", "name one, for example host")
	}
	if n := len(r.Environment); n > maxEnvironment {
		return invalid("environment", fmt.Sprintf("has %d bytes, allowed are %d", n, maxEnvironment), "name one, for example host")
	}
	for _, f := range []struct {
		name       string
		value      int
		low, high  int
		unitOfHint string
	}{
		{"vcpu_count", r.VCPUCount, MinVCPUCount, MaxVCPUCount, ""},
		{"mem_mib", r.MemMiB, MinMemMiB, MaxMemMiB, " MiB"},
		{"disk_mib", r.DiskMiB, MinDiskMiB, MaxDiskMiB, " MiB"},
		{"idle_seconds", r.IdleSeconds, 0, maxSeconds, " seconds"},
	} {
		if f.value != 0 && (f.value < f.low || f.value > f.high) {
			return invalid(f.name, fmt.Sprintf("is %d, allowed are %d to %d%s", f.value, f.low, f.high, f.unitOfHint), "choose a value in that range")
		}
	}
	switch r.NetworkPolicy {
	case "", NetworkOff, NetworkEgress, NetworkEgressPublishedPorts:
	default:
		return invalid("network_policy", fmt.Sprintf("is %q, allowed are %s, %s and %s", clip(r.NetworkPolicy), NetworkOff, NetworkEgress, NetworkEgressPublishedPorts), "use off")
	}
	if err := CheckName(r.Name); err != nil {
		return err
	}
	if err := CheckLabels(r.Labels); err != nil {
		return err
	}
	return CheckSecrets(r.Secrets)
}

func invalid(field, what, hint string) error {
	return &Error{Kind: Invalid, Hint: hint, Err: errors.New(field + " " + what)}
}
