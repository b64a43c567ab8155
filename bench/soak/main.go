// Command soak runs pyro under a mixed load while its processes are killed, and looks
// whether everything it says stays true and nothing is left behind.
//
//	make && go run ./bench/soak -for 30m
//
// Workers do what users do; chaos kills command lines, supervisors, sandboxes and what
// is in them, or stops them for a while. After each blow the next command has to work or
// to give an error that is documented, and every file has to be one that was saved.
// Every few minutes everything is deleted, and then nothing may be left. The random
// choices of each worker follow from the seed; their interleaving does not.
//
// It exits with 0 when nothing was violated, with 1 when something was, and with 2 when
// it could not run.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/pyro-sandbox/pyro/internal/sys"
)

func main() { os.Exit(run()) }

// options are what the command line says.
type options struct {
	length   time.Duration
	every    time.Duration // between two times at which everything is deleted
	patience time.Duration // how long a command may take beyond its own timeout
	blows    time.Duration // between two kills, on average
	seed     uint64
	workers  int
	bin      string
	state    string
	report   string
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.DurationVar(&o.length, "for", 30*time.Minute, "how long")
	flags.DurationVar(&o.every, "every", 5*time.Minute, "time between two looks for leaks")
	flags.DurationVar(&o.patience, "patience", 10*time.Second, "how long a command may take beyond its own timeout")
	flags.DurationVar(&o.blows, "blows", 2500*time.Millisecond, "time between two kills, on average; 0: none")
	flags.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "of the random choices")
	flags.IntVar(&o.workers, "workers", 4, "how many work at once")
	flags.StringVar(&o.bin, "bin", "bin", "directory of the programs that make builds; they are copied")
	flags.StringVar(&o.state, "state", "/tmp", "directory in which the soak makes its own; short, for sockets lie in it")
	flags.StringVar(&o.report, "json", "", "file for the report as JSON")
	err := flags.Parse(args)
	if err == nil && (o.length <= 0 || o.every <= 0 || o.workers < 1 || flags.NArg() > 0) {
		err = fmt.Errorf("nothing to do for %v with %d workers and %q", o.length, o.workers, flags.Args())
	}
	return o, err
}

func run() int {
	o, err := parse(os.Args[1:], os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, sys.SIGTERM)
	defer stop()
	answer, err := soakFor(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		return 2
	}
	fmt.Print(answer)
	if o.report != "" {
		text, err := json.MarshalIndent(answer, "", "  ")
		if err == nil {
			err = os.WriteFile(o.report, append(text, '\n'), 0o644)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "soak:", err)
			return 2
		}
	}
	if len(answer.Violations) > 0 {
		return 1
	}
	return 0
}
