package agent

import (
	"bytes"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The system call by which pyro's Sentry tells what many names of a directory are, at the
// price of one statx(2); gvisor/internal/runsc/states.go says what it does, and has the same
// number, magic and bounds. Other kernels have no such call, and nothing here needs it.
const (
	sysStates     = 1990
	statesMagic   = "pyro-states-1\x00\x00\x00"
	maxStates     = 256      // names in a call
	maxStateNames = 64 << 10 // bytes of names
)

// hasStates reports whether there is the call. Nobody is asked but a Sentry: under another
// kernel the number may mean anything one day. That a Sentry answers with the magic is
// proof; one that does not know the call says ENOSYS.
var hasStates = sync.OnceValue(func() bool {
	var name unix.Utsname
	if unix.Uname(&name) != nil || !strings.HasSuffix(unix.ByteSliceToString(name.Release[:]), "-gvisor") {
		return false
	}
	return callStates(-1, nil, make([]unix.Statx_t, 1))
})

// states are what some names of one directory are. The zero value tells nothing.
type states struct {
	names []byte
	buf   []unix.Statx_t // a header, and one for each name
}

// ask finds out what at most maxStates names of a directory are. After it failed, nothing
// is told.
func (s *states) ask(at int, names []string) {
	s.buf = s.buf[:0]
	if !hasStates() || len(names) == 0 {
		return
	}
	s.names = packNames(s.names[:0], names)
	if len(s.names) > maxStateNames {
		return // longer than any of Linux
	}
	if cap(s.buf) <= len(names) {
		s.buf = make([]unix.Statx_t, 1+len(names))
	}
	s.buf = s.buf[:1+len(names)]
	clear(s.buf)
	if !callStates(at, s.names, s.buf) {
		s.buf = s.buf[:0]
	}
}

// packNames appends names, each with a NUL behind.
func packNames(to []byte, names []string) []byte {
	for _, name := range names {
		to = append(append(to, name...), 0)
	}
	return to
}

// of is what the name at place i is, or nil: that is not told.
func (s *states) of(i int) *unix.Statx_t {
	if 1+i >= len(s.buf) {
		return nil
	}
	st := &s.buf[1+i]
	if st.Mask&unix.STATX_BASIC_STATS != unix.STATX_BASIC_STATS {
		return nil
	}
	return st
}

// callStates does the call, and reports whether buf has an answer.
func callStates(at int, names []byte, buf []unix.Statx_t) bool {
	size := uintptr(len(buf)) * unsafe.Sizeof(buf[0])
	var first *byte
	if len(names) > 0 {
		first = &names[0]
	}
	n, _, errno := unix.Syscall6(sysStates, uintptr(at), uintptr(unsafe.Pointer(first)), uintptr(len(names)), uintptr(unsafe.Pointer(&buf[0])), size, 0)
	header := unsafe.Slice((*byte)(unsafe.Pointer(&buf[0])), len(statesMagic))
	return errno == 0 && n == size && bytes.Equal(header, []byte(statesMagic))
}
