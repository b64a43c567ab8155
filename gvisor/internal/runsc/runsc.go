// Package runsc is the program pyro-runsc: gVisor's runsc as pyro's engine needs it.
// It is not a general runsc: it makes no file systems, networks or containers for
// others, and Commands is all that is left of its commands.
//
//	pyro-runsc --version                                 its name and gVisor's version
//	pyro-runsc seccomp-keys                              which filters are built in
//	pyro-runsc --stage FILE [runsc flags] COMMAND …      prepare namespaces (package stage), then runsc
//	pyro-runsc [runsc flags] COMMAND …                   runsc
//
// "--stage FILE" comes first or not at all. The engine calls run and fscheckpoint; run
// and restore-fd stay attached: the process lives as long as the sandbox, ends with
// PID 1's status, and the sandbox ends with it.
//
// In the Sentry it changes some system calls (statx.go, mmap.go, tty.go), and adds one, which
// only the agent has: statx of many names at once (states.go).
//
// Exit status: 125 where this program's own preparation failed, with one line on
// standard error that names the step; 128 where runsc failed, in its own words;
// otherwise PID 1's status, or 128 plus the signal's number. A guest may end with 125
// or 128 too; the caller tells by whether the agent has ever spoken.
package runsc

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"github.com/google/subcommands"
	"gvisor.dev/gvisor/runsc/cli"
	"gvisor.dev/gvisor/runsc/version"

	"github.com/pyro-sandbox/pyro/gvisor/internal/filters"
	"github.com/pyro-sandbox/pyro/gvisor/internal/launch"
	"github.com/pyro-sandbox/pyro/gvisor/internal/layer"
)

// Exit statuses of the program itself.
const (
	exitOK     = 0
	exitLaunch = 125
	exitRunsc  = 128
)

// Main runs the program with that argument list, the program's name included, and
// returns its exit status. It returns only from --version, seccomp-keys and a
// failed preparation; runsc ends the process itself.
func Main(argv []string, stdout, stderr io.Writer) int {
	if len(argv) == 2 {
		switch argv[1] {
		case "--version":
			_, _ = fmt.Fprintln(stdout, "pyro-runsc", version.Version())
			return exitOK
		case "seccomp-keys":
			_, _ = io.WriteString(stdout, strings.Join(filters.Keys(), "\n")+"\n")
			return exitOK
		}
	}
	args, err := launch.Prepare(argv)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "pyro-runsc: "+oneLine(err.Error()))
		return exitLaunch
	}
	filters.Register()
	if launch.IsSentry(args) {
		if err := layer.Register(); err != nil {
			_, _ = fmt.Fprintln(stderr, "pyro-runsc: layer: "+oneLine(err.Error()))
			return exitLaunch
		}
		if err := completeStatx(); err != nil {
			_, _ = fmt.Fprintln(stderr, "pyro-runsc: statx: "+oneLine(err.Error()))
			return exitLaunch
		}
		if err := completeForeground(); err != nil {
			_, _ = fmt.Fprintln(stderr, "pyro-runsc: ioctl: "+oneLine(err.Error()))
			return exitLaunch
		}
		shared := new(sharedFiles)
		if err := tellShared(shared); err != nil {
			_, _ = fmt.Fprintln(stderr, "pyro-runsc: mmap: "+oneLine(err.Error()))
			return exitLaunch
		}
		if err := addStates(shared); err != nil {
			_, _ = fmt.Fprintln(stderr, "pyro-runsc: states: "+oneLine(err.Error()))
			return exitLaunch
		}
	}
	os.Args = args // where runsc reads them
	cli.Run(nil, Commands(), []subcommands.Command{})
	return exitRunsc
}

// oneLine keeps the promise of one line whatever names stand in an error.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '?'
		}
		return r
	}, text)
}
