package runsc

import (
	"fmt"

	abi "gvisor.dev/gvisor/pkg/abi/linux"
	"gvisor.dev/gvisor/pkg/errors/linuxerr"
	"gvisor.dev/gvisor/pkg/marshal/primitive"
	"gvisor.dev/gvisor/pkg/sentry/arch"
	"gvisor.dev/gvisor/pkg/sentry/kernel"
	"gvisor.dev/gvisor/pkg/sentry/syscalls/linux"
)

// completeForeground makes TIOCGPGRP on the master of a terminal name the foreground
// process group whoever asks, as Linux does (tiocgpgrp in drivers/tty/tty_jobctrl.c).
// gVisor answers only to those whose own terminal it is, and nothing else tells which
// group of a session that is.
func completeForeground() error {
	for _, table := range []*kernel.SyscallTable{linux.AMD64, linux.ARM64} {
		number, err := table.LookupNo("ioctl")
		if err != nil {
			return fmt.Errorf("%v: %w", table.Arch, err)
		}
		call := table.Table[number]
		call.Fn = withForeground(call.Fn, foreground)
		table.Table[number] = call
		table.Init()
	}
	return nil
}

// withForeground is ioctl with an answer where the original has none. group returns the
// foreground group of the terminal whose number was written where args[2] points to.
func withForeground(ioctl kernel.SyscallFn, group func(t *kernel.Task, args arch.SyscallArguments) error) kernel.SyscallFn {
	return func(t *kernel.Task, sysno uintptr, args arch.SyscallArguments) (uintptr, *kernel.SyscallControl, error) {
		n, control, err := ioctl(t, sysno, args)
		if args[1].Uint() != abi.TIOCGPGRP || !linuxerr.Equals(linuxerr.ENOTTY, err) {
			return n, control, err
		}
		number := args
		number[1].Value = abi.TIOCGPTN // which only masters have
		if _, _, no := ioctl(t, sysno, number); no != nil {
			return n, control, err
		}
		return 0, nil, group(t, args)
	}
}

// foreground replaces the number of a terminal in the guest's memory by that of the
// terminal's foreground group.
func foreground(t *kernel.Task, args arch.SyscallArguments) error {
	var index uint32
	if _, err := primitive.CopyUint32In(t, args[2].Pointer(), &index); err != nil {
		return err
	}
	for _, tg := range t.PIDNamespace().ThreadGroups() {
		tty := tg.TTY()
		if tty == nil || tty.Index() != index {
			continue
		}
		pg, err := tg.ForegroundProcessGroup(tty)
		if err != nil || pg == nil {
			continue // it has just let go of it
		}
		_, err = primitive.CopyInt32Out(t, args[2].Pointer(), int32(t.PIDNamespace().IDOfProcessGroup(pg)))
		return err
	}
	return linuxerr.ENOTTY
}
