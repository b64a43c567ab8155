package runsc

import (
	"fmt"

	abi "gvisor.dev/gvisor/pkg/abi/linux"
	"gvisor.dev/gvisor/pkg/sentry/arch"
	"gvisor.dev/gvisor/pkg/sentry/kernel"
	"gvisor.dev/gvisor/pkg/sentry/syscalls/linux"
)

// completeStatx makes statx(2) fill in all basic fields, whichever were asked for, as
// Linux does (fs/stat.c). gVisor's overlay leaves the size out where it was not asked
// for, and stat -c %F then calls every file an empty one.
func completeStatx() error {
	for _, table := range []*kernel.SyscallTable{linux.AMD64, linux.ARM64} {
		number, err := table.LookupNo("statx")
		if err != nil {
			return fmt.Errorf("%v: %w", table.Arch, err)
		}
		call := table.Table[number]
		call.Fn = withBasics(call.Fn)
		table.Table[number] = call
		table.Init()
	}
	return nil
}

// statxMask is the place of the mask among the arguments of statx.
const statxMask = 3

func withBasics(statx kernel.SyscallFn) kernel.SyscallFn {
	return func(t *kernel.Task, sysno uintptr, args arch.SyscallArguments) (uintptr, *kernel.SyscallControl, error) {
		args[statxMask].Value |= abi.STATX_BASIC_STATS
		return statx(t, sysno, args)
	}
}
