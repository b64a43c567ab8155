package runsc

import (
	"slices"
	"strings"
	"testing"

	abi "gvisor.dev/gvisor/pkg/abi/linux"
	"gvisor.dev/gvisor/pkg/errors/linuxerr"
	"gvisor.dev/gvisor/pkg/hostarch"
	"gvisor.dev/gvisor/pkg/sentry/arch"
	"gvisor.dev/gvisor/pkg/sentry/kernel"
	"gvisor.dev/gvisor/pkg/sentry/syscalls/linux"
)

// aTask has memory from address 4096 on, and one directory, which is descriptor 3.
type aTask struct {
	mem          []byte
	files        map[string]uint64 // inodes
	open, closed int
}

const base = 4096

func (a *aTask) CopyInBytes(addr hostarch.Addr, dst []byte) (int, error) {
	return a.copy(addr, dst, false)
}

func (a *aTask) CopyOutBytes(addr hostarch.Addr, src []byte) (int, error) {
	return a.copy(addr, src, true)
}

func (a *aTask) copy(addr hostarch.Addr, p []byte, out bool) (int, error) {
	at := int64(addr) - base
	if at < 0 || at > int64(len(a.mem)) || int64(len(p)) > int64(len(a.mem))-at {
		return 0, linuxerr.EFAULT
	}
	if out {
		return copy(a.mem[at:], p), nil
	}
	return copy(p, a.mem[at:]), nil
}

func (a *aTask) at(fd int32) (stater, error) {
	if fd != 3 {
		return nil, linuxerr.EBADF
	}
	a.open++
	return a, nil
}

func (a *aTask) close() { a.closed++ }

func (a *aTask) stat(name string, st *abi.Statx) bool {
	inode, is := a.files[name]
	if is {
		*st = abi.Statx{Mask: abi.STATX_BASIC_STATS, Ino: inode, Nlink: 1}
	}
	return is
}

// ask calls with names at the beginning of the memory, and buf behind the longest.
func (a *aTask) ask(fd int32, names string, size uint64) (uintptr, error) {
	copy(a.mem, names)
	return states(a, arch.SyscallArguments{{Value: uintptr(fd)}, {Value: base}, {Value: uintptr(len(names))}, {Value: base + maxStateNames}, {Value: uintptr(size)}}, a.at)
}

func newTask() *aTask {
	return &aTask{mem: make([]byte, 3*maxStateNames), files: map[string]uint64{"a": 1, "b": 2, "c d": 3}}
}

func TestStatesAreToldInOrder(t *testing.T) {
	for name, test := range map[string]struct {
		names string
		want  []uint64 // inodes; 0: not told
	}{
		"none, which asks whether it is there": {"", nil},
		"one":                                  {"a\x00", []uint64{1}},
		"some, and one that is not there":      {"b\x00none\x00c d\x00b\x00", []uint64{2, 0, 3, 2}},
		"empty ones":                           {"\x00\x00a\x00", []uint64{0, 0, 1}},
		"as many as may be":                    {strings.Repeat("a\x00", maxStates), slices.Repeat([]uint64{1}, maxStates)},
		"as long as may be":                    {strings.Repeat("x", maxStateNames-1) + "\x00", []uint64{0}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newTask()
			size := uint64(1+len(test.want)) * sizeOfStatx
			n, err := a.ask(3, test.names, size)
			if err != nil || uint64(n) != size || a.open != a.closed {
				t.Fatalf("%d bytes of %d, %v; %d opened, %d closed", n, size, err, a.open, a.closed)
			}
			buf := a.mem[maxStateNames:]
			if string(buf[:len(statesMagic)]) != statesMagic {
				t.Errorf("it begins with %q", buf[:len(statesMagic)])
			}
			for i, want := range test.want {
				var st abi.Statx
				st.UnmarshalBytes(buf[(1+i)*sizeOfStatx:])
				if st.Ino != want || (st.Mask == abi.STATX_BASIC_STATS) != (want != 0) {
					t.Errorf("%d: inode %d with mask %#x, want %d", i, st.Ino, st.Mask, want)
				}
			}
			if after := buf[size:]; slices.ContainsFunc(after, func(b byte) bool { return b != 0 }) {
				t.Error("it wrote beyond what it said")
			}
		})
	}
}

func TestBadStatesAreRefused(t *testing.T) {
	const enough = 2 * sizeOfStatx
	for name, test := range map[string]struct {
		args arch.SyscallArguments
		want error
	}{
		"names that are nowhere":    {arch.SyscallArguments{{Value: 3}, {Value: 1}, {Value: 2}, {Value: base}, {Value: enough}}, linuxerr.EFAULT},
		"names that end nowhere":    {arch.SyscallArguments{{Value: 3}, {Value: base + 3*maxStateNames - 1}, {Value: 2}, {Value: base}, {Value: enough}}, linuxerr.EFAULT},
		"a name without end":        {arch.SyscallArguments{{Value: 3}, {Value: base}, {Value: 1}, {Value: base}, {Value: enough}}, linuxerr.EINVAL},
		"too long names":            {arch.SyscallArguments{{Value: 3}, {Value: base}, {Value: maxStateNames + 1}, {Value: base}, {Value: enough}}, linuxerr.EINVAL},
		"names of a negative size":  {arch.SyscallArguments{{Value: 3}, {Value: base}, {Value: ^uintptr(0)}, {Value: base}, {Value: enough}}, linuxerr.EINVAL},
		"too many names":            {arch.SyscallArguments{{Value: 3}, {Value: base + 2}, {Value: maxStates + 1}, {Value: base}, {Value: maxStateNames * 2}}, linuxerr.EINVAL},
		"no room for the answer":    {arch.SyscallArguments{{Value: 3}, {Value: base}, {Value: 2}, {Value: base}, {Value: enough - 1}}, linuxerr.EINVAL},
		"no room for the header":    {arch.SyscallArguments{{Value: 3}, {}, {}, {Value: base}, {Value: sizeOfStatx - 1}}, linuxerr.EINVAL},
		"an answer nowhere":         {arch.SyscallArguments{{Value: 3}, {Value: base}, {Value: 2}, {Value: 8}, {Value: enough}}, linuxerr.EFAULT},
		"an answer that ends there": {arch.SyscallArguments{{Value: 3}, {Value: base}, {Value: 2}, {Value: base + 3*maxStateNames - 8}, {Value: enough}}, linuxerr.EFAULT},
		"a huge buffer nowhere":     {arch.SyscallArguments{{Value: 3}, {Value: base}, {Value: 2}, {Value: 0}, {Value: ^uintptr(0)}}, linuxerr.EFAULT},
		"no such descriptor":        {arch.SyscallArguments{{Value: 4}, {Value: base}, {Value: 2}, {Value: base}, {Value: enough}}, linuxerr.EBADF},
		"the working directory":     {arch.SyscallArguments{{Value: ^uintptr(99)}, {Value: base}, {Value: 2}, {Value: base}, {Value: enough}}, linuxerr.EBADF},
	} {
		t.Run(name, func(t *testing.T) {
			a := newTask()
			copy(a.mem, "a\x00")
			n, err := states(a, test.args, a.at)
			if n != 0 || err != test.want || a.open != a.closed {
				t.Errorf("%d, %v, want %v; %d opened, %d closed", n, err, test.want, a.open, a.closed)
			}
		})
	}
}

func TestNamesOfStatesAreNoPaths(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, " ": true, "...": true, "\xff\n": true, strings.Repeat("x", 255): true,
		"": false, "/": false, "/etc": false, "a/b": false, "a/": false, strings.Repeat("x", 256): false,
	} {
		if isName(name) != want {
			t.Errorf("%q is one: %v", name, !want)
		}
	}
}

// TestNoCallHasTheNumberOfStates would fail where gVisor, and so Linux, came to use it.
func TestNoCallHasTheNumberOfStates(t *testing.T) {
	for _, table := range []*kernel.SyscallTable{linux.AMD64, linux.ARM64} {
		if call, is := table.Table[sysStates]; is {
			t.Errorf("%v: %d is %s", table.Arch, sysStates, call.Name)
		}
		if max := table.MaxSysno(); max >= sysStates {
			t.Errorf("%v: calls go up to %d", table.Arch, max)
		}
	}
}
