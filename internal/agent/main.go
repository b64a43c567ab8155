package agent

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// Main is the program pyro-agent; args are without its name. It returns the exit
// code: 0 when the host has ended the connection or asked it to end, 2 for bad
// arguments, and 1 for everything else.
func Main(ctx context.Context, args []string, stderr io.Writer) int {
	o, err := parseOptions(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		_, _ = fmt.Fprintf(stderr, "pyro-agent: %v\n", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := o.serve(ctx); err != nil {
		_, _ = fmt.Fprintf(stderr, "pyro-agent: %v\n", err)
		return 1
	}
	return 0
}

// options are the arguments of pyro-agent.
type options struct {
	listen string
	fd     int
	config Config
}

func parseOptions(args []string, stderr io.Writer) (options, error) {
	o := options{config: Config{Env: os.Environ(), Init: os.Getpid() == 1}}
	set := flag.NewFlagSet("pyro-agent", flag.ContinueOnError)
	set.SetOutput(stderr)
	set.StringVar(&o.listen, "listen", "", "accept connections on `unix:PATH` or vsock:PORT")
	set.IntVar(&o.fd, "fd", -1, "serve the multiplexed socket that is open as descriptor `N`")
	set.IntVar(&o.config.MemMiB, "mem-mib", 0, "kill the biggest command when the guest uses more than `N` MiB; 0 for never")
	set.IntVar(&o.config.PIDs, "pids", 0, "let commands start processes while the guest has fewer than `N`; 0 for no limit")
	set.BoolVar(&o.config.Shared, "shared", false, "signal nothing but descendants, and end all of them before ending: the machine is not the agent's own")
	set.StringVar(&o.config.Workspace, "workspace", "", "the `directory` called /workspace, if it is another")
	set.StringVar(&o.config.Staging, "staging", "", "the `directory` of this agent alone in which pushed trees are put together; beside the workspace if empty")
	set.StringVar(&o.config.RunDir, "run-dir", "", "the `directory` called /run, if it is another")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	switch {
	case set.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", set.Arg(0))
	case (o.listen == "") == (o.fd < 0):
		return o, errors.New("give either --listen or --fd")
	case o.config.MemMiB < 0:
		return o, fmt.Errorf("--mem-mib is %d, 0 or more is allowed", o.config.MemMiB)
	case o.config.Shared && (o.config.MemMiB > 0 || o.config.PIDs > 0):
		return o, errors.New("--shared excludes --mem-mib and --pids, which are about the whole machine")
	case o.config.PIDs < 0:
		return o, fmt.Errorf("--pids is %d, 0 or more is allowed", o.config.PIDs)
	}
	return o, nil
}

func (o options) serve(ctx context.Context) error {
	if err := confine(); err != nil {
		return err
	}
	if o.config.Shared {
		endAll, err := adopt()
		if err != nil {
			return err
		}
		defer endAll()
	}
	if o.fd >= 0 {
		return serveControl(ctx, o.fd, o.config)
	}
	l, err := Listen(o.listen)
	if err != nil {
		return err
	}
	return Serve(ctx, l, o.config)
}

// confine keeps what is the agent's own from the commands: no descriptor but the
// first three, and no capability that survives exec by inheritance.
func confine() error {
	unix.Umask(0o022)
	if err := unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		for fd := 3; fd < 256; fd++ { // a kernel before 5.11
			unix.CloseOnExec(fd)
		}
	}
	return dropInheritable()
}

// dropInheritable clears the inheritable set of every thread, and with it the
// ambient one, which is a part of it (capabilities(7)).
func dropInheritable() error {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData // 64 bits in two halves
	if err := unix.Capget(&head, &sets[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	if sets[0].Inheritable == 0 && sets[1].Inheritable == 0 {
		return nil
	}
	sets[0].Inheritable, sets[1].Inheritable = 0, 0
	if err := capsetAll(&head, &sets); err != nil {
		return fmt.Errorf("drop inheritable capabilities: %w", err)
	}
	return nil
}
