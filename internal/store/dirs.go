package store

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// Dirs are the directories of pyro, all absolute. Two stores share neither State
// nor Run nor Sandbox, so they cannot reap each other's sandboxes.
type Dirs struct {
	State string // records; 0700
	Cache string // images and helpers; can be removed at any time
	Run   string // sockets; short, because a socket's path may have no more than 107 bytes

	// Sandbox holds what a sandbox's processes open by path where they run as
	// another user than the owner of State, that is, for root. Empty elsewhere:
	// they use the workspace's own directory.
	Sandbox string
	// UIDs holds one entry for each user id given to a sandbox, by all stores of
	// the machine. Empty for others than root, who cannot give any.
	UIDs string
}

// The sockets of a workspace, in its run directory.
const (
	ControlSocket = "control.sock"
	AgentSocket   = "agent.sock"
	DiskSocket    = "disk.sock" // of a stopped one whose disk is looked at
)

// maxSocketPath leaves some room below the 107 bytes of sockaddr_un, see unix(7).
const maxSocketPath = 100

// FindDirs chooses the directories for a user by the environment: PYRO_STATE_DIR,
// PYRO_CACHE_DIR (or PYRO_ENVIRONMENT_CACHE_DIR), PYRO_RUN_DIR and, for root,
// PYRO_SANDBOX_DIR; else the XDG base directories; else those below HOME. Relative
// XDG directories are ignored, as their specification asks. It looks at directories
// but makes none; a missing HOME where it is needed is api.Invalid.
func FindDirs(getenv func(string) string, uid int) (Dirs, error) {
	env := environment(getenv)
	var d Dirs
	var errs [3]error
	d.State, errs[0] = env.dir("XDG_STATE_HOME", ".local/state", "PYRO_STATE_DIR")
	d.Cache, errs[1] = env.dir("XDG_CACHE_HOME", ".cache", "PYRO_CACHE_DIR", "PYRO_ENVIRONMENT_CACHE_DIR")
	d.Run, errs[2] = env.run(uid)
	if err := errors.Join(errs[:]...); err != nil {
		return Dirs{}, &api.Error{Kind: api.Invalid, Op: "find directories", Hint: "set HOME, or PYRO_STATE_DIR and PYRO_CACHE_DIR", Err: err}
	}
	name := hash8(d.State)
	d.Run = filepath.Join(d.Run, name)
	if uid == 0 {
		base := getenv("PYRO_SANDBOX_DIR")
		if base == "" {
			base = "/var/lib/pyro/sandbox"
		}
		base, err := filepath.Abs(base)
		if err != nil {
			return Dirs{}, sys.Explain("find directories", err)
		}
		d.Sandbox = filepath.Join(base, name)
		d.UIDs = "/var/lib/pyro/uid"
	}
	return d, nil
}

// hash8 names a state directory in places that several share.
func hash8(state string) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(filepath.Clean(state))))[:8]
}

// environment looks a variable up; "" is unset.
type environment func(string) string

// dir returns the first of the named variables that is set, else pyro's part of an
// XDG directory, else of the user's home.
func (env environment) dir(xdg, home string, names ...string) (string, error) {
	for _, name := range names {
		if dir := env(name); dir != "" {
			return filepath.Abs(dir)
		}
	}
	if dir := env(xdg); filepath.IsAbs(dir) {
		return filepath.Join(dir, "pyro"), nil
	}
	if dir := env("HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, home, "pyro"), nil
	}
	return "", fmt.Errorf("neither %s nor %s nor HOME is set", names[0], xdg)
}

func (env environment) run(uid int) (string, error) {
	if dir := env("PYRO_RUN_DIR"); dir != "" {
		return filepath.Abs(dir)
	}
	if uid == 0 {
		return "/run/pyro", nil
	}
	if dir := env("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) && isPrivate(dir, uid) {
		return filepath.Join(dir, "pyro"), nil
	}
	return filepath.Join("/tmp", "pyro-"+strconv.Itoa(uid)), nil
}

// isPrivate reports whether dir belongs to the user and nobody else may write to
// it. After su or sudo the variable often still names another user's.
func isPrivate(dir string, uid int) bool {
	info, err := os.Stat(dir)
	return err == nil && info.IsDir() && sys.Owner(info) == uid && info.Mode().Perm()&0o022 == 0
}
