// Package leaks looks for what pyro left on a machine: processes, cgroups, mounts,
// sockets, directories, user ids. It serves the tests end to end and the soak.
//
// It only looks, from outside and without asking pyro, which might be wrong about
// itself; and it removes nothing.
package leaks

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Place is a directory that holds all that pyro keeps for one state directory. It
// should be short, since sockets lie in it.
type Place string

// The directories of a place.
const (
	State   = "s"
	Cache   = "c"
	Run     = "r"
	Sandbox = "x"
)

// At is a path in the place.
func (p Place) At(name string) string { return filepath.Join(string(p), name) }

// Env are the environment variables that make pyro keep to the place.
func (p Place) Env() []string {
	return []string{
		"PYRO_STATE_DIR=" + p.At(State), "PYRO_CACHE_DIR=" + p.At(Cache),
		"PYRO_RUN_DIR=" + p.At(Run), "PYRO_SANDBOX_DIR=" + p.At(Sandbox),
	}
}

// IDs are the workspaces that are there now, those just being made among them.
func (p Place) IDs() []string {
	var ids []string
	for _, dir := range p.glob(State + "/workspaces/*") {
		ids = append(ids, filepath.Base(dir))
	}
	return ids
}

// Left names what is left of the place, a line for each thing, and nothing once all
// of its workspaces are gone. Cgroups do not tell whose they are, so ids are all
// workspaces that ever were here.
func (p Place) Left(ids map[string]bool) []string {
	left := p.glob(State+"/workspaces/*", State+"/trash/*", State+"/broken/*", Run+"/*/*", Sandbox+"/*/*")
	for _, process := range p.Processes("") {
		left = append(left, process.String()+" "+process.State())
	}
	left = append(left, p.reserved()...)
	left = append(left, p.lines("/proc/self/mounts")...)
	left = append(left, p.lines("/proc/net/unix")...)
	return append(left, Cgroups(ids)...)
}

func (p Place) glob(patterns ...string) []string {
	var all []string
	for _, pattern := range patterns {
		found, _ := filepath.Glob(p.At(pattern)) // the patterns are well-formed
		all = append(all, found...)
	}
	return all
}

// reserved are the user ids that are taken for sandboxes of the place.
func (p Place) reserved() []string {
	var found []string
	entries, _ := filepath.Glob("/var/lib/pyro/uid/*")
	for _, entry := range entries {
		if owner, err := os.Readlink(entry); err == nil && strings.HasPrefix(owner, string(p)+"/") {
			found = append(found, entry+" -> "+owner)
		}
	}
	return found
}

// lines are those of a file of the kernel that name the place.
func (p Place) lines(name string) []string {
	var found []string
	text, _ := os.ReadFile(name)
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, string(p)+"/") {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

const cgroupRoot = "/sys/fs/cgroup"

// Cgroups are those that are named after one of the workspaces, in every hierarchy,
// wherever in it.
func Cgroups(ids map[string]bool) []string {
	if len(ids) == 0 {
		return nil
	}
	var found []string
	eachCgroup(func(path string) {
		id, _, _ := strings.Cut(filepath.Base(path), "-") // a second sandbox has a number behind it
		if ids[id] {
			found = append(found, path)
		}
	})
	return found
}

func eachCgroup(visit func(path string)) {
	_ = filepath.WalkDir(cgroupRoot, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil // it was just removed
		}
		if entry.IsDir() {
			visit(path)
		}
		return nil
	})
}

// Totals counts things of the whole machine, whosoever they are. On an idle machine
// they show leaks that nobody knew to look for.
type Totals struct {
	Processes   int `json:"processes"`
	Zombies     int `json:"zombies"`
	Mounts      int `json:"mounts"`
	UnixSockets int `json:"unix_sockets"`
	Cgroups     int `json:"cgroups"`
}

// Count looks at the machine as this process sees it.
func Count() Totals {
	var t Totals
	for _, pid := range pids() {
		t.Processes++
		if stateOf(pid) == "Z" {
			t.Zombies++
		}
	}
	for name, n := range map[string]*int{"/proc/self/mounts": &t.Mounts, "/proc/net/unix": &t.UnixSockets} {
		text, _ := os.ReadFile(name)
		*n = strings.Count(string(text), "\n")
	}
	eachCgroup(func(string) { t.Cgroups++ })
	return t
}

// String prints the totals on one line.
func (t Totals) String() string {
	return fmt.Sprintf("%d processes, %d zombies, %d mounts, %d unix sockets, %d cgroups", t.Processes, t.Zombies, t.Mounts, t.UnixSockets, t.Cgroups)
}
