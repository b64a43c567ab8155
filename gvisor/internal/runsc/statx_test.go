package runsc

import (
	"testing"

	abi "gvisor.dev/gvisor/pkg/abi/linux"
	"gvisor.dev/gvisor/pkg/sentry/arch"
	"gvisor.dev/gvisor/pkg/sentry/kernel"
)

func TestStatxAsksForAllBasicFields(t *testing.T) {
	for name, c := range map[string]struct{ asked, want uintptr }{
		"nothing":        {0, abi.STATX_BASIC_STATS},
		"the type":       {abi.STATX_TYPE, abi.STATX_BASIC_STATS},
		"birth, too":     {abi.STATX_BTIME, abi.STATX_BASIC_STATS | abi.STATX_BTIME},
		"a reserved bit": {abi.STATX__RESERVED, abi.STATX_BASIC_STATS | abi.STATX__RESERVED}, // which is refused as before
	} {
		t.Run(name, func(t *testing.T) {
			var got arch.SyscallArguments
			statx := withBasics(func(_ *kernel.Task, _ uintptr, args arch.SyscallArguments) (uintptr, *kernel.SyscallControl, error) {
				got = args
				return 0, nil, nil
			})
			if _, _, err := statx(nil, 0, arch.SyscallArguments{{Value: 1}, {Value: 2}, {Value: 3}, {Value: c.asked}, {Value: 5}}); err != nil {
				t.Fatal(err)
			}
			want := arch.SyscallArguments{{Value: 1}, {Value: 2}, {Value: 3}, {Value: c.want}, {Value: 5}}
			if got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}
