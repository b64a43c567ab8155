//go:build linux

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// kernelSettings are what a privileged program can change in a kernel, or ask of it, by
// writing, and what an attacker would write.
var kernelSettings = []struct{ path, value string }{
	{"/proc/sys/kernel/core_pattern", "|/workspace/probe"},
	{"/proc/sys/kernel/core_uses_pid", "7"},
	{"/proc/sys/kernel/modprobe", "/workspace/probe"},
	{"/proc/sys/kernel/hotplug", "/workspace/probe"},
	{"/proc/sys/kernel/poweroff_cmd", "/workspace/probe"},
	{"/proc/sys/kernel/hostname", "probed"},
	{"/proc/sys/kernel/domainname", "probed"},
	{"/proc/sys/kernel/sysrq", "511"},
	{"/proc/sys/kernel/panic", "1"},
	{"/proc/sys/kernel/panic_on_oops", "1"},
	{"/proc/sys/kernel/kptr_restrict", "0"},
	{"/proc/sys/kernel/dmesg_restrict", "0"},
	{"/proc/sys/kernel/perf_event_paranoid", "-1"},
	{"/proc/sys/kernel/unprivileged_bpf_disabled", "0"},
	{"/proc/sys/kernel/randomize_va_space", "0"},
	{"/proc/sys/kernel/pid_max", "301"},
	{"/proc/sys/kernel/threads-max", "301"},
	{"/proc/sys/kernel/ns_last_pid", "300"},
	{"/proc/sys/kernel/printk", "8 8 8 8"},
	{"/proc/sys/kernel/shmmax", "4096"},
	{"/proc/sys/kernel/msgmax", "1"},
	{"/proc/sys/kernel/sem", "1 1 1 1"},
	{"/proc/sys/kernel/core_pipe_limit", "7"},
	{"/proc/sys/kernel/yama/ptrace_scope", "0"},
	{"/proc/sys/kernel/usermodehelper/bset", "4294967295 4294967295"},
	{"/proc/sys/kernel/random/boot_id", "0"},
	{"/proc/sys/vm/overcommit_memory", "2"},
	{"/proc/sys/vm/drop_caches", "3"},
	{"/proc/sys/vm/panic_on_oom", "1"},
	{"/proc/sys/vm/swappiness", "7"},
	{"/proc/sys/vm/mmap_min_addr", "0"},
	{"/proc/sys/vm/max_map_count", "7"},
	{"/proc/sys/fs/file-max", "7"},
	{"/proc/sys/fs/nr_open", "7"},
	{"/proc/sys/fs/suid_dumpable", "2"},
	{"/proc/sys/fs/protected_hardlinks", "0"},
	{"/proc/sys/fs/protected_symlinks", "0"},
	{"/proc/sys/fs/pipe-max-size", "4096"},
	{"/proc/sys/fs/inotify/max_user_watches", "1"},
	{"/proc/sys/fs/binfmt_misc/register", ":probe:M::PR::/workspace/probe:"},
	{"/proc/sys/net/ipv4/ip_forward", "1"},
	{"/proc/sys/net/ipv4/tcp_sack", "0"},
	{"/proc/sys/net/ipv4/ip_local_port_range", "1000 1001"},
	{"/proc/sys/net/ipv4/tcp_rmem", "4096 4097 4098"},
	{"/proc/sys/net/core/somaxconn", "1"},
	{"/proc/sys/user/max_user_namespaces", "0"},
	{"/proc/sysrq-trigger", "h"},
	{"/proc/1/oom_score_adj", "-1000"},
	{"/proc/irq/default_smp_affinity", "1"},
	{"/sys/kernel/uevent_helper", "/workspace/probe"},
	{"/sys/kernel/mm/transparent_hugepage/enabled", "never"},
	{"/sys/kernel/mm/ksm/run", "1"},
	{"/sys/kernel/debug/tracing/tracing_on", "1"},
	{"/sys/kernel/security/lockdown", "confidentiality"},
	{"/sys/kernel/profiling", "1"},
	{"/sys/power/state", "mem"},
	{"/sys/power/disk", "shutdown"},
	{"/sys/module/kernel/parameters/panic", "1"},
	{"/sys/class/net/lo/mtu", "1000"},
	{"/sys/block/vda/queue/scheduler", "none"},
	{"/sys/devices/system/cpu/cpu1/online", "0"},
	{"/sys/fs/cgroup/memory/memory.limit_in_bytes", "-1"},
	{"/sys/fs/cgroup/cgroup.procs", "1"},
	{"/sys/fs/cgroup/release_agent", "/workspace/probe"},
	{"/sys/fs/cgroup/memory/release_agent", "/workspace/probe"},
}

// settings writes to each setting, and reads what identifies a kernel.
func settings(*plan) []attempt {
	var list []attempt
	for _, s := range kernelSettings {
		list = append(list, plain("write "+s.path, func() error { return set(s.path, s.value) }))
	}
	for _, path := range []string{"/proc/version", "/proc/sys/kernel/hostname"} {
		list = append(list, attempt{"read " + path, func() (string, error) {
			data, err := os.ReadFile(path)
			return string(data), err
		}})
	}
	for _, path := range []string{
		"/proc/kcore", "/proc/kmsg", "/proc/kallsyms", "/proc/iomem", "/proc/ioports", "/proc/keys", "/proc/timer_list", "/proc/sched_debug",
		"/proc/config.gz", "/proc/kpagecount", "/proc/kpageflags", "/proc/slabinfo", "/proc/vmallocinfo", "/proc/interrupts", "/proc/diskstats",
		"/proc/partitions", "/proc/scsi/scsi", "/proc/acpi", "/proc/asound", "/proc/bus/pci/devices", "/sys/firmware/dmi/tables/DMI",
		"/sys/firmware/acpi/tables/DSDT", "/sys/kernel/vmcoreinfo", "/sys/kernel/notes", "/sys/kernel/btf/vmlinux", "/sys/class/dmi/id/product_uuid",
	} {
		list = append(list, plain("read "+path, func() error { return open(path) }))
	}
	return append(list, attempt{"messages of the kernel", messages})
}

func set(path, value string) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	_, err = unix.Write(fd, []byte(value))
	return err
}

// messages returns the beginning of what dmesg shows.
func messages() (string, error) {
	text := make([]byte, 1<<16)
	n, err := unix.Klogctl(3, text) // SYSLOG_ACTION_READ_ALL
	if err != nil {
		return "", err
	}
	return string(text[:min(n, 60)]), nil
}
