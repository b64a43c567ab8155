package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/config"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// machine is what the checks look at, so that tests can show them another.
type machine struct {
	getenv func(string) string
	uid    int
	read   func(path string) ([]byte, error) // small files of /proc
	stat   func(path string) (fs.FileInfo, error)
	free   func(path string) (uint64, error) // bytes
}

func thisMachine() machine {
	return machine{getenv: os.Getenv, uid: os.Geteuid(), read: os.ReadFile, stat: os.Stat, free: sys.FreeBytes}
}

// configuration is the only place where doctor reads it: nothing that it finds out
// depends on it.
func (m machine) configuration() api.DoctorCheck {
	const name = "configuration"
	c, err := config.Load(m.getenv)
	if err != nil {
		return fail(name, err)
	}
	said := 0
	for _, s := range c.Settings() {
		if s.Source != api.SourceDefault {
			said++
		}
	}
	if said == 0 {
		return ok(name, "everything has its default")
	}
	return ok(name, "%d of %d settings are not the defaults; `pyro config` shows them", said, len(c.Settings()))
}

// openDirectories finds and makes the directories, and looks where they lie.
func (x *examination) openDirectories() {
	const name = "directories"
	var err error
	if x.dirs, err = store.FindDirs(x.machine.getenv, x.machine.uid); err != nil {
		x.note(fail(name, err))
		return
	}
	if x.store, err = store.Open(x.dirs); err != nil {
		x.note(fail(name, err))
	} else {
		x.note(ok(name, "they are there, and only you can write to them"))
	}
	mounts := x.machine.mounts()
	for _, d := range [][2]string{
		{"state_directory", x.dirs.State},
		{"cache_directory", x.dirs.Cache},
		{"run_directory", x.dirs.Run},
		{"sandbox_directory", x.dirs.Sandbox},
	} {
		if d[1] != "" {
			x.note(x.machine.place(d[0], d[1], mounts))
		}
	}
}

// leastFree is what should be free where workspaces and their files lie, in bytes.
const leastFree = 1 << 30

// place looks at the file system of a directory, or of that in which it would be
// made. What a socket or a lock needs differs from what files need, and all of them
// may be in one place.
func (m machine) place(name, dir string, mounts []mount) api.DoctorCheck {
	at, info, err := m.existing(dir)
	if err != nil {
		return fail(name, sys.Explain("look at "+dir, err))
	}
	if err := m.usable(dir, at, info); err != nil {
		return fail(name, err)
	}
	on := mountOf(at, mounts)
	if on.readOnly {
		return fail(name, &api.Error{Hint: "choose another place: PYRO_STATE_DIR, PYRO_CACHE_DIR, PYRO_RUN_DIR", Err: fmt.Errorf("%s lies on a file system that is mounted read-only", dir)})
	}
	if on.remote() {
		return warn(name, "choose a directory on a local disk", "%s lies on %s: locks and sockets may not work on a network's file system", dir, on.kind)
	}
	free, err := m.free(at)
	switch {
	case err != nil:
		return warn(name, "", "%s: how much is free is not known: %v", dir, err)
	case free < leastFree && name != "run_directory": // that holds sockets alone
		return warn(name, "delete workspaces, or free some space", "%s has %d MiB left", dir, free>>20)
	}
	return ok(name, "%s on %s, %d MiB free", dir, on.kind, free>>20)
}

// existing returns the directory, or the nearest above it that there is.
func (m machine) existing(dir string) (string, fs.FileInfo, error) {
	for at := dir; ; at = filepath.Dir(at) {
		info, err := m.stat(at)
		if err == nil || !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at) {
			return at, info, err
		}
	}
}

// usable refuses what the user clearly cannot write to. Rights by group are not
// looked into: what needs the directory will say so.
func (m machine) usable(dir, at string, info fs.FileInfo) error {
	if !info.IsDir() {
		return &api.Error{Hint: "remove it, or choose another directory", Err: fmt.Errorf("%s is no directory", at)}
	}
	owner, perm := sys.Owner(info), info.Mode().Perm()
	mine := m.uid == 0 || owner == m.uid && perm&0o200 != 0 || owner != m.uid && perm&0o022 != 0
	if mine {
		return nil
	}
	return &api.Error{
		Hint: "change its owner or mode, or choose another place: PYRO_STATE_DIR, PYRO_CACHE_DIR, PYRO_RUN_DIR",
		Err:  fmt.Errorf("%s cannot be written: %s has mode %#o and owner %d", dir, at, perm, owner),
	}
}

// mount is a line of proc_pid_mountinfo(5).
type mount struct {
	point, kind string
	readOnly    bool
}

func (m machine) mounts() []mount {
	data, _ := m.read("/proc/self/mountinfo")
	var list []mount
	for line := range strings.Lines(string(data)) {
		fields, rest, _ := strings.Cut(line, " - ")
		left, right := strings.Fields(fields), strings.Fields(rest)
		if len(left) < 6 || len(right) < 3 {
			continue
		}
		list = append(list, mount{
			point: unescape.Replace(left[4]), kind: right[0],
			readOnly: hasOption(left[5], "ro") || hasOption(right[2], "ro"),
		})
	}
	return list
}

// unescape undoes the octal escapes of mountinfo.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

func hasOption(list, name string) bool {
	for option := range strings.SplitSeq(list, ",") {
		if option == name {
			return true
		}
	}
	return false
}

// mountOf returns the mount that a path lies on: the longest that leads to it, and
// of those in one place the last, which hides the others.
func mountOf(path string, mounts []mount) mount {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	found := mount{kind: "an unknown file system"}
	for _, m := range mounts {
		if rel, err := filepath.Rel(m.point, path); err == nil && filepath.IsLocal(rel) && len(m.point) >= len(found.point) {
			found = m
		}
	}
	return found
}

// remote reports whether other machines may write to it, as far as names tell.
func (m mount) remote() bool {
	kind := strings.TrimPrefix(m.kind, "fuse.")
	for _, name := range []string{"nfs", "nfs4", "cifs", "smb3", "smbfs", "sshfs", "ceph", "afs", "lustre", "glusterfs", "9p"} {
		if kind == name {
			return true
		}
	}
	return false
}

// namespaces looks for a setting that explains why no sandbox starts. It is a guess:
// whether one starts is known only by starting one.
func (m machine) namespaces() api.DoctorCheck {
	const name = "namespaces"
	value := func(setting string) string {
		data, _ := m.read("/proc/sys/" + setting)
		return strings.TrimSpace(string(data))
	}
	switch {
	case olderThan(value("kernel/osrelease"), 5, 12):
		return warn(name, "pyro needs Linux 5.12 or newer", "this is Linux %s", value("kernel/osrelease"))
	case value("user/max_user_namespaces") == "0":
		return warn(name, "raise it: sysctl -w user.max_user_namespaces=10000", "user.max_user_namespaces is 0: there can be no user namespace")
	case m.uid != 0 && value("kernel/unprivileged_userns_clone") == "0":
		return warn(name, "allow it: sysctl -w kernel.unprivileged_userns_clone=1", "kernel.unprivileged_userns_clone is 0: only root can make user namespaces")
	case m.uid != 0 && value("kernel/apparmor_restrict_unprivileged_userns") == "1":
		return warn(name, "add an AppArmor profile for pyro-runsc, or set kernel.apparmor_restrict_unprivileged_userns=0",
			"kernel.apparmor_restrict_unprivileged_userns is 1: user namespaces of programs without a profile are of no use")
	}
	return ok(name, "no setting was found that forbids them")
}

// olderThan compares a release such as 6.1.0-13-amd64; one that is no version is
// taken for new.
func olderThan(release string, major, minor int) bool {
	var a, b int
	if n, _ := fmt.Sscanf(release, "%d.%d", &a, &b); n < 2 {
		return false
	}
	return a < major || a == major && b < minor
}

func lookAtKVM() api.DoctorKVM {
	const device = "/dev/kvm"
	_, err := os.Stat(device)
	return api.DoctorKVM{
		Exists:   err == nil,
		Readable: opens(device, os.O_RDONLY),
		Writable: opens(device, os.O_WRONLY),
	}
}

func opens(path string, flag int) bool {
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		return false
	}
	_ = f.Close()
	return true
}

// lookAtNetworking answers what scripts of the replaced product ask for. pyro needs
// none of it.
func lookAtNetworking() api.DoctorNetworking {
	forward, _ := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
	_, err := os.Stat("/dev/net/tun")
	return api.DoctorNetworking{
		TunAvailable: err == nil, IPBinary: program("ip"), NftBinary: program("nft"), IptablesBinary: program("iptables"),
		IPForwardEnabled: len(forward) > 0 && forward[0] == '1',
	}
}

func program(name string) *string {
	path, err := exec.LookPath(name)
	if err != nil {
		return nil
	}
	return &path
}
