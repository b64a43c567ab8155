// Package cli is the command line of pyro: it reads what a person or a script
// typed, asks the SDK for it, and prints what came of it.
//
// It decides nothing about sandboxes. What it can do, a program with the SDK can
// do, and apart from the SDK and the nouns of package api it imports nothing of
// pyro's. Its own business is the grammar of the command line, exit codes, the
// forms of output, signals, and that no text of a guest reaches a terminal with
// its control sequences intact.
//
// How it talks. stdout is the answer and stderr the talk. With --json the answer
// is one JSON value, printed at the end, and a failure is one too:
// {"ok": false, "error": …}. Without it a failure is a line "[error] …" and, as the
// next step, a line "[hint] …" on stderr. The exit code is 0, the guest's own, 1
// after an error, 2 for a command line that makes no sense, or 128 plus the number
// of the signal that made pyro leave.
package cli

import (
	"cmp"
	"context"
	"io"
	"os"

	"golang.org/x/term"

	"github.com/pyro-sandbox/pyro/api"
)

// Env is the process that the command line runs in.
type Env struct {
	Args    []string // without the program's name
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	Environ []string         // as os.Environ; the SDK finds its places by it
	Signals <-chan os.Signal // interrupts and requests to end, as they come; never closed
	Version string

	// Terminal lets changes of the terminal's size, and signals that say that it is lost,
	// come on two channels until what it returns is called; nil: nobody tells.
	Terminal func(resized, lost chan<- os.Signal) func()

	// ReaderGone is closed when nobody reads Stdout any more, as after `| head -1`; it is
	// asked for while nothing may come for long. nil: nobody tells.
	ReaderGone func(context.Context) <-chan struct{}

	// Programs says what else this installation consists of, handed in like Doctor,
	// and Licenses are the texts for all of it.
	Programs func(context.Context) (*api.Version, error)
	Licenses string

	// Doctor looks at this machine. It is handed in, since it needs the machine
	// and not only a client.
	Doctor func(context.Context, api.DoctorRequest) (*api.Doctor, error)

	// Config is the configuration of this machine, handed in like Doctor.
	Config Configuration

	MCP      MCP
	ServeAPI Serve
	Hosts    Hosts
}

// Run runs one command line and returns its exit code. Everything that it started
// has ended or ends with ctx.
func Run(ctx context.Context, env Env) int {
	a := &app{Env: env, open: openSDK, terminal: isTerminal, sit: terminalOf}
	return a.run(ctx)
}

// app is one run of the command line.
type app struct {
	Env
	open     func(environ []string) (client, error)
	terminal func(io.Writer) bool
	sit      func(io.Reader) (*os.File, bool) // the terminal that a stdin is
	json     bool                             // --json was given
	help     error                            // of printing help: cobra's hook for that returns none
}

func (a *app) run(ctx context.Context) int {
	// Scripts ask this often, and it needs no tree of commands.
	if len(a.Args) == 1 && a.Args[0] == "--version" {
		return a.conclude(a.printVersion())
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	root := a.tree()
	argv, err := arrange(root, a.Args)
	if err == nil {
		root.SetArgs(argv)
		err = cmp.Or(root.ExecuteContext(ctx), a.help)
	}
	return a.conclude(err)
}

func (a *app) printVersion() error { return a.print("pyro " + a.Version + "\n") }

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
