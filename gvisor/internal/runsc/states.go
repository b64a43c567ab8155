package runsc

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	abi "gvisor.dev/gvisor/pkg/abi/linux"
	"gvisor.dev/gvisor/pkg/errors/linuxerr"
	"gvisor.dev/gvisor/pkg/fspath"
	"gvisor.dev/gvisor/pkg/hostarch"
	"gvisor.dev/gvisor/pkg/sentry/arch"
	"gvisor.dev/gvisor/pkg/sentry/kernel"
	"gvisor.dev/gvisor/pkg/sentry/kernel/auth"
	"gvisor.dev/gvisor/pkg/sentry/syscalls/linux"
	"gvisor.dev/gvisor/pkg/sentry/vfs"
)

// sysStates is a system call of our own: statx(2) of many names of one directory. Entering
// the Sentry costs more than what statx does there. Linux and gVisor have nothing under
// this number, on either architecture, and gVisor takes none above 2000.
//
//	n = states(dirfd, names, length, buf, size)
//
// names are length bytes, each name with a NUL behind. In buf there is a header of the size
// of a struct statx, which begins with statesMagic, and then a struct statx for each name, as
// statx(dirfd, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS) would fill it. One whose stx_mask
// is 0 is not told, for whatever reason: statx itself says why. The answer is the number of
// bytes in buf. Without names dirfd is of no account, and the header alone is the answer: so
// the agent finds out that there is such a call.
//
// Only process 1 has it, which is the agent; for all others the number is unused. Nothing is
// done that the caller could not do by as many calls of statx: its descriptor, its root, its
// credentials. Nothing is kept from one call to the next, so nothing is to be saved with the
// memory of a sandbox; and an agent that wakes up over a Sentry without it gets ENOSYS.
const sysStates = 1990

// statesMagic begins every answer. The agent knows it too; who changes what the call means
// changes it in both.
const statesMagic = "pyro-states-1\x00\x00\x00"

// sizeOfStatx is that of Linux's struct statx, in bytes. gVisor's is shorter, by what Linux
// keeps for later.
const sizeOfStatx = 256

// Bounds of one call.
const (
	maxStates     = 256      // names
	maxStateNames = 64 << 10 // bytes of names
)

// The places of the arguments.
const (
	statesDir = iota
	statesNames
	statesLength
	statesBuf
	statesSize
)

// addStates puts the call into the tables.
func addStates(s *sharedFiles) error {
	for _, table := range []*kernel.SyscallTable{linux.AMD64, linux.ARM64} {
		if taken, is := table.Table[sysStates]; is {
			return fmt.Errorf("%v: %d is %s", table.Arch, sysStates, taken.Name)
		}
		table.Table[sysStates] = kernel.Syscall{Name: "pyro_states", Fn: s.states, SupportLevel: kernel.SupportFull}
		table.Init()
	}
	return nil
}

// states is the call.
func (s *sharedFiles) states(t *kernel.Task, _ uintptr, args arch.SyscallArguments) (uintptr, *kernel.SyscallControl, error) {
	if t.ThreadGroup() != t.Kernel().GlobalInit() {
		return 0, nil, linuxerr.ENOSYS
	}
	n, err := states(t, args, func(fd int32) (stater, error) { return s.staterOf(t, fd) })
	return n, nil, err
}

// memory is that of the caller. A kernel.Task is one.
type memory interface {
	CopyInBytes(addr hostarch.Addr, dst []byte) (int, error)
	CopyOutBytes(addr hostarch.Addr, src []byte) (int, error)
}

// stater tells what names of a directory are.
type stater interface {
	// stat reports whether it can tell.
	stat(name string, st *abi.Statx) bool
	close()
}

// states is the call without gVisor's part of it.
func states(m memory, args arch.SyscallArguments, open func(fd int32) (stater, error)) (uintptr, error) {
	names, err := statesAsked(m, args)
	if err != nil {
		return 0, err
	}
	buf := make([]byte, (1+len(names))*sizeOfStatx)
	if args[statesSize].SizeT() < uint(len(buf)) {
		return 0, linuxerr.EINVAL
	}
	copy(buf, statesMagic)
	if len(names) > 0 {
		at, err := open(args[statesDir].Int())
		if err != nil {
			return 0, err
		}
		defer at.close()
		for i, name := range names {
			var st abi.Statx
			if at.stat(name, &st) {
				st.MarshalBytes(buf[(1+i)*sizeOfStatx:])
			}
		}
	}
	if _, err := m.CopyOutBytes(args[statesBuf].Pointer(), buf); err != nil {
		return 0, err
	}
	return uintptr(len(buf)), nil
}

// statesAsked copies the names in.
func statesAsked(m memory, args arch.SyscallArguments) ([]string, error) {
	length := args[statesLength].SizeT()
	switch {
	case length == 0:
		return nil, nil
	case length > maxStateNames:
		return nil, linuxerr.EINVAL
	}
	raw := make([]byte, length)
	if _, err := m.CopyInBytes(args[statesNames].Pointer(), raw); err != nil {
		return nil, err
	}
	if raw[length-1] != 0 || bytes.Count(raw, []byte{0}) > maxStates {
		return nil, linuxerr.EINVAL
	}
	return slices.Collect(strings.SplitSeq(string(raw[:length-1]), "\x00")), nil
}

// directory is the stater of a task's descriptor.
type directory struct {
	t      *kernel.Task
	shared *sharedFiles
	root   vfs.VirtualDentry
	start  vfs.VirtualDentry
}

// staterOf is closed by the caller. What the descriptor is of, no directory or one that
// cannot be searched, is said by each stat.
func (s *sharedFiles) staterOf(t *kernel.Task, fd int32) (stater, error) {
	file := t.GetFile(fd)
	if file == nil {
		return nil, linuxerr.EBADF
	}
	defer file.DecRef(t)
	d := &directory{t: t, shared: s, root: t.FSContext().RootDirectory(), start: file.VirtualDentry()}
	d.start.IncRef()
	return d, nil
}

func (d *directory) close() {
	d.start.DecRef(d.t)
	d.root.DecRef(d.t)
}

// stat is statx(2). After a signal it tells nothing: what comes of it is dealt with when the
// call returns.
func (d *directory) stat(name string, st *abi.Statx) bool {
	if !isName(name) || d.t.Interrupted() {
		return false
	}
	told, err := d.t.Kernel().VFS().StatAt(d.t, d.t.Credentials(), &vfs.PathOperation{
		Root: d.root, Start: d.start, Path: fspath.Parse(name),
	}, &vfs.StatOptions{Mask: abi.STATX_BASIC_STATS})
	if err != nil {
		return false
	}
	users := d.t.UserNamespace()
	told.UID = uint32(auth.KUID(told.UID).In(users).OrOverflow())
	told.GID = uint32(auth.KGID(told.GID).In(users).OrOverflow())
	if d.shared.has(idOf(&told)) {
		told.Attributes |= attrUnseen
		told.AttributesMask |= attrUnseen
	}
	*st = told
	return true
}

// isName reports whether it is one name, and not a path.
func isName(name string) bool {
	return name != "" && len(name) <= abi.NAME_MAX && strings.IndexByte(name, '/') < 0
}
