// Package launch is what pyro-runsc does before runsc's code runs: it shuts out
// what the caller did not mean to hand on, runs the stage, and gives passed
// descriptors their fixed numbers. It imports nothing of gVisor, so that it can be
// tested in a moment.
//
// Descriptor 255. The caller passes any open file there. The kernel then sizes the
// descriptor table for 256 entries while the process has a single thread, and
// copies it with that size at fork; so nothing grows when the Sentry, by then with
// threads, moves its standard streams to 253-255. Growing the table of a process
// with threads waits for an RCU grace period, 8 to 14 ms on a small machine. The
// file itself is not used and does not reach the Sentry.
package launch

import (
	"errors"
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/gvisor/internal/stage"
)

// The names under which runsc starts itself again.
const (
	sentry = "runsc-sandbox"
	gofer  = "runsc-gofer"
)

// IsSentry reports whether an argument list makes this process the Sentry.
func IsSentry(argv []string) bool { return len(argv) > 0 && argv[0] == sentry }

// Prepare readies the process for runsc and returns the argument list that is
// runsc's: argv without the leading "--stage FILE", if there was one, and with
// passed descriptors renumbered. It changes the process for good (descriptors,
// environment, mounts); after an error the process must end.
func Prepare(argv []string) ([]string, error) {
	if len(argv) == 0 {
		return nil, errors.New("empty argument list")
	}
	switch argv[0] {
	case sentry:
		// Sentry and gofer hand descriptors and environment on over one more exec,
		// so both are left alone.
		argv, err := pin(argv)
		if err != nil {
			return nil, fmt.Errorf("pass-fd: %w", err)
		}
		return showLimit(argv, "/proc", cgroupRoot), nil
	case gofer:
		return argv, nil
	}
	if err := shutOut(); err != nil {
		return nil, err
	}
	return runStage(argv)
}

// shutOut keeps from Sentry and gofer whatever the caller let through. runsc hands
// on what it names; Go's exec leaves the rest open.
func shutOut() error {
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("close_range: %w", err)
	}
	// The caller gives an empty environment; this is for one who forgets.
	// GVISOR_SIDECAR_BINARIES_DIR would name another Sentry, TMPDIR and
	// XDG_RUNTIME_DIR other directories.
	os.Clearenv()
	return nil
}

func runStage(argv []string) ([]string, error) {
	if len(argv) < 2 || argv[1] != "--stage" {
		return argv, nil
	}
	if len(argv) < 4 {
		return nil, errors.New("stage: --stage needs a file and a command behind it")
	}
	if err := stage.Run(argv[2]); err != nil {
		return nil, fmt.Errorf("stage: %w", err)
	}
	return append([]string{argv[0]}, argv[3:]...), nil
}
