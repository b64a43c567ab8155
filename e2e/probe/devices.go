//go:build linux

package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// machines are devices of a host, by type and number (Documentation/admin-guide/devices.txt).
var machines = []struct {
	name         string
	kind         uint32
	major, minor uint32
}{
	{"mem", unix.S_IFCHR, 1, 1},
	{"kmem", unix.S_IFCHR, 1, 2},
	{"port", unix.S_IFCHR, 1, 4},
	{"kmsg", unix.S_IFCHR, 1, 11},
	{"tty0", unix.S_IFCHR, 4, 0},
	{"ttyS0", unix.S_IFCHR, 4, 64},
	{"console", unix.S_IFCHR, 5, 1},
	{"kvm", unix.S_IFCHR, 10, 232},
	{"fuse", unix.S_IFCHR, 10, 229},
	{"loop-control", unix.S_IFCHR, 10, 237},
	{"vhost-net", unix.S_IFCHR, 10, 238},
	{"vhost-vsock", unix.S_IFCHR, 10, 241},
	{"uinput", unix.S_IFCHR, 10, 223},
	{"net/tun", unix.S_IFCHR, 10, 200},
	{"nvidia0", unix.S_IFCHR, 195, 0},
	{"dri/card0", unix.S_IFCHR, 226, 0},
	{"input/event0", unix.S_IFCHR, 13, 64},
	{"sda", unix.S_IFBLK, 8, 0},
	{"sda1", unix.S_IFBLK, 8, 1},
	{"loop0", unix.S_IFBLK, 7, 0},
	{"vda", unix.S_IFBLK, 254, 0},
	{"nvme0n1", unix.S_IFBLK, 259, 0},
	{"dm-0", unix.S_IFBLK, 253, 0},
	{"ram0", unix.S_IFBLK, 1, 0},
}

// devices lists the devices that there are, and opens and makes those that there
// should not be.
func devices(p *plan) []attempt {
	list := []attempt{{"devices that are there", present}}
	for _, d := range machines {
		number := int(unix.Mkdev(d.major, d.minor))
		list = append(
			list,
			plain("/dev/"+d.name, func() error { return openDevice("/dev/" + d.name) }),
			plain(d.name+" made", func() error { return openMade(d.kind, number) }),
		)
	}
	for i, path := range p.Devices {
		list = append(list, plain(fmt.Sprintf("device %d of the host", i+1), func() error { return openDevice(path) }))
	}
	return list
}

// present names the device nodes of the whole tree outside /usr.
func present() (string, error) {
	var found []string
	err := filepath.WalkDir("/", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil // nothing that we could open
		case path == "/usr" || path == "/proc" || path == "/sys":
			return fs.SkipDir
		case entry.Type()&fs.ModeDevice != 0:
			found = append(found, path)
		}
		return nil
	})
	return strings.Join(found, " "), err
}

func openDevice(path string) error {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

func openMade(kind uint32, number int) error {
	const at = "/workspace/device"
	_ = os.Remove(at)
	if err := unix.Mknod(at, kind|0o666, number); err != nil {
		return err
	}
	return openDevice(at)
}
