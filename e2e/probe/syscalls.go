//go:build linux

package main

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kept are the arguments of calls that are made later: the collector does not follow
// a number.
var kept []any

// at is an argument that points to a value.
func at[T any](v *T) uintptr {
	kept = append(kept, v)
	return uintptr(unsafe.Pointer(v))
}

// empty is an argument that points to zeros.
func empty() uintptr { return at(new([512]byte)) }

// text is an argument that points to a string.
func text(s string) uintptr {
	p, err := unix.BytePtrFromString(s)
	if err != nil {
		return 0
	}
	return at(p)
}

// syscalls are the calls by which programs have left containers, or changed the
// machine they ran on. What they name is made so that they could succeed.
func syscalls(*plan) []attempt {
	list := namespaces()
	list = append(list, machine()...)
	return append(list, kernels()...)
}

// namespaces are calls about namespaces, mounts and roots.
func namespaces() []attempt {
	unshare := func(flags int) func() error { return func() error { return unix.Unshare(flags) } }
	return []attempt{
		plain("mount tmpfs", func() error { return unix.Mount("tmpfs", "/mnt", "tmpfs", 0, "") }),
		plain("mount overlay", func() error { return unix.Mount("o", "/mnt", "overlay", 0, "lowerdir=/usr:/etc") }),
		plain("mount cgroup", func() error { return unix.Mount("c", "/mnt", "cgroup", 0, "memory") }),
		plain("mount bind", func() error { return unix.Mount("/usr", "/mnt", "", unix.MS_BIND, "") }),
		plain("umount /proc", func() error { return unix.Unmount("/proc", unix.MNT_DETACH) }),
		plain("pivot_root", func() error { return unix.PivotRoot("/mnt", "/mnt") }),
		plain("chroot", func() error {
			if err := unix.Unshare(unix.CLONE_FS); err != nil {
				return err
			}
			return unix.Chroot("/mnt")
		}),
		call("open_tree", unix.SYS_OPEN_TREE, ^uintptr(99), text("/"), 1),
		call("move_mount", unix.SYS_MOVE_MOUNT, ^uintptr(99), text("/usr"), ^uintptr(99), text("/mnt"), 0),
		call("fsopen", unix.SYS_FSOPEN, text("tmpfs"), 0),
		call("mount_setattr", unix.SYS_MOUNT_SETATTR, ^uintptr(99), text("/usr"), 0, empty(), 32),
		plain("unshare mount", unshare(unix.CLONE_NEWNS)),
		plain("unshare net", unshare(unix.CLONE_NEWNET)),
		plain("unshare ipc", unshare(unix.CLONE_NEWIPC)),
		plain("unshare uts", unshare(unix.CLONE_NEWUTS)),
		plain("unshare cgroup", unshare(unix.CLONE_NEWCGROUP)),
		plain("unshare time", unshare(unix.CLONE_NEWTIME)),
		plain("setns of process 1", func() error {
			fd, err := unix.Open("/proc/1/ns/mnt", unix.O_RDONLY, 0)
			if err != nil {
				return err
			}
			return unix.Setns(fd, 0)
		}),
		plain("mknod", func() error { return unix.Mknod("/workspace/node", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 1))) }),
		call("name_to_handle_at", unix.SYS_NAME_TO_HANDLE_AT, ^uintptr(99), text("/usr"), empty(), empty(), 0),
		call("open_by_handle_at", unix.SYS_OPEN_BY_HANDLE_AT, ^uintptr(99), empty(), 0),
		call("quotactl", unix.SYS_QUOTACTL, 0x800007, text("/dev/vda"), 0, empty()),
		call("fanotify_init", unix.SYS_FANOTIFY_INIT, 0, 0),
	}
}

// machine are calls that change the whole machine.
func machine() []attempt {
	var clock unix.Timex
	clock.Modes = 1 // ADJ_OFFSET
	return []attempt{
		call("reboot", unix.SYS_REBOOT, 0xfee1dead, 672274793, 0x01234567, 0),
		call("kexec_load", unix.SYS_KEXEC_LOAD, 0, 0, 0, 0),
		call("init_module", unix.SYS_INIT_MODULE, empty(), 512, text("")),
		plain("finit_module", func() error {
			f, err := os.Open("/proc/self/exe")
			if err != nil {
				return err
			}
			defer func() { _ = f.Close() }()
			return unix.FinitModule(int(f.Fd()), "", 0)
		}),
		call("delete_module", unix.SYS_DELETE_MODULE, text("loop"), 0),
		plain("sethostname", func() error { return unix.Sethostname([]byte("probed")) }),
		plain("setdomainname", func() error { return unix.Setdomainname([]byte("probed")) }),
		plain("settimeofday", func() error { return unix.Settimeofday(&unix.Timeval{Sec: 1}) }),
		call("clock_settime", unix.SYS_CLOCK_SETTIME, unix.CLOCK_REALTIME, at(&unix.Timespec{Sec: 1})),
		plain("adjtimex", func() error { _, err := unix.Adjtimex(&clock); return err }),
		call("swapon", unix.SYS_SWAPON, text("/workspace/probe"), 0),
		call("swapoff", unix.SYS_SWAPOFF, text("/dev/vda")),
		call("acct", unix.SYS_ACCT, text("/workspace/plan.json")),
		call("syslog clear", unix.SYS_SYSLOG, 5, 0, 0),
		call("syslog console off", unix.SYS_SYSLOG, 6, 0, 0),
		call("vhangup", unix.SYS_VHANGUP),
		call("nfsservctl", unix.SYS_NFSSERVCTL, 0, 0, 0),
		call("setrlimit beyond", unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NPROC, at(&unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}), 0),
		call("ioprio_set", unix.SYS_IOPRIO_SET, 1, 0, 1<<13),
		call("sched_setscheduler", unix.SYS_SCHED_SETSCHEDULER, 0, 1, at(&[]int32{50}[0])),
		plain("nice -20", func() error { return unix.Setpriority(unix.PRIO_PROCESS, 0, -20) }),
	}
}

// kernels are calls into parts of Linux that were often its weak spots.
func kernels() []attempt {
	perf := &unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{}))}
	return []attempt{
		call("bpf map", unix.SYS_BPF, 0, empty(), 72),
		call("bpf load", unix.SYS_BPF, 5, empty(), 72),
		call("perf_event_open", unix.SYS_PERF_EVENT_OPEN, at(perf), 0, ^uintptr(0), ^uintptr(0), 0),
		call("io_uring_setup", unix.SYS_IO_URING_SETUP, 8, empty()),
		call("userfaultfd", unix.SYS_USERFAULTFD, 0),
		call("add_key", unix.SYS_ADD_KEY, text("user"), text("probe"), text("x"), 1, ^uintptr(3)),
		call("request_key", unix.SYS_REQUEST_KEY, text("user"), text("probe"), 0, 0),
		call("keyctl", unix.SYS_KEYCTL, 0, ^uintptr(2), 1),
		plain("ptrace init", func() error { return unix.PtraceAttach(1) }),
		call("process_madvise", unix.SYS_PROCESS_MADVISE, 0, empty(), 1, 4, 0),
		call("pidfd_getfd", unix.SYS_PIDFD_GETFD, 0, 0, 0),
		call("memfd_secret", unix.SYS_MEMFD_SECRET, 0),
		call("landlock", unix.SYS_LANDLOCK_CREATE_RULESET, empty(), 8, 0),
		call("move_pages", unix.SYS_MOVE_PAGES, 0, 0, 0, 0, 0, 0),
		call("migrate_pages", unix.SYS_MIGRATE_PAGES, 0, 64, empty(), empty()),
		call("lookup_dcookie", unix.SYS_LOOKUP_DCOOKIE, 0, empty(), 512),
		call("kcmp", unix.SYS_KCMP, 1, uintptr(os.Getpid()), 0, 0, 0),
		call("seccomp", unix.SYS_SECCOMP, 2, 0, empty()),
		call("no such call", 5000),
	}
}
