package gvisor

import (
	"fmt"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/pyro-sandbox/pyro/internal/engine"
)

// The guest's own constants.
const (
	agentDir  = "/opt/pyro"
	agentName = "pyro-agent"
	guestPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

	// controlFD is the agent's end of the control channel.
	controlFD = 3
)

// memoryMarginMiB is what the cgroup allows beyond the guest's own limit. The Sentry
// and the gofer live in it too, with some 0.7 MiB for each process of the guest that
// the guest does not see; and the agent, which holds commands to the guest's limit,
// must get to act before the kernel does.
func memoryMarginMiB(spec engine.Spec) int { return 128 + spec.PIDs*3/4 }

// agentPIDs are threads that the agent may still start when the guest has used up its
// processes. It holds commands to the guest's own limit.
const agentPIDs = 64

// layout names the places of one sandbox on the host.
type layout struct {
	dir   string // owned by the sandbox's uid; holds bundle, upper and root
	state string // runsc's --root, short because a socket lies in it
}

func layoutOf(spec engine.Spec) layout {
	return layout{dir: spec.Dir, state: filepath.Join(spec.Run, "r")}
}

func (l layout) bundle() string { return filepath.Join(l.dir, "bundle") }
func (l layout) upper() string  { return filepath.Join(l.dir, "upper") }
func (l layout) root() string   { return filepath.Join(l.dir, "root") }
func (l layout) stage() string  { return filepath.Join(l.bundle(), "stage.json") }
func (l layout) config() string { return filepath.Join(l.bundle(), "config.json") }

// socket is where runsc puts its control socket. Where that does not fit into an
// address it silently takes another directory, so we refuse first.
func (l layout) socket(id string) string { return filepath.Join(l.state, "runsc-"+id+".sock") }

// maxSocketPath is sun_path without the final zero, see unix(7).
const maxSocketPath = 107

// capabilities are Docker's default set without NET_RAW and MKNOD. SYS_RESOURCE
// must stay out: with it RLIMIT_NPROC does not hold.
var capabilities = []string{
	"CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
	"CAP_NET_BIND_SERVICE", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
}

// ociSpec is the whole configuration of a sandbox, built from nothing: no
// annotation, variable or mount comes from anywhere else, since runsc honours
// dev.gvisor.* annotations that open the host. cgroup is empty without limits.
func ociSpec(spec engine.Spec, agent, cgroup string) *specs.Spec {
	tmpfs := func(at string, options ...string) specs.Mount {
		return specs.Mount{Destination: at, Type: "tmpfs", Source: "tmpfs", Options: append([]string{"nosuid", "nodev"}, options...)}
	}
	return &specs.Spec{
		Version: "1.0.2",
		Process: &specs.Process{
			Cwd:             "/",
			Args:            agentArgs(spec),
			Env:             []string{"PATH=" + guestPath, "HOME=/root", "LANG=C.UTF-8"},
			NoNewPrivileges: true,
			Capabilities: &specs.LinuxCapabilities{
				Bounding: capabilities, Effective: capabilities, Permitted: capabilities,
			},
			Rlimits: []specs.POSIXRlimit{
				{Type: "RLIMIT_CORE"},
				{Type: "RLIMIT_NOFILE", Hard: 65536, Soft: 65536},
				{Type: "RLIMIT_NPROC", Hard: uint64(spec.PIDs + agentPIDs), Soft: uint64(spec.PIDs + agentPIDs)},
			},
		},
		Root:     &specs.Root{Path: layoutOf(spec).root()},
		Hostname: "pyro",
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc"},
			{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"ro", "nosuid", "nodev", "noexec"}},
			tmpfs("/dev", "mode=0755"),
			tmpfs("/dev/shm", "size=64m", "mode=1777"),
			tmpfs("/run", "size=64m", "mode=0755"),
			// The only mount that the gofer serves.
			{Destination: agentDir, Type: "bind", Source: agent, Options: []string{"ro", "rbind", "nosuid", "nodev"}},
		},
		Linux: &specs.Linux{
			CgroupsPath: cgroup,
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.PIDNamespace},
				{Type: specs.IPCNamespace},
				{Type: specs.UTSNamespace},
				{Type: specs.MountNamespace},
				{Type: specs.NetworkNamespace},
			},
		},
	}
}

// agentArgs is the command line of process 1.
func agentArgs(spec engine.Spec) []string {
	args := []string{filepath.Join(agentDir, agentName), "--fd", fmt.Sprint(controlFD), "--mem-mib", fmt.Sprint(spec.MemMiB), "--pids", fmt.Sprint(spec.PIDs)}
	if spec.Whole {
		args = append(args, "--workspace", "/")
	}
	return args
}

// flags are runsc's own, before its command.
func flags(spec engine.Spec, l layout, limited bool) []string {
	f := []string{
		"--root=" + l.state,
		"--network=none",                 // the agent's channel is the only way out
		"--host-settings=ignore",         // it would only read and warn
		"--sidecar-usage-policy=DEFAULT", // it boots itself; no other file is needed
		// One upper for the whole root, so that there is one thing to limit and to save.
		fmt.Sprintf("--overlay2=root:dir=%s,size=%dm", l.upper(), spec.DiskMiB),
	}
	if !limited {
		f = append(f, "--ignore-cgroups")
	}
	return f
}

// arguments is the command line of pyro-runsc that runs the sandbox attached.
func arguments(spec engine.Spec, l layout, limited bool) []string {
	args := append([]string{"--stage", l.stage()}, flags(spec, l, limited)...)
	command := "run"
	if spec.Memory != "" {
		command = "restore-fd"
	}
	args = append(args, command, "-pass-fd", fmt.Sprintf("%d:%d", controlFD, controlFD), "-bundle", l.bundle())
	switch {
	case spec.Memory != "":
		args = append(args, "-image-path", diskPath)
	case spec.Disk != "":
		args = append(args, "-fs-restore-image-path", diskPath)
	}
	return append(args, spec.ID)
}

// saveArguments is the command line of pyro-runsc that saves a sandbox that runs:
// command says whether its writable layer or all that it is.
func saveArguments(command []string, spec engine.Spec, l layout, limited bool) []string {
	args := append(flags(spec, l, limited), command...)
	return append(args, "-image-path", diskPath, "-leave-running", spec.ID)
}
