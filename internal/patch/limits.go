package patch

import (
	"errors"
	"fmt"

	"github.com/pyro-sandbox/pyro/api"
)

// Limits bound what a patch may hold and ask for. A patch that goes beyond one is refused
// whole.
type Limits struct {
	Bytes  int   // of the patch
	Files  int   // sections
	Hunks  int   // of all sections
	Result int64 // bytes of all contents that are written
}

// DefaultLimits are the widest that anybody is served with; a face may ask for less.
var DefaultLimits = Limits{Bytes: 64 << 20, Files: 10_000, Hunks: 200_000, Result: 64 << 20}

const (
	// maxCompared bounds the lines that are compared in search of hunks that moved.
	maxCompared = 100_000_000
	// readFactor times Limits.Result bytes of old contents are read. A patch may remove
	// more than it writes.
	readFactor = 16
	// maxQuoted is how many bytes of a line or name an error shows.
	maxQuoted = 120
	// maxName and maxPart are what Linux takes (limits.h: PATH_MAX, NAME_MAX).
	maxName = 4095
	maxPart = 255
)

func fail(kind api.Kind, hint, format string, args ...any) error {
	return &api.Error{Kind: kind, Hint: hint, Err: fmt.Errorf(format, args...)}
}

func invalid(format string, args ...any) error { return fail(api.Invalid, "", format, args...) }

func conflict(format string, args ...any) error { return fail(api.Conflict, "", format, args...) }

// atLine tells where in the patch err lies, and keeps its kind and hint if it has them.
func atLine(line int, err error) error {
	kind := api.Invalid
	if e := new(api.Error); errors.As(err, &e) {
		kind = e.Kind
	}
	return fail(kind, api.HintOf(err), "line %d: %w", line, err)
}

// shown is a piece of a patch or a file for an error: bounded, and without what a terminal
// would obey.
func shown(text []byte) string {
	if len(text) > maxQuoted {
		return fmt.Sprintf("%+q…", text[:maxQuoted])
	}
	return fmt.Sprintf("%+q", text)
}
