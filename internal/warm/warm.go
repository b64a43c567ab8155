// Package warm remembers which environments were tried on this machine, and whether what
// was tried is still what there is: this pyro with its programs, this kernel, and the
// programs in /usr that the environment host consists of.
//
// It only remembers. Nothing relies on it: a workspace of a cold environment is made the
// same way, and the record can be removed at any time, like all of the cache.
package warm

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// Dir is where records lie, in the cache.
const Dir = "warm"

// Record is what is remembered of an environment.
type Record struct {
	Identity Identity    `json:"identity"`
	Prepared api.Prepare `json:"prepared"`
}

// Identity is what must not have changed. Its texts are only compared, and the version
// is shown.
type Identity struct {
	Version  string `json:"version"`
	Programs string `json:"programs"` // pyro and those that it starts
	Kernel   string `json:"kernel"`
	Host     string `json:"host"` // /usr
}

// programs are what pyro starts from beside itself, or from PYRO_LIBDIR. Those that it
// carries within itself are as old as itself.
var programs = []string{"pyro-runsc", "pyro-agent"}

// hostDirs change when programs are installed or removed.
var hostDirs = []string{"/usr", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/local/bin"}

// Find says what there is now. binary is the pyro that starts workspaces, libdir another
// place for its programs than beside it; empty: none.
func Find(version, binary, libdir string) Identity {
	if resolved, err := filepath.EvalSymlinks(binary); err == nil {
		binary = resolved
	}
	files := []string{binary}
	for _, name := range programs {
		files = append(files, filepath.Join(filepath.Dir(binary), name))
		if libdir != "" {
			files = append(files, filepath.Join(libdir, name))
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease") // another system has none, and is always the same
	return Identity{
		Version: version, Programs: looks(files), Kernel: strings.TrimSpace(string(kernel)), Host: looks(hostDirs),
	}
}

// looks tells files apart, without reading them.
func looks(paths []string) string {
	var b strings.Builder
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			b.WriteString("-;")
			continue
		}
		size := info.Size()
		if info.IsDir() {
			size = 0 // a file system's own business
		}
		fmt.Fprintf(&b, "%d %d %d;", sys.Inode(info), size, info.ModTime().UnixNano())
	}
	return b.String()
}

// plain are the names of environments that can be names of files.
var plain = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`) })

// maxRecord bounds a record, in bytes.
const maxRecord = 64 << 10

// Look says how an environment stands; the record is nil where there is none. One that
// cannot be read is none.
func Look(cache, environment string, now Identity) (api.EnvironmentState, *Record) {
	state := api.EnvironmentState{Name: environment, State: api.Cold}
	r, err := read(cache, environment)
	if err != nil {
		why := "it was never prepared"
		state.Reason = &why
		return state, nil
	}
	state.PreparedAt = &r.Prepared.PreparedAt
	if why := r.Identity.differs(now); why != "" {
		state.State, state.Reason = api.Stale, &why
		return state, r
	}
	state.State = api.Warm
	return state, r
}

func (then Identity) differs(now Identity) string {
	switch {
	case then.Version != now.Version:
		return fmt.Sprintf("it was prepared with pyro %.80s, this is %s", then.Version, now.Version)
	case then.Programs != now.Programs:
		return "the programs of pyro have changed since"
	case then.Kernel != now.Kernel:
		return "the kernel has changed since"
	case then.Host != now.Host:
		return "programs were installed or removed in /usr since"
	}
	return ""
}

func read(cache, environment string) (*Record, error) {
	if !plain().MatchString(environment) {
		return nil, fs.ErrNotExist
	}
	path := filepath.Join(cache, Dir, environment+".json")
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxRecord {
		return nil, errors.New("no record")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := new(Record)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, err
	}
	return r, nil
}

// Note remembers. The directory Dir of the cache is there.
func Note(cache string, r Record) error {
	if !plain().MatchString(r.Prepared.Environment) {
		return &api.Error{Kind: api.Invalid, Err: fmt.Errorf("environment %.80q has no name for a file", r.Prepared.Environment)}
	}
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Join(cache, Dir), ".new-*")
	if err != nil {
		return sys.Explain("remember", err)
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(cache, Dir, r.Prepared.Environment+".json"))
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return sys.Explain("remember", err)
}
