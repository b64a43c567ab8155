//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// files reads the canaries of the host by every way to write their names, and then
// looks for what they contain.
func files(p *plan) []attempt {
	var list []attempt
	for i, path := range p.Files {
		list = append(list, read(fmt.Sprintf("canary %d", i+1), path)...)
	}
	return append(list,
		attempt{"canaries by handle", handles(p.mark())},
		attempt{"the mark in all files outside /usr", func() (string, error) { return search("/", p.mark()) }},
		attempt{"the mark below every descriptor", func() (string, error) { return descriptors(p) }},
		attempt{"the mark in the memory of process 1", func() (string, error) { return memory(1, p.mark()) }},
		plain("mount of a block device", func() error { return unix.Mount("/dev/vda", "/mnt", "ext4", 0, "") }),
		plain("mount of the host's /proc", func() error { return unix.Mount("proc", "/mnt", "proc", 0, "") }),
		plain("pivot_root", func() error { return unix.PivotRoot("/", "/mnt") }),
		plain("open_tree", func() error { _, err := unix.OpenTree(unix.AT_FDCWD, "/", unix.OPEN_TREE_CLONE); return err }),
		plain("fsopen", func() error { _, err := unix.Fsopen("ext4", 0); return err }),
	)
}

// read reads one file of the host by many names.
func read(who, path string) []attempt {
	up := strings.Repeat("../", 40)
	var list []attempt
	for way, name := range map[string]string{
		"by its path":               path,
		"through the root":          "/proc/self/root" + path,
		"through process 1's root":  "/proc/1/root" + path,
		"through process 1's cwd":   "/proc/1/cwd/" + up + path,
		"by a chain of ..":          up + path,
		"by .. from /opt/pyro":      "/opt/pyro/" + up + path,
		"by .. from /usr":           "/usr/share/" + up + path,
		"as a workspace's":          "/workspace" + path,
		"through a thread's root":   "/proc/thread-self/root" + path,
		"through process 1's files": "/proc/1/fd/3/" + up + path,
	} {
		list = append(list, attempt{who + " " + way, func() (string, error) { return "", open(name) }})
	}
	return append(list,
		plain(who+" by a link", func() error { return through(path, os.Symlink) }),
		plain(who+" by a hard link", func() error { return through(path, os.Link) }),
		plain(who+" out of a chroot", func() error { return leave(path) }),
		plain(who+" by openat2", func() error {
			fd, err := unix.Openat2(unix.AT_FDCWD, path, &unix.OpenHow{Flags: unix.O_RDONLY})
			if err != nil {
				return err
			}
			return unix.Close(fd)
		}),
		plain(who+" by a bind mount", func() error { return unix.Mount(path, "/mnt", "", unix.MS_BIND, "") }),
		plain(who+" by truncate", func() error { return os.Truncate(path, 0) }),
		plain(who+" by execve", func() error { return unix.Exec(path, []string{path}, nil) }),
	)
}

// open reads a byte of a file.
func open(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	_, err = f.Read(make([]byte, 1))
	return err
}

// through opens a file by a link to it.
func through(path string, link func(string, string) error) error {
	at := filepath.Join("/workspace", "link-to-canary")
	_ = os.Remove(at)
	if err := link(path, at); err != nil {
		return err
	}
	return open(at)
}

// leave is the classical way out of a chroot: a directory above the new root stays
// open while the root moves down.
func leave(path string) error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil { // the root of this thread alone
		return err
	}
	if err := os.MkdirAll("/workspace/jail", 0o755); err != nil {
		return err
	}
	above, err := unix.Open("/", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(above) }()
	if err := unix.Chroot("/workspace/jail"); err != nil {
		return err
	}
	if err := unix.Fchdir(above); err != nil {
		return err
	}
	for range 40 {
		if err := unix.Chdir(".."); err != nil {
			return err
		}
	}
	fd, err := unix.Open("."+path, unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// handles opens files by made-up handles (open_by_handle_at(2)), the way out of a
// container that keeps CAP_DAC_READ_SEARCH. It returns the last error.
func handles(mark string) func() (string, error) {
	return func() (string, error) {
		root, err := unix.Open("/usr", unix.O_RDONLY, 0)
		if err != nil {
			return "", err
		}
		var last error = unix.ENOENT
		for inode := uint32(1); inode < 300; inode++ {
			handle := binary.LittleEndian.AppendUint32(nil, inode)
			fd, err := unix.OpenByHandleAt(root, unix.NewFileHandle(1, append(handle, 0, 0, 0, 0)), unix.O_RDONLY)
			if err != nil {
				last = err
				continue
			}
			return fmt.Sprintf("opened inode %d (fd %d), mark %q", inode, fd, mark[:4]), nil
		}
		return "", last
	}
}

// maxFile bounds what is read of one file in a search.
const maxFile = 1 << 20

// search looks for a mark in the files below a directory. /usr is the host's by
// design, without canaries but for those that are shown; /proc/PID is a world that
// changes while one looks.
func search(dir, mark string) (string, error) {
	found, seen := "", 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil // what cannot be entered hides nothing from us that we could read
		case path == "/usr" || strings.HasPrefix(path, "/proc/") && entry.IsDir() && strings.Count(path, "/") == 2 && path != "/proc/1":
			return fs.SkipDir
		case strings.Contains(path, "/task/"):
			return fs.SkipDir
		case entry.IsDir() || !entry.Type().IsRegular():
			return nil
		}
		seen++
		if contains(path, mark) {
			found = path
			return fs.SkipAll
		}
		return nil
	})
	if found != "" {
		return "found in " + found, err
	}
	if seen < 30 {
		return fmt.Sprintf("only %d files", seen), err
	}
	return "not found", err
}

func contains(path, mark string) bool {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(fd) }()
	data := make([]byte, maxFile)
	n, _ := unix.Read(fd, data)
	return n > 0 && bytes.Contains(data[:n], []byte(mark))
}

// descriptors opens the canaries relative to each descriptor of each process.
func descriptors(p *plan) (string, error) {
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return "", err
	}
	for _, link := range links {
		for _, path := range p.Files {
			for _, name := range []string{path[1:], strings.Repeat("../", 40) + path[1:]} {
				data, err := os.ReadFile(link + "/" + name)
				if err == nil && bytes.Contains(data, []byte(p.mark())) {
					return "found by " + link, nil
				}
			}
		}
	}
	return "not found", nil
}

// memory looks for a mark in the memory of a process. Its own would hold it.
func memory(pid int, mark string) (string, error) {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return "", err
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return "", err
	}
	defer func() { _ = mem.Close() }()
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		if n, _ := fmt.Sscanf(line, "%x-%x r", &from, &to); n < 2 || to-from > 64<<20 {
			continue
		}
		data := make([]byte, to-from)
		n, err := mem.ReadAt(data, from)
		if err != nil && !errors.Is(err, io.EOF) && n == 0 {
			continue
		}
		if bytes.Contains(data[:n], []byte(mark)) {
			return "found in " + line, nil
		}
	}
	return "not found", nil
}
