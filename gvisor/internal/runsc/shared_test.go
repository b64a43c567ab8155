package runsc

import (
	"testing"

	abi "gvisor.dev/gvisor/pkg/abi/linux"
	"gvisor.dev/gvisor/pkg/sentry/arch"
	"gvisor.dev/gvisor/pkg/sentry/kernel"
	"gvisor.dev/gvisor/pkg/sentry/syscalls/linux"
)

func TestSharedFilesAreRememberedUntilThereAreTooMany(t *testing.T) {
	var s sharedFiles
	file := func(n int) fileID { return fileID{minor: 18, inode: uint64(n)} }
	for n := range 3 {
		if s.has(file(n)) {
			t.Errorf("%d is known before it came", n)
		}
		s.note(file(n), 3)
		s.note(file(n), 3)
	}
	for n := range 3 {
		if !s.has(file(n)) {
			t.Errorf("%d is forgotten", n)
		}
	}
	if s.has(file(3)) || s.has(fileID{minor: 19, inode: 1}) {
		t.Error("another file is told, too")
	}
	s.note(file(3), 3)
	s.note(file(4), 3)
	for n := range 6 {
		if !s.has(file(n)) {
			t.Errorf("%d is not told, though there were too many", n)
		}
	}
	if len(s.files) != 0 {
		t.Errorf("%d are still held", len(s.files))
	}
}

// TestOnlySharedMappingsOfFilesAreOurs leaves all other calls to gVisor.
func TestOnlySharedMappingsOfFilesAreOurs(t *testing.T) {
	for name, c := range map[string]struct {
		flags uintptr
		ours  bool
	}{
		"shared":                {abi.MAP_SHARED, true},
		"shared, at an address": {abi.MAP_SHARED | abi.MAP_FIXED, true},
		"private":               {abi.MAP_PRIVATE, false},
		"both, so refused":      {abi.MAP_SHARED | abi.MAP_PRIVATE, false},
		"neither, so refused":   {0, false},
		"shared memory":         {abi.MAP_SHARED | abi.MAP_ANONYMOUS, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := sharesFile(int32(c.flags)); got != c.ours {
				t.Fatalf("ours: %v", got)
			}
			if c.ours {
				return // it takes a task
			}
			asked := arch.SyscallArguments{{Value: 1}, {Value: 2}, {Value: 3}, {Value: c.flags}, {Value: 5}, {Value: 6}}
			var got arch.SyscallArguments
			mmap := new(sharedFiles).withShared(func(_ *kernel.Task, _ uintptr, args arch.SyscallArguments) (uintptr, *kernel.SyscallControl, error) {
				got = args
				return 7, nil, nil
			})
			if at, _, err := mmap(nil, 0, asked); at != 7 || err != nil || got != asked {
				t.Errorf("%v became %v, %d, %v", asked, got, at, err)
			}
		})
	}
}

// TestSharedIsToldByEveryTable would fail where gVisor named the calls otherwise.
func TestSharedIsToldByEveryTable(t *testing.T) {
	for _, table := range []*kernel.SyscallTable{linux.AMD64, linux.ARM64} {
		for _, name := range []string{"mmap", "statx"} {
			if _, err := table.LookupNo(name); err != nil {
				t.Errorf("%v: %v", table.Arch, err)
			}
		}
	}
}
