package launch

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// pipe returns the descriptors of a new pipe; whoever still has them at the end of
// the test closes them.
func pipe(t *testing.T) (r, w int) {
	t.Helper()
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	return p[0], p[1]
}

func TestPinMovesPassedDescriptors(t *testing.T) {
	control, controlPeer := pipe(t)
	packets, packetsPeer := pipe(t)
	for _, fd := range []int{controlPeer, packetsPeer, pinBase + 3, pinBase + 4} {
		t.Cleanup(func() { _ = unix.Close(fd) })
	}
	argv := []string{
		sentry, "--root=/run", "boot",
		"--pass-fd=" + strconv.Itoa(packets) + ":4", "--pass-fd=" + strconv.Itoa(control) + ":3", "--bundle=/b", "id",
	}
	got, err := Prepare(argv)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{sentry, "--root=/run", "boot", "--pass-fd=204:4", "--pass-fd=203:3", "--bundle=/b", "id"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
	for peer, pinned := range map[int]int{controlPeer: pinBase + 3, packetsPeer: pinBase + 4} {
		samePipe(t, peer, pinned)
	}
	for _, fd := range []int{control, packets} {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			t.Errorf("descriptor %d is still open", fd)
		}
	}
	t.Run("a second time changes nothing", func(t *testing.T) {
		again, err := Prepare(got)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, again); diff != "" {
			t.Errorf("arguments (-want +got):\n%s", diff)
		}
	})
}

// samePipe writes a byte into w and wants it out of r, which must stay open over
// an exec.
func samePipe(t *testing.T, w, r int) {
	t.Helper()
	if _, err := unix.Write(w, []byte{byte(r)}); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	if _, err := unix.Read(r, b); err != nil || b[0] != byte(r) {
		t.Errorf("descriptor %d gave %v, %v", r, b, err)
	}
	if flags, err := unix.FcntlInt(uintptr(r), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC != 0 {
		t.Errorf("descriptor %d has flags %#x, %v, want none", r, flags, err)
	}
}

func TestPinRefuses(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = null.Close() }()
	if err := unix.Dup3(int(null.Fd()), pinBase+5, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(pinBase + 5) }()
	open := strconv.Itoa(int(null.Fd()))

	tests := []struct{ name, value, want string }{
		{"one number", "3", "not HOST:GUEST"},
		{"no number", "x:3", "invalid syntax"},
		{"something behind", open + ":3x", "invalid syntax"},
		{"negative", open + ":-1", "must not be negative"},
		{"a number of the Sentry's own", open + ":53", "at most 52"},
		{"a number in use", open + ":5", "descriptor 205 is in use"},
		{"a descriptor that is not open", "150:6", "dup3: bad file descriptor"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			arg := "--pass-fd=" + test.value
			_, err := Prepare([]string{sentry, "boot", arg})
			if err == nil || !strings.HasPrefix(err.Error(), "pass-fd: "+arg+": ") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want pass-fd: %s: … %s", err, arg, test.want)
			}
		})
	}
}
