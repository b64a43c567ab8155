package local

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/internal/programs"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// copyTime is far more than copying an agent takes, and than a sandbox to mount one.
const copyTime = time.Hour

// oldAgents are copies of agents of other builds. While a sandbox of this store runs
// they are left alone, and else those that a process has mounted, or that were used
// just now: sandboxes of another store use them, too.
func (r *remains) oldAgents() []leftover {
	if n, err := r.store.CountRunning(); err != nil || n > 0 || r.agent == "" {
		return nil
	}
	var found []leftover
	var mounted map[string]bool
	for _, e := range entries(r.copies) {
		name := e.Name()
		info, err := e.Info()
		if err != nil || !e.IsDir() || sys.Owner(info) != os.Geteuid() || !r.isOld(name, info) {
			continue
		}
		if mounted == nil {
			mounted = r.mounted()
		}
		if mounted[name] {
			continue
		}
		found = append(found, leftover{
			what: "copy of another build's agent, " + filepath.Join(r.copies, name), isOld: true,
			free: func() error { return store.RemoveTree(r.copies, name) },
		})
	}
	return found
}

func (r *remains) isOld(name string, info fs.FileInfo) bool {
	if time.Since(info.ModTime()) <= copyTime {
		return false
	}
	return strings.HasPrefix(name, programs.Unfinished) || isCopyName(name) && !sameFile(filepath.Join(r.copies, name, "pyro-agent"), r.agent)
}

// isCopyName recognizes how the engine names a copy: by size, inode and time.
func isCopyName(name string) bool {
	parts := strings.Split(name, "-")
	for _, p := range parts {
		if p == "" || strings.Trim(p, "0123456789abcdef") != "" {
			return false
		}
	}
	return len(parts) == 3
}

func sameFile(a, b string) bool {
	x, err := os.ReadFile(a)
	if err != nil {
		return false
	}
	y, err := os.ReadFile(b)
	return err == nil && bytes.Equal(x, y)
}

// mountedSources are the names of all directories that a process has mounted from
// elsewhere, as far as can be seen; see proc_pid_mountinfo(5), the fourth field.
func mountedSources() map[string]bool {
	names := map[string]bool{}
	for _, e := range entries("/proc") {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		data, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "mountinfo"))
		for line := range strings.Lines(string(data)) {
			if fields := strings.Fields(line); len(fields) > 3 {
				names[filepath.Base(fields[3])] = true
			}
		}
	}
	return names
}
