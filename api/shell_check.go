package api

import (
	"fmt"
	"slices"
	"strings"
)

// ShellSignals are the signals that a shell takes.
var ShellSignals = []string{"HUP", "INT", "TERM", "KILL"}

// Check returns an Invalid error for a size that no terminal can have. Zeros are not
// allowed.
func (s TerminalSize) Check() error {
	for _, f := range []struct {
		name  string
		value int
	}{{"cols", s.Cols}, {"rows", s.Rows}} {
		if f.value < 1 || f.value > MaxTerminal {
			return invalid(f.name, fmt.Sprintf("is %d, allowed are 1 to %d", f.value, MaxTerminal), "choose a value in that range")
		}
	}
	return nil
}

// WithDefaults returns r with zero values replaced by the defaults.
func (r ShellOpenRequest) WithDefaults() ShellOpenRequest {
	if r.Cwd == "" {
		r.Cwd = WorkspacePath
	}
	if r.Cols == 0 {
		r.Cols = DefaultCols
	}
	if r.Rows == 0 {
		r.Rows = DefaultRows
	}
	return r
}

// Check returns an Invalid error for a shell that cannot be opened, whatever the state of
// the workspace.
func (r ShellOpenRequest) Check() error {
	r = r.WithDefaults()
	if err := (TerminalSize{r.Cols, r.Rows}).Check(); err != nil {
		return err
	}
	return CheckSecretEnv(r.SecretEnv)
}

// Check returns an Invalid error for a read outside the limits.
func (r ShellReadRequest) Check() error {
	switch idle := r.WaitForIdleMS; {
	case r.Cursor < 0:
		return invalid("cursor", fmt.Sprintf("is %d, it must be 0 or greater", r.Cursor), "go on from next_cursor of the last read")
	case r.MaxChars < 0:
		return invalid("max_chars", fmt.Sprintf("is %d, it must be greater than 0", r.MaxChars), "leave it out for the default")
	case idle != nil && (*idle < 1 || *idle > MaxIdleWaitMS):
		return invalid("wait_for_idle_ms", fmt.Sprintf("is %d, allowed are 1 to %d", *idle, MaxIdleWaitMS), "300 is usual")
	}
	return nil
}

// Check returns an Invalid error for an input that is too long.
func (r ShellWriteRequest) Check() error {
	if len(r.Input) > MaxShellInput {
		return invalid("input", fmt.Sprintf("has %d bytes, allowed are %d", len(r.Input), MaxShellInput), "write it in pieces, or bring in a file by `pyro workspace sync push`")
	}
	return nil
}

// Check returns an Invalid error for a signal that shells do not take. Case does not
// matter.
func (r ShellSignalRequest) Check() error {
	if !slices.Contains(ShellSignals, strings.ToUpper(r.Signal)) {
		return invalid("signal", fmt.Sprintf("%q is not known", clip(r.Signal)), "use one of "+strings.Join(ShellSignals, ", "))
	}
	return nil
}
