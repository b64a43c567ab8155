//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// differential is what ordinary programs ask of a kernel. It changes nothing outside
// a directory of its own, so it may run on the host as well, where it must be an
// ordinary user. What it prints is the same on every machine.
func differential(*plan) []attempt {
	if os.Getuid() == 0 && !sandboxed() {
		return []attempt{plain("not as root on a host", func() error { return unix.EPERM })}
	}
	dir, err := os.MkdirTemp("", "probe")
	if err != nil {
		return []attempt{plain("a directory", func() error { return err })}
	}
	list := identity()
	list = append(list, fileSystem(dir)...)
	list = append(list, processLife()...)
	list = append(list, visible()...)
	return append(list, plain("clean up", func() error { return os.RemoveAll(dir) }))
}

func identity() []attempt {
	var uts unix.Utsname
	return []attempt{
		{"uname: system", func() (string, error) {
			err := unix.Uname(&uts)
			return unix.ByteSliceToString(uts.Sysname[:]), err
		}},
		{"uname: same as /proc/version", func() (string, error) {
			if err := unix.Uname(&uts); err != nil {
				return "", err
			}
			data, err := os.ReadFile("/proc/version")
			return fmt.Sprint(strings.Contains(string(data), unix.ByteSliceToString(uts.Release[:]))), err
		}},
		{"no_new_privs", func() (string, error) { return status("NoNewPrivs") }},
		{"seccomp", func() (string, error) { return status("Seccomp") }},
		{"tracer", func() (string, error) { return status("TracerPid") }},
		{"process 1", func() (string, error) {
			data, err := os.ReadFile("/proc/1/comm")
			return fmt.Sprint(strings.TrimSpace(string(data)) == "pyro-agent"), err
		}},
		{"time goes on", func() (string, error) {
			start := time.Now()
			return fmt.Sprint(time.Since(start) >= 0 && start.Year() > 2024), nil
		}},
	}
}

// status is a line of /proc/self/status.
func status(of string) (string, error) {
	data, err := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(data)) {
		if name, value, _ := strings.Cut(line, ":"); name == of {
			return strings.TrimSpace(value), err
		}
	}
	return "none", err
}

func fileSystem(dir string) []attempt {
	at := func(name string) string { return dir + "/" + name }
	fd := func(flags int, do func(fd int) error) func() error {
		return func() error {
			fd, err := unix.Open(at("f"), flags|unix.O_CREAT|unix.O_RDWR, 0o644)
			if err != nil {
				return err
			}
			defer func() { _ = unix.Close(fd) }()
			return do(fd)
		}
	}
	return []attempt{
		plain("create and write", func() error { return os.WriteFile(at("f"), garbage, 0o644) }),
		plain("rename without replacing", func() error {
			return unix.Renameat2(unix.AT_FDCWD, at("f"), unix.AT_FDCWD, dir, unix.RENAME_NOREPLACE)
		}),
		plain("exchange", func() error {
			_ = os.WriteFile(at("g"), nil, 0o644)
			return unix.Renameat2(unix.AT_FDCWD, at("f"), unix.AT_FDCWD, at("g"), unix.RENAME_EXCHANGE)
		}),
		plain("unnamed file", func() error {
			fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR, 0o600)
			if err == nil {
				_ = unix.Close(fd)
			}
			return err
		}),
		plain("hole punched", fd(0, func(fd int) error {
			return unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, 1)
		})),
		plain("space reserved", fd(0, func(fd int) error { return unix.Fallocate(fd, 0, 0, 1<<16) })),
		plain("hole looked for", fd(0, func(fd int) error { _, err := unix.Seek(fd, 0, unix.SEEK_HOLE); return err })),
		plain("file lock", fd(0, func(fd int) error { return unix.Flock(fd, unix.LOCK_EX) })),
		plain("lease", fd(0, func(fd int) error { _, err := unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_UNLCK); return err })),
		plain("copy in the kernel", fd(0, func(in int) error {
			out, err := unix.Open(at("copy"), unix.O_CREAT|unix.O_WRONLY, 0o644)
			if err != nil {
				return err
			}
			defer func() { _ = unix.Close(out) }()
			_, err = unix.CopyFileRange(in, nil, out, nil, 1, 0)
			return err
		})),
		plain("user attribute", func() error { return unix.Setxattr(at("f"), "user.x", garbage, 0) }),
		plain("statx", func() error { return unix.Statx(unix.AT_FDCWD, dir, 0, unix.STATX_BASIC_STATS, &unix.Statx_t{}) }),
		plain("openat2 beneath", func() error {
			fd, err := unix.Openat2(unix.AT_FDCWD, dir, &unix.OpenHow{Flags: unix.O_PATH, Resolve: unix.RESOLVE_NO_SYMLINKS})
			if err == nil {
				_ = unix.Close(fd)
			}
			return err
		}),
		plain("FIFO", func() error { return unix.Mkfifo(at("fifo"), 0o600) }),
		plain("inotify", func() error { _, err := unix.InotifyInit1(unix.IN_CLOEXEC); return err }),
		plain("name of 256 bytes", func() error { return os.WriteFile(at(strings.Repeat("n", 256)), nil, 0o600) }),
	}
}

func processLife() []attempt {
	return []attempt{
		plain("a child", func() error { return exec.Command("/usr/bin/true").Run() }),
		plain("pidfd", func() error { _, err := unix.PidfdOpen(os.Getpid(), 0); return err }),
		plain("memfd", func() error { _, err := unix.MemfdCreate("x", unix.MFD_CLOEXEC); return err }),
		plain("sealed memfd", func() error { _, err := unix.MemfdCreate("x", unix.MFD_ALLOW_SEALING); return err }),
		plain("signalfd", func() error { _, err := unix.Signalfd(-1, &unix.Sigset_t{}, 0); return err }),
		plain("timerfd", func() error { _, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, 0); return err }),
		plain("eventfd", func() error { _, err := unix.Eventfd(0, 0); return err }),
		plain("subreaper", func() error { return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }),
		plain("death signal", func() error { return unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGTERM), 0, 0, 0) }),
		plain("name of a thread", func() error { return unix.Prctl(unix.PR_SET_NAME, text("probe"), 0, 0, 0) }),
		plain("random bytes", func() error { _, err := unix.Getrandom(make([]byte, 8), 0); return err }),
		plain("membarrier", func() error { return raw(unix.SYS_MEMBARRIER, 0, 0) }),
		plain("clone3 of nothing", func() error { return raw(unix.SYS_CLONE3, 0, 0) }),
		plain("process_vm_readv of oneself", func() error {
			data := []byte{1}
			_, err := unix.ProcessVMReadv(os.Getpid(), []unix.Iovec{{Base: &data[0], Len: 1}}, nil, 0)
			return err
		}),
		plain("getcpu", func() error { return raw(unix.SYS_GETCPU, empty(), empty(), 0) }),
		plain("sched_yield", func() error { return raw(unix.SYS_SCHED_YIELD) }),
		plain("socket pair", func() error { _, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET, 0); return err }),
		plain("epoll", func() error { _, err := unix.EpollCreate1(0); return err }),
		plain("pseudo terminal", func() error {
			fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY, 0)
			if err == nil {
				_ = unix.Close(fd)
			}
			return err
		}),
	}
}

// visible is what the kernel shows of the machine.
func visible() []attempt {
	exists := func(path string) attempt {
		return attempt{"there is " + path, func() (string, error) {
			_, err := os.Lstat(path)
			return fmt.Sprint(err == nil), nil
		}}
	}
	var list []attempt
	for _, path := range []string{
		"/proc/sentry-meminfo", "/proc/self/maps", "/proc/self/ns/user", "/proc/self/mountinfo", "/proc/self/attr", "/proc/self/io",
		"/proc/kallsyms", "/proc/vmstat", "/proc/interrupts", "/proc/diskstats", "/proc/partitions", "/proc/pressure", "/proc/sys/net/core/somaxconn",
		"/proc/sys/kernel/pid_max", "/proc/sys/vm/mmap_min_addr", "/proc/cpuinfo", "/proc/loadavg", "/proc/stat", "/proc/swaps",
		"/sys/class/net", "/sys/devices/system/cpu", "/sys/kernel/mm", "/dev/fd", "/dev/ptmx", "/dev/full", "/dev/mem",
	} {
		list = append(list, exists(path))
	}
	return list
}
