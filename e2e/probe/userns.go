//go:build linux

package main

import (
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// intoNamespaces runs the attempts of userns as root, with every capability, of a
// user namespace with mount, network, PID, IPC and UTS namespaces of its own.
func intoNamespaces() error {
	cmd := exec.Command("/proc/self/exe", "userns", "inside")
	cmd.Args[0] = "/workspace/probe"
	cmd.Path = "/workspace/probe"
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
		UidMappings: []syscall.SysProcIDMap{{HostID: 0, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: 0, Size: 1}},
	}
	return cmd.Run()
}

// userns are attempts with all capabilities of namespaces of one's own.
func userns(p *plan) []attempt {
	mount := func(source, kind string, flags uintptr, data string) func() error {
		return func() error { return unix.Mount(source, "/mnt", kind, flags, data) }
	}
	list := []attempt{
		{"capabilities", func() (string, error) { return status("CapEff") }},
		plain("mount tmpfs", mount("tmpfs", "tmpfs", 0, "")),
		plain("mount proc", mount("proc", "proc", 0, "")),
		plain("mount sysfs", mount("sysfs", "sysfs", 0, "")),
		plain("mount cgroup", mount("cgroup", "cgroup", 0, "")),
		plain("mount ext4", mount("/dev/vda", "ext4", 0, "")),
		plain("mount overlay", mount("o", "overlay", 0, "lowerdir=/usr:/etc")),
		plain("mount fuse", mount("fuse", "fuse", 0, "fd=0,rootmode=40000,user_id=0,group_id=0")),
		plain("mount 9p", mount("9p", "9p", 0, "trans=fd,rfdno=4,wfdno=4")),
		plain("mount bind", mount("/usr", "", unix.MS_BIND, "")),
		plain("remount /usr", func() error { return unix.Mount("", "/usr", "", unix.MS_REMOUNT, "") }),
		plain("remount /opt/pyro", func() error { return unix.Mount("", "/opt/pyro", "", unix.MS_REMOUNT|unix.MS_BIND, "") }),
		plain("umount /opt/pyro", func() error { return unix.Unmount("/opt/pyro", unix.MNT_DETACH) }),
		plain("sethostname", func() error { return unix.Sethostname([]byte("probed")) }),
		plain("reboot", func() error { return unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF) }),
		plain("settimeofday", func() error { return unix.Settimeofday(&unix.Timeval{Sec: 1}) }),
		plain("init_module", func() error { return unix.InitModule(garbage, "") }),
		plain("tun", tun),
		{"interfaces", interfaces},
		plain("a packet to metadata", func() error { _, err := dial("tcp", "169.254.169.254:80", nil); return err }),
		plain("the agent, written", func() error { return write("/opt/pyro/pyro-agent", unix.O_WRONLY) }),
	}
	for _, d := range machines {
		list = append(list, plain(d.name+" made", func() error { return openMade(d.kind, int(unix.Mkdev(d.major, d.minor))) }))
	}
	for _, path := range p.Files {
		list = append(list, plain("canary "+path, func() error { return open(path) }))
	}
	return list
}
