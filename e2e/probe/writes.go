//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// garbage is what is written.
var garbage = []byte("written by the guest\n")

// writes changes what the sandbox shows of the host, and makes things where the host
// has directories. Most of it succeeds, in the sandbox's own layer.
func writes(p *plan) []attempt {
	var list []attempt
	for i, path := range p.Shown {
		list = append(list, change(fmt.Sprintf("shown %d", i+1), path)...)
	}
	for i, path := range p.Files {
		list = append(list, plain(fmt.Sprintf("canary %d written", i+1), func() error { return os.WriteFile(path, garbage, 0o644) }))
	}
	for i, dir := range p.Places {
		list = append(list, plain(fmt.Sprintf("place %d: a new file", i+1), func() error { return plant(dir) }))
	}
	list = append(list, remounts()...)
	return append(list, agentFile()...)
}

// change does to a file of the host what can be done to a file, each in a way that
// leaves it there for the next.
func change(who, path string) []attempt {
	dir := filepath.Dir(path)
	return []attempt{
		plain(who+": written", func() error { return write(path, unix.O_WRONLY) }),
		plain(who+": appended to", func() error { return write(path, unix.O_WRONLY|unix.O_APPEND) }),
		plain(who+": written through a mapping", func() error { return mapped(path) }),
		plain(who+": cut", func() error { return os.Truncate(path, 1) }),
		plain(who+": mode", func() error { return os.Chmod(path, 0o4777) }),
		plain(who+": owner", func() error { return os.Chown(path, 12, 34) }),
		plain(who+": times", func() error { return unix.Utimes(path, make([]unix.Timeval, 2)) }),
		plain(who+": attribute", func() error { return unix.Setxattr(path, "user.probe", garbage, 0) }),
		plain(who+": immutable", func() error { return immutable(path) }),
		plain(who+": written through a hard link", func() error { return writeLinked(path) }),
		plain(who+": written through a link", func() error {
			_ = os.Remove("/workspace/soft")
			return errors.Join(os.Symlink(path, "/workspace/soft"), os.WriteFile("/workspace/soft", garbage, 0o644))
		}),
		plain(who+": a hole", func() error { return hole(path) }),
		plain(who+": renamed and back", func() error {
			return errors.Join(os.Rename(path, path+".x"), os.Rename(path+".x", path))
		}),
		plain(who+": replaced", func() error {
			return errors.Join(os.WriteFile(path+".new", garbage, 0o600), os.Rename(path+".new", path))
		}),
		plain(who+": removed", func() error { return os.Remove(path) }),
		plain(who+": a neighbour", func() error { return os.WriteFile(filepath.Join(dir, "planted"), garbage, 0o644) }),
		plain(who+": a directory beside it", func() error { return os.Mkdir(filepath.Join(dir, "planted.d"), 0o755) }),
	}
}

func write(path string, flags int) error {
	fd, err := unix.Open(path, flags, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	_, err = unix.Write(fd, garbage)
	return errors.Join(err, unix.Fsync(fd))
}

func mapped(path string) error {
	fd, err := unix.Open(path, unix.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	data, err := unix.Mmap(fd, 0, len(garbage), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	copy(data, garbage)
	return errors.Join(unix.Msync(data, unix.MS_SYNC), unix.Munmap(data))
}

func writeLinked(path string) error {
	at := "/workspace/hard"
	_ = os.Remove(at)
	return errors.Join(os.Link(path, at), os.WriteFile(at, garbage, 0o644))
}

func hole(path string) error {
	fd, err := unix.Open(path, unix.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	return unix.Fallocate(fd, 0, 0, 1<<16)
}

// immutable sets the flag that would keep the host from removing the file.
func immutable(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	return unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, unix.STATX_ATTR_IMMUTABLE)
}

// plant makes a directory of the host's name where there may be none, and a file in it.
func plant(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "planted"), garbage, 0o666)
}

// remounts are attempts to make read-only mounts writable.
func remounts() []attempt {
	var list []attempt
	for _, at := range []string{"/", "/usr", "/opt/pyro", "/sys", "/proc"} {
		list = append(
			list,
			plain("remount "+at, func() error { return unix.Mount("", at, "", unix.MS_REMOUNT, "") }),
			plain("bind remount "+at, func() error { return unix.Mount("", at, "", unix.MS_REMOUNT|unix.MS_BIND, "") }),
			plain("umount "+at, func() error { return unix.Unmount(at, unix.MNT_DETACH) }),
			plain("mount_setattr "+at, func() error {
				return unix.MountSetattr(unix.AT_FDCWD, at, unix.AT_RECURSIVE, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY})
			}),
		)
	}
	return slices.Clip(list)
}

// agentFile attacks the one directory that the host serves directly.
func agentFile() []attempt {
	const agent = "/opt/pyro/pyro-agent"
	return []attempt{
		plain("the agent: written", func() error { return write(agent, unix.O_WRONLY) }),
		plain("the agent: written through a mapping", func() error { return mapped(agent) }),
		plain("the agent: through process 1", func() error { return write("/proc/1/exe", unix.O_RDWR) }),
		plain("the agent: cut", func() error { return os.Truncate(agent, 1) }),
		plain("the agent: mode", func() error { return os.Chmod(agent, 0o777) }),
		plain("the agent: owner", func() error { return os.Chown(agent, 0, 0) }),
		plain("the agent: times", func() error { return unix.Utimes(agent, make([]unix.Timeval, 2)) }),
		plain("the agent: attribute", func() error { return unix.Setxattr(agent, "user.probe", garbage, 0) }),
		plain("the agent: removed", func() error { return os.Remove(agent) }),
		plain("the agent: renamed", func() error { return os.Rename(agent, agent+".x") }),
		plain("the agent: a hard link", func() error { return os.Link(agent, "/opt/pyro/x") }),
		plain("the agent: a neighbour", func() error { return os.WriteFile("/opt/pyro/planted", garbage, 0o644) }),
		plain("the agent: a link beside it", func() error { return os.Symlink("/etc", "/opt/pyro/planted") }),
		plain("the agent: a directory beside it", func() error { return os.Mkdir("/opt/pyro/planted", 0o755) }),
		plain("the agent: a FIFO beside it", func() error { return unix.Mkfifo("/opt/pyro/planted", 0o666) }),
	}
}
