package gvisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Files of a cgroup in version 2.
const (
	procsFile       = "cgroup.procs"
	subtreeFile     = "cgroup.subtree_control"
	controllersFile = "cgroup.controllers"
)

// What a person can do about limits that are not enforced.
const (
	hintV1       = "run pyro as root, or boot with cgroup v2, where a user can be given a part (systemd.unified_cgroup_hierarchy=1)"
	hintDelegate = "give it a cgroup of its own: systemd-run --user --scope -p Delegate=yes pyro …"
	hintRoot     = "run pyro in a cgroup of its own: systemd-run --scope -p Delegate=yes pyro …"
	hintMount    = "give the container a /sys/fs/cgroup that it may write to"
)

// finder finds out what a machine offers to one user. It only looks.
type finder struct {
	root   string // where cgroups are mounted
	proc   string // where proc(5) is
	uid    int
	self   int // this process, which holds the sandboxes
	parent int
	// writable says why this user may not write to a path.
	writable func(path string) error
}

// systemLimiter finds out what this machine offers this user.
func systemLimiter() limiter {
	return finder{
		root: cgroupRoot, proc: "/proc", uid: os.Geteuid(), self: os.Getpid(), parent: os.Getppid(),
		writable: func(path string) error { return unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS) },
	}.limiter()
}

// limiter prefers version 1 where its controllers are: those are then not to be had in
// version 2, though that may be mounted beside it.
func (f finder) limiter() limiter {
	v1 := 0
	for _, c := range controllersV2 {
		if exists(filepath.Join(f.root, c, procsFile)) {
			v1++
		}
	}
	if v1 == len(controllersV2) {
		return f.version1()
	}
	for _, mount := range []string{f.root, filepath.Join(f.root, "unified")} {
		have, err := words(filepath.Join(mount, controllersFile))
		if err == nil && (mount == f.root || len(missing(have)) == 0) {
			return f.version2(mount)
		}
	}
	return unlimited(fmt.Sprintf("the cgroup controllers %s are not all mounted below %s; %s", strings.Join(controllersV2, ", "), f.root, hintMount))
}

func (f finder) version1() limiter {
	if f.uid != 0 {
		return unlimited("cgroup v1 limits only what root runs; " + hintV1)
	}
	for _, c := range controllersV2 {
		if err := f.writable(filepath.Join(f.root, c)); err != nil { // as in many containers
			return unlimited(fmt.Sprintf("the cgroup controller %s cannot be used: %v; %s", c, err, hintMount))
		}
	}
	return limiterV1{root: f.root}
}

// version2 takes the nearest cgroup that can be the base of sandboxes: the root of the
// tree for root, then for everybody the own one and those above it.
func (f finder) version2(mount string) limiter {
	own, err := f.own(mount)
	if err != nil {
		return unlimited(fmt.Sprintf("%v; %s", err, f.hint()))
	}
	var first error
	for _, dir := range f.candidates(mount, own) {
		b, err := f.examine(mount, dir)
		if err == nil {
			return limiterV2{base: b, tree: kernelTree{}}
		}
		if first == nil {
			first = err
		}
	}
	return unlimited(fmt.Sprintf("%v; %s", first, f.hint()))
}

func (f finder) hint() string {
	if f.uid == 0 {
		return hintRoot
	}
	return hintDelegate
}

// candidates are the cgroups that may serve, the best first.
func (f finder) candidates(mount, own string) []string {
	var list []string
	if f.uid == 0 {
		list = append(list, mount)
	}
	for dir := own; ; dir = filepath.Dir(dir) {
		if filepath.Base(dir) != hostLeaf && !slices.Contains(list, dir) { // of the leaf the base is above
			list = append(list, dir)
		}
		if dir == mount {
			return list
		}
	}
}

// own is the cgroup of this process.
func (f finder) own(mount string) (string, error) {
	data, err := os.ReadFile(filepath.Join(f.proc, "self", "cgroup"))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(data)) {
		path, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::/")
		if !ok {
			continue
		}
		if path == ".." || strings.HasPrefix(path, "../") || strings.HasSuffix(path, " (deleted)") {
			return "", fmt.Errorf("the own cgroup /%s cannot be reached from here", path)
		}
		return filepath.Join(mount, path), nil
	}
	return "", errors.New("this process is in no cgroup of version 2")
}

// base is a cgroup below which sandboxes get theirs.
type base struct {
	dir     string
	hint    string
	movable []int // processes that have to leave it first
	strays  func() ([]int, error)
}

// examine says why a cgroup cannot be a base, or what is to be done before it is one.
func (f finder) examine(mount, dir string) (base, error) {
	for _, path := range []string{dir, filepath.Join(dir, procsFile), filepath.Join(dir, subtreeFile)} {
		if err := f.writable(path); err != nil {
			return base{}, fmt.Errorf("the cgroup %s is not delegated to uid %d (%v)", dir, f.uid, err)
		}
	}
	offered, err := words(filepath.Join(dir, controllersFile))
	if err != nil {
		return base{}, err
	}
	if lacks := missing(offered); len(lacks) > 0 {
		return base{}, fmt.Errorf("the cgroup %s lacks the controllers %s", dir, strings.Join(lacks, ", "))
	}
	if kind, err := words(filepath.Join(dir, "cgroup.type")); err == nil && !slices.Equal(kind, []string{"domain"}) {
		return base{}, fmt.Errorf("the cgroup %s is of the type %s", dir, strings.Join(kind, " "))
	}
	b := base{dir: dir, hint: f.hint(), strays: func() ([]int, error) { return f.strays(dir) }}
	if f.isReady(mount, dir) {
		return b, nil
	}
	b.movable, err = b.strays()
	return b, err
}

// isReady reports whether the processes in a cgroup are in nobody's way: the root of all may
// hold some, and one with controllers for its children holds none.
func (f finder) isReady(mount, dir string) bool {
	on, err := words(filepath.Join(dir, subtreeFile))
	if err == nil && len(missing(on)) == 0 {
		return true
	}
	// The real root has no type; that of a container's namespace has.
	return dir == mount && !exists(filepath.Join(dir, "cgroup.type"))
}

// strays are the processes in a cgroup. It fails for those that are not ours to move:
// ours are this one, the one that started it, and others of the same program.
func (f finder) strays(dir string) ([]int, error) {
	list, err := words(filepath.Join(dir, procsFile))
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, word := range list {
		pid, err := strconv.Atoi(word)
		if err != nil {
			return nil, err
		}
		if !f.ours(pid) {
			return nil, fmt.Errorf("the cgroup %s holds other processes, too", dir)
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

func (f finder) ours(pid int) bool {
	if pid == f.self || pid == f.parent {
		return true
	}
	mine, err := os.Stat(filepath.Join(f.proc, strconv.Itoa(f.self), "exe"))
	if err != nil {
		return false
	}
	theirs, err := os.Stat(filepath.Join(f.proc, strconv.Itoa(pid), "exe"))
	if errors.Is(err, fs.ErrNotExist) {
		return true // it has ended
	}
	return err == nil && os.SameFile(mine, theirs)
}

// words are those of a small file.
func words(path string) ([]string, error) {
	data, err := os.ReadFile(path)
	return strings.Fields(string(data)), err
}

// missing are the controllers that a list lacks.
func missing(have []string) []string {
	return slices.DeleteFunc(slices.Clone(controllersV2), func(c string) bool { return slices.Contains(have, c) })
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
