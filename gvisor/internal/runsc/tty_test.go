package runsc

import (
	"testing"

	abi "gvisor.dev/gvisor/pkg/abi/linux"
	"gvisor.dev/gvisor/pkg/errors/linuxerr"
	"gvisor.dev/gvisor/pkg/sentry/arch"
	"gvisor.dev/gvisor/pkg/sentry/kernel"
)

func TestForegroundIsAskedForWhereThereIsNoAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		command        uint32
		answer, number error
		asked          bool
	}{
		"a master of others":     {abi.TIOCGPGRP, linuxerr.ENOTTY, nil, true},
		"the caller's own":       {abi.TIOCGPGRP, nil, nil, false},
		"no file at all":         {abi.TIOCGPGRP, linuxerr.EBADF, linuxerr.EBADF, false},
		"no master":              {abi.TIOCGPGRP, linuxerr.ENOTTY, linuxerr.ENOTTY, false},
		"another command":        {abi.TIOCSPGRP, linuxerr.ENOTTY, nil, false},
		"the size of a terminal": {abi.TIOCGWINSZ, nil, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			asked := false
			ioctl := withForeground(func(_ *kernel.Task, _ uintptr, args arch.SyscallArguments) (uintptr, *kernel.SyscallControl, error) {
				if args[1].Uint() == abi.TIOCGPTN {
					return 0, nil, c.number
				}
				return 0, nil, c.answer
			}, func(*kernel.Task, arch.SyscallArguments) error {
				asked = true
				return nil
			})
			_, _, err := ioctl(nil, 0, arch.SyscallArguments{{Value: 5}, {Value: uintptr(c.command)}, {Value: 7}})
			if asked != c.asked {
				t.Errorf("asked for the group: %v", asked)
			}
			if !c.asked && err != c.answer {
				t.Errorf("the answer %v became %v", c.answer, err)
			}
		})
	}
}
