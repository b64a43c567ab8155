//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// processes looks for processes of the host, by list and by number, and does to them
// what it can. The last attempt signals everything that there is.
func processes(p *plan) []attempt {
	list := []attempt{{"programs that are seen", programs}}
	for i, pid := range p.PIDs {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err == nil {
			continue // the number is one of ours as well
		}
		list = append(list, against(fmt.Sprintf("process %d", i+1), pid)...)
	}
	return append(list, plain("kill -1", func() error { return unix.Kill(-1, unix.SIGKILL) }))
}

// programs are the names of all programs that run.
func programs() (string, error) {
	links, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		return "", err
	}
	var names []string
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil {
			return "", err
		}
		names = append(names, filepath.Base(target))
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), " "), nil
}

// against is what one can do to a process whose number one knows.
func against(who string, pid int) []attempt {
	n := uintptr(pid)
	var data [8]byte
	var limit unix.Rlimit
	local := unix.Iovec{Base: &data[0], Len: 8}
	remote := unix.RemoteIovec{Base: 0x400000, Len: 8}
	var set [16]uint64
	return []attempt{
		plain(who+": kill 0", func() error { return unix.Kill(pid, 0) }),
		plain(who+": SIGKILL", func() error { return unix.Kill(pid, unix.SIGKILL) }),
		plain(who+": SIGKILL to the group", func() error { return unix.Kill(-pid, unix.SIGKILL) }),
		plain(who+": tgkill", func() error { return unix.Tgkill(pid, pid, unix.SIGKILL) }),
		call(who+": tkill", unix.SYS_TKILL, n, uintptr(unix.SIGKILL)),
		plain(who+": pidfd_open", func() error {
			fd, err := unix.PidfdOpen(pid, 0)
			if err != nil {
				return err
			}
			return unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		}),
		plain(who+": ptrace attach", func() error { return unix.PtraceAttach(pid) }),
		plain(who+": ptrace seize", func() error { return unix.PtraceSeize(pid) }),
		plain(who+": process_vm_readv", func() error {
			_, err := unix.ProcessVMReadv(pid, []unix.Iovec{local}, []unix.RemoteIovec{remote}, 0)
			return err
		}),
		plain(who+": process_vm_writev", func() error {
			_, err := unix.ProcessVMWritev(pid, []unix.Iovec{local}, []unix.RemoteIovec{remote}, 0)
			return err
		}),
		plain(who+": prlimit", func() error { return unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &limit) }),
		plain(who+": getpgid", func() error { _, err := unix.Getpgid(pid); return err }),
		plain(who+": getsid", func() error { _, err := unix.Getsid(pid); return err }),
		plain(who+": setpriority", func() error { return unix.Setpriority(unix.PRIO_PROCESS, pid, 10) }),
		call(who+": sched_setaffinity", unix.SYS_SCHED_SETAFFINITY, n, 8, at(&set)),
		call(who+": kcmp", unix.SYS_KCMP, n, uintptr(os.Getpid()), 0),
		plain(who+": its memory", func() error { _, err := os.ReadFile(fmt.Sprintf("/proc/%d/mem", pid)); return err }),
		plain(who+": its command line", func() error { _, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); return err }),
		plain(who+": its namespaces", func() error {
			fd, err := unix.Open(fmt.Sprintf("/proc/%d/ns/mnt", pid), unix.O_RDONLY, 0)
			if err != nil {
				return err
			}
			return unix.Setns(fd, 0)
		}),
	}
}
