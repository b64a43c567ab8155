package runsc

import (
	"sync"
	"sync/atomic"

	abi "gvisor.dev/gvisor/pkg/abi/linux"
	"gvisor.dev/gvisor/pkg/sentry/arch"
	"gvisor.dev/gvisor/pkg/sentry/fsimpl/overlay"
	"gvisor.dev/gvisor/pkg/sentry/kernel"
	"gvisor.dev/gvisor/pkg/sentry/vfs"
)

// attrUnseen is the bit of statx's stx_attributes for a file that a guest can or could
// change by a write to memory, which changes none of the file's times. Linux has no use
// for it, and who does not ask for it sees no other file than before. The agent knows it
// too.
const attrUnseen = 1 << 63

// maxShared is how many files are remembered one by one, some 50 bytes each. A guest that
// maps more makes all of them unseen.
const maxShared = 1 << 16

// fileID is what tells a file of the sandbox's root from any other: its layer never uses
// the number of an inode twice.
type fileID struct {
	major, minor uint32
	inode        uint64
}

// sharedFiles are those files of the sandbox's root that were ever mapped so that a write
// to memory changes them. Files elsewhere are of no interest: what lies there is gone when
// the sandbox ends.
type sharedFiles struct {
	state atomic.Uint32
	mu    sync.RWMutex
	files map[fileID]struct{} // by mu
}

// The states, in their order.
const (
	noneShared uint32 = iota
	someShared
	allShared // for all that is known
)

// add remembers a file. What it cannot tell from all others makes all of them unseen.
func (s *sharedFiles) add(t *kernel.Task, file *vfs.FileDescription) {
	fs := file.Mount().Filesystem()
	if fs.FilesystemType().Name() != overlay.Name {
		return // no other kind of file system has a layer of the root below it
	}
	st, err := file.Stat(t, vfs.StatOptions{Mask: abi.STATX_INO})
	if err != nil || fs != rootOf(t) {
		// The same file has another number in an overlay that the guest has mounted.
		s.state.Store(allShared)
		return
	}
	s.note(idOf(&st), maxShared)
}

// note remembers a file, unless they are most already.
func (s *sharedFiles) note(id fileID, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.files[id]; known || s.state.Load() == allShared {
		return
	}
	if len(s.files) == most {
		s.files = nil
		s.state.Store(allShared)
		return
	}
	if s.files == nil {
		s.files = make(map[fileID]struct{})
	}
	s.files[id] = struct{}{}
	s.state.Store(someShared)
}

// has reports whether a file was mapped.
func (s *sharedFiles) has(id fileID) bool {
	if state := s.state.Load(); state != someShared {
		return state == allShared
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, known := s.files[id]
	return known || s.state.Load() == allShared
}

func idOf(st *abi.Statx) fileID { return fileID{st.DevMajor, st.DevMinor, st.Ino} }

// rootOf is the file system that the sandbox has at its root, whatever the task has there.
func rootOf(t *kernel.Task) *vfs.Filesystem {
	namespace := t.Kernel().GlobalInit().Leader().GetMountNamespace()
	if namespace == nil {
		return nil // it is about to end
	}
	defer namespace.DecRef(t)
	root := namespace.Root(t)
	defer root.DecRef(t)
	return root.Mount().Filesystem() // only compared
}

// statxBuf is the place of what statx fills among its arguments.
const statxBuf = 4

// withUnseen is statx that tells which files were mapped.
func (s *sharedFiles) withUnseen(statx kernel.SyscallFn) kernel.SyscallFn {
	return func(t *kernel.Task, sysno uintptr, args arch.SyscallArguments) (uintptr, *kernel.SyscallControl, error) {
		n, control, err := statx(t, sysno, args)
		if err != nil || s.state.Load() == noneShared {
			return n, control, err
		}
		var st abi.Statx
		if _, err := st.CopyIn(t, args[statxBuf].Pointer()); err != nil {
			return 0, nil, err
		}
		if !s.has(idOf(&st)) {
			return n, control, err
		}
		st.Attributes |= attrUnseen
		st.AttributesMask |= attrUnseen
		_, err = st.CopyOut(t, args[statxBuf].Pointer())
		return 0, nil, err
	}
}
