//go:build linux

package main

import (
	"fmt"
	"net"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Where a beacon is. All names are fixed, so that whoever can see it finds it.
const (
	beaconAddress = "127.0.0.1:47111"
	beaconSocket  = "@probe-beacon"
	beaconKey     = 0x70726f62
)

var beaconFiles = []string{"/tmp/probe-beacon", "/dev/shm/probe-beacon", "/run/probe-beacon", "/workspace/probe-beacon", "/var/tmp/probe-beacon", "/usr/probe-beacon", "/dev/probe-beacon"}

// beacon leaves something in every place that processes share, and waits. It prints
// its number when all is there.
func beacon([]string) error {
	for _, path := range beaconFiles {
		if err := os.WriteFile(path, []byte("beacon"), 0o666); err != nil {
			return err
		}
	}
	for _, l := range []struct{ network, address string }{{"tcp", beaconAddress}, {"unix", beaconSocket}, {"unix", "/tmp/probe-beacon.sock"}} {
		listener, err := net.Listen(l.network, l.address)
		if err != nil {
			return err
		}
		defer func() { _ = listener.Close() }()
	}
	for _, get := range shared(unix.IPC_CREAT | 0o666) {
		if err := get(); err != nil {
			return err
		}
	}
	if err := unix.Mkfifo("/tmp/probe-beacon.fifo", 0o666); err != nil {
		return err
	}
	if _, err := fmt.Println(os.Getpid()); err != nil {
		return err
	}
	return wait(nil)
}

// shared are the objects of System V IPC, found by a key.
func shared(flags uintptr) map[string]func() error {
	return map[string]func() error{
		"shared memory": func() error { return raw(unix.SYS_SHMGET, beaconKey, 4096, flags) },
		"semaphores":    func() error { return raw(unix.SYS_SEMGET, beaconKey, 1, flags) },
		"message queue": func() error { return raw(unix.SYS_MSGGET, beaconKey, flags) },
	}
}

// seek looks for what a beacon has left.
func seek(*plan) []attempt {
	var list []attempt
	for _, path := range beaconFiles {
		list = append(list, plain(path, func() error { return open(path) }))
	}
	for what, get := range shared(0) {
		list = append(list, plain(what, get))
	}
	return append(
		list,
		plain("TCP", func() error { return knock("tcp", beaconAddress) }),
		plain("abstract socket", func() error { return knock("unix", beaconSocket) }),
		plain("socket", func() error { return knock("unix", "/tmp/probe-beacon.sock") }),
		plain("FIFO", func() error { _, err := os.Stat("/tmp/probe-beacon.fifo"); return err }),
		plain("listed sockets", func() error { return mentions("/proc/net/unix", "probe-beacon") }),
		plain("listed ports", func() error { return mentions("/proc/net/tcp", ":B807") }), // 47111
		plain("listed segments", func() error { return segments() }),
		plain("process", beaconProcess),
	)
}

func knock(network, address string) error {
	conn, err := net.Dial(network, address)
	if err != nil {
		return err
	}
	return conn.Close()
}

func mentions(path, what string) error {
	data, err := os.ReadFile(path)
	if err == nil && !strings.Contains(string(data), what) {
		err = unix.ENOENT
	}
	return err
}

// segments asks for any segment of shared memory (SHM_INFO), whatever its key.
func segments() error {
	const shmInfo = 14
	var info [8]uint64
	if _, err := value(unix.SYS_SHMCTL, 0, shmInfo, uintptr(unsafe.Pointer(&info))); err != nil {
		return err
	}
	if info[0]&0xffffffff == 0 {
		return unix.ENOENT
	}
	return nil
}

// beaconProcess looks for the process itself.
func beaconProcess() error {
	found, err := every("cmdline", "beacon")
	if err == nil && found == "not found" {
		err = unix.ENOENT
	}
	return err
}
