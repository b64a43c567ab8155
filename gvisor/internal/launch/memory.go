package launch

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// memoryFlag is the memory in bytes that the Sentry shows the guest as its own.
const memoryFlag = "--total-memory"

// cgroupRoot is where cgroups are mounted.
const cgroupRoot = "/sys/fs/cgroup"

// showLimit makes the guest's memory the limit of the cgroup, in version 2. With
// --ignore-cgroups runsc takes the host's; without, it would want to make the group
// itself. What the arguments say is never raised: the Sentry executes itself again, by
// then without a /sys to read.
func showLimit(argv []string, proc, root string) []string {
	limit, ok := memoryLimit(proc, root)
	i := slices.Index(argv, memoryFlag)
	if !ok || i < 0 || i+1 >= len(argv) {
		return argv
	}
	if given, err := strconv.ParseUint(argv[i+1], 10, 64); err != nil || given <= limit {
		return argv
	}
	argv = slices.Clone(argv)
	argv[i+1] = strconv.FormatUint(limit, 10)
	return argv
}

// memoryLimit is the smallest of this process's cgroup and of those above it.
func memoryLimit(proc, root string) (bytes uint64, ok bool) {
	data, err := os.ReadFile(filepath.Join(proc, "self", "cgroup"))
	if err != nil {
		return 0, false
	}
	bytes = math.MaxUint64
	for line := range strings.Lines(string(data)) {
		path, found := strings.CutPrefix(strings.TrimSpace(line), "0::/")
		if !found || strings.HasPrefix(path, "..") {
			continue
		}
		for ; ; path = filepath.Dir(path) {
			bytes = min(bytes, maxIn(filepath.Join(root, path, "memory.max")))
			if path == "" || path == "." {
				break
			}
		}
	}
	return bytes, bytes != math.MaxUint64
}

// maxIn reads a limit; "max", and no file, are none.
func maxIn(path string) uint64 {
	data, err := os.ReadFile(path)
	if err != nil {
		return math.MaxUint64
	}
	if n, err := strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64); err == nil {
		return n
	}
	return math.MaxUint64
}
