package launch

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// pinBase + N is where the Sentry keeps what is descriptor N of the guest. maxGuest
// is the greatest such N: from 253 on the numbers are the Sentry's own.
const (
	pinBase  = 200
	maxGuest = 252 - pinBase
)

// pin moves the descriptors that --pass-fd names to numbers of their own and
// returns the arguments that say so.
//
// A memory image holds the number that a passed socket has in the Sentry, and after
// a restore that number is used again. runsc, left alone, numbers them behind
// whatever else it donates and in the order of a Go map. Then a restore fails
// ("initFromOptions failed: socket operation on non-socket") or, with two sockets,
// takes one for the other in silence. So the numbers must be the same at the first
// boot and at every restore.
func pin(argv []string) ([]string, error) {
	argv = slices.Clone(argv)
	for i, arg := range argv {
		value, ok := strings.CutPrefix(arg, "--pass-fd=")
		if !ok {
			continue
		}
		host, guest, err := parsePair(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", arg, err)
		}
		if err := move(host, pinBase+guest); err != nil {
			return nil, fmt.Errorf("%s: %w", arg, err)
		}
		argv[i] = fmt.Sprintf("--pass-fd=%d:%d", pinBase+guest, guest)
	}
	return argv, nil
}

// parsePair reads "HOST:GUEST", both in decimal.
func parsePair(value string) (host, guest int, err error) {
	left, right, ok := strings.Cut(value, ":")
	if !ok {
		return 0, 0, fmt.Errorf("%q is not HOST:GUEST", value)
	}
	if host, err = strconv.Atoi(left); err != nil {
		return 0, 0, err
	}
	if guest, err = strconv.Atoi(right); err != nil {
		return 0, 0, err
	}
	if host < 0 || guest < 0 || guest > maxGuest {
		return 0, 0, fmt.Errorf("numbers must not be negative, the guest's at most %d", maxGuest)
	}
	return host, guest, nil
}

// move gives descriptor from the number to, which must be free. The Sentry executes
// itself again with the arguments that it got from us: then it is there already.
func move(from, to int) error {
	if from == to {
		return nil
	}
	if _, err := unix.FcntlInt(uintptr(to), unix.F_GETFD, 0); err == nil {
		return fmt.Errorf("descriptor %d is in use", to)
	}
	if err := unix.Dup3(from, to, 0); err != nil {
		return fmt.Errorf("dup3: %w", err)
	}
	_ = unix.Close(from)
	return nil
}
