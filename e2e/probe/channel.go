//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// channel looks for the agent's way to the host, and at what a command inherits.
func channel(*plan) []attempt {
	return []attempt{
		{"inherited descriptors", inherited},
		{"working directory", os.Getwd},
		{"descriptors of process 1", kinds},
		plain("ptrace attach", func() error { return unix.PtraceAttach(1) }),
		plain("ptrace seize", func() error { return unix.PtraceSeize(1) }),
		plain("pidfd_getfd", func() error {
			fd, err := unix.PidfdOpen(1, 0)
			if err != nil {
				return err
			}
			_, err = unix.PidfdGetfd(fd, 3, 0)
			return err
		}),
		plain("the channel opened by /proc", func() error { return openDevice("/proc/1/fd/3") }),
		plain("its memory read", func() error { _, err := memory(1, "no such text"); return err }),
		plain("its memory written", func() error {
			f, err := os.OpenFile("/proc/1/mem", os.O_RDWR, 0)
			if err != nil {
				return err
			}
			defer func() { _ = f.Close() }()
			_, err = f.WriteAt(garbage, 0x400000)
			return err
		}),
	}
}

// hijack takes the channel from the agent, which root may once it has told the kernel
// that tracing is allowed, and sends garbage to the host.
func hijack([]string) error {
	if err := set("/proc/sys/kernel/yama/ptrace_scope", "0"); err != nil {
		return err
	}
	process, err := unix.PidfdOpen(1, 0)
	if err != nil {
		return err
	}
	var last error
	for fd := range 16 {
		taken, err := unix.PidfdGetfd(process, fd, 0)
		if err != nil {
			last = err
			continue
		}
		for range 64 {
			if err := unix.Sendto(taken, make([]byte, 1<<16), unix.MSG_DONTWAIT, nil); err != nil {
				break // full, or no socket
			}
		}
	}
	return last
}

// stopAgent stops process 1, and with it the answer to this very command.
func stopAgent([]string) error { return unix.Kill(1, unix.SIGSTOP) }

// inherited names the descriptors that are open beyond those that the runtime of Go
// makes for itself.
func inherited() (string, error) {
	var open []string
	for fd := range 1024 {
		target, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
		if err != nil || strings.HasPrefix(target, "anon_inode:") {
			continue
		}
		kind, _, _ := strings.Cut(target, ":")
		open = append(open, fmt.Sprintf("%d=%s", fd, kind))
	}
	return strings.Join(open, " "), nil
}

// kinds are the kinds of descriptors of process 1, without those of its runtime.
func kinds() (string, error) {
	links, err := filepath.Glob("/proc/1/fd/*")
	count := make(map[string]int)
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil {
			continue
		}
		kind, _, _ := strings.Cut(target, ":")
		count[kind]++
	}
	return fmt.Sprint("host:", count["host"], " socket:", count["socket"]), err
}
