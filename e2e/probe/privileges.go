//go:build linux

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// setuidCopy is a program of root that anybody may run.
const setuidCopy = "/tmp/setuid-probe"

// privileges makes programs that would give their users more than they have.
func privileges(*plan) []attempt {
	return []attempt{
		{"a command", func() (string, error) { return asUser("/workspace/probe", 0) }},
		plain("a set-uid program of root", func() error { return copyProgram(0o4755) }),
		{"it, run by user 1000", func() (string, error) { return asUser(setuidCopy, 1000) }},
		plain("a program with all capabilities", func() error {
			return errors.Join(os.Chmod(setuidCopy, 0o755), unix.Setxattr(setuidCopy, "security.capability", fileCapabilities(), 0))
		}),
		{"that one, run by user 1000", func() (string, error) { return asUser(setuidCopy, 1000) }},
		{"that one, run by root", func() (string, error) { return asUser(setuidCopy, 0) }},
		{"a set-uid program of the host, run by user 1000", func() (string, error) { return exitOf("/usr/bin/su", "-c", "true") }},
		plain("a mapping of more users", func() error { return mapUsers("0 0 4294967295") }),
		plain("a mapping of root", func() error { return mapUsers("0 0 1") }),
		plain("no_new_privs taken back", func() error { return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0) }),
		plain("an ambient capability", func() error {
			return unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, unix.CAP_SYS_ADMIN, 0, 0)
		}),
		plain("all capabilities", allCapabilities),
		plain("capabilities for /usr", func() error {
			return unix.Setxattr("/usr/bin/env", "security.capability", fileCapabilities(), 0)
		}),
		plain("set-uid in /usr", func() error { return os.Chmod("/usr/bin/env", 0o6755) }),
	}
}

// setuid is a part of privileges that stays behind for the host to look at.
func setuid(*plan) []attempt {
	return []attempt{plain("set-uid program left behind", func() error { return copyProgram(0o6755) })}
}

func copyProgram(mode uint32) error {
	data, err := os.ReadFile("/workspace/probe")
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(setuidCopy, data, 0o755), unix.Chmod(setuidCopy, mode))
}

// fileCapabilities is security.capability, version 2, with every capability (capabilities(7)).
func fileCapabilities() []byte {
	var data []byte
	for _, word := range []uint32{0x02000001, ^uint32(0), 0, ^uint32(0), 0} {
		data = binary.LittleEndian.AppendUint32(data, word)
	}
	return data
}

func asUser(program string, uid uint32) (string, error) {
	cmd := exec.Command(program, "whoami")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

// exitOf says how a program ended for user 1000.
func exitOf(program string, args ...string) (string, error) {
	cmd := exec.Command(program, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}
	if err := cmd.Run(); err != nil {
		return "fails", nil
	}
	return "", nil
}

// whoami prints user ids and capabilities.
func whoami([]string) error {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	var said []string
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		if name == "Uid" || name == "CapEff" || name == "CapPrm" || name == "CapBnd" || name == "NoNewPrivs" {
			said = append(said, name+"="+strings.Join(strings.Fields(value), ","))
		}
	}
	_, err = io.WriteString(os.Stdout, strings.Join(said, " ")+"\n")
	return err
}

// mapUsers makes a user namespace and maps users of the one above it.
func mapUsers(mapping string) error {
	cmd := exec.Command("/workspace/probe", "wait")
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = os.WriteFile(fmt.Sprintf("/proc/%d/uid_map", cmd.Process.Pid), []byte(mapping), 0)
	_ = in.Close()
	_ = cmd.Wait()
	return err
}

func allCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	all := unix.CapUserData{Effective: ^uint32(0), Permitted: ^uint32(0), Inheritable: ^uint32(0)}
	return unix.Capset(&header, &[]unix.CapUserData{all, all}[0])
}

// wait ends with its standard input.
func wait([]string) error {
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}
