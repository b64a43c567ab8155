package agent

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Only what the kernel told in full counts.
func TestStatesThatAreNotToldAreAsked(t *testing.T) {
	s := states{buf: make([]unix.Statx_t, 4)}
	for i, mask := range []uint32{0, unix.STATX_BASIC_STATS, 0, unix.STATX_BASIC_STATS &^ unix.STATX_CTIME} {
		s.buf[i] = unix.Statx_t{Mask: mask, Ino: uint64(i)}
	}
	for i, told := range []bool{true, false, false, false, false} {
		st := s.of(i)
		if (st != nil) != told || told && st.Ino != uint64(1+i) {
			t.Errorf("%d: %+v", i, st)
		}
	}
	if new(states).of(0) != nil {
		t.Error("nothing tells something")
	}
}

// A kernel without the call, or a process that has none, is no error.
func TestStatesWithoutTheCall(t *testing.T) {
	if hasStates() {
		t.Error("there is said to be the call")
	}
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = dir.Close() }()
	s := states{buf: make([]unix.Statx_t, 2)}
	s.buf[1].Mask = unix.STATX_BASIC_STATS // of the time before
	s.ask(int(dir.Fd()), []string{"a"})
	if s.of(0) != nil {
		t.Error("what was told before is told again")
	}
	if got := string(packNames([]byte("x"), []string{"a", "", "b c"})); got != "xa\x00\x00b c\x00" {
		t.Errorf("the names are %q", got)
	}
}
