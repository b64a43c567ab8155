// Command pyro runs commands in disposable Linux workspaces. See package pyro, the
// module's root, for what it is, and `pyro --help` for how to use it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/pyro-sandbox/pyro/internal/cli"
	_ "github.com/pyro-sandbox/pyro/internal/early" // before the protocol's library
	"github.com/pyro-sandbox/pyro/internal/licenses"
	"github.com/pyro-sandbox/pyro/internal/local"
	"github.com/pyro-sandbox/pyro/internal/mcpserver"
	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/version"
)

func main() { os.Exit(run()) }

func run() int {
	if len(os.Args) > 1 && os.Args[1] == "supervise" {
		return supervise(os.Args[2:])
	}
	signals := make(chan os.Signal, 2) // one to stop the guest's command, one to leave
	signal.Notify(signals, sys.SIGINT, sys.SIGTERM)
	return cli.Run(context.Background(), cli.Env{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Environ: os.Environ(), Signals: cli.Presses(signals), Version: version.String(),
		Terminal:   watchTerminal,
		ReaderGone: func(ctx context.Context) <-chan struct{} { return sys.ReaderGone(ctx, os.Stdout) },
		Programs:   local.Version, Licenses: licenses.Text, Doctor: local.Doctor,
		Config: cli.Configuration{Show: local.Config, Path: local.ConfigPath, Init: local.InitConfig},
		MCP: cli.MCP{
			Profiles: mcpserver.Profiles(), Hidden: []string{mcpserver.ProfileConformance}, Modes: mcpserver.Modes(), Serve: serveMCP,
		},
		ServeAPI: serveAPI,
		Hosts:    hosts(),
	})
}

// watchTerminal is told of changes of the terminal, and that it is lost, until what it
// returns is called. A process that goes on after a stop may find it changed.
func watchTerminal(resized, lost chan<- os.Signal) func() {
	signal.Notify(resized, sys.SIGWINCH, sys.SIGCONT)
	signal.Notify(lost, sys.SIGHUP, sys.SIGQUIT)
	return func() {
		signal.Stop(resized)
		signal.Stop(lost)
	}
}

// supervise is what pyro starts in the background, one process for each running
// workspace. It is no command for people, and takes none of the time that those need.
func supervise(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), sys.SIGTERM)
	defer stop()
	if err := local.Supervise(ctx, args); err != nil {
		fmt.Fprintln(os.Stderr, "pyro supervise:", err)
		return 1
	}
	return 0
}
