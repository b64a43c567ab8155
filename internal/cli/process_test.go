package cli

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/testgate"
)

// asPyro makes this test binary behave as pyro, on a fake SDK whose guest writes
// without end, or as a guestOf says.
const asPyro = "PYRO_TEST_AS_PYRO"

func TestMain(m *testing.M) {
	if os.Getenv(asPyro) == "" {
		os.Exit(m.Run())
	}
	fake := newFake()
	fake.guest = func(ctx context.Context, p *fakeProcess) (int, error) {
		for ctx.Err() == nil {
			if _, err := io.WriteString(p.Stdout, "y\n"); err != nil {
				return 0, err
			}
		}
		return 0, ctx.Err()
	}
	guestOf(os.Getenv(asPyro), fake)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, sys.SIGINT, sys.SIGTERM)
	a := &app{
		Env: Env{
			Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Version: "1.2.3", Environ: os.Environ(), Signals: signals,
			Terminal: func(resized, lost chan<- os.Signal) func() {
				signal.Notify(resized, sys.SIGWINCH, sys.SIGCONT)
				signal.Notify(lost, sys.SIGHUP, sys.SIGQUIT)
				return func() { signal.Stop(resized); signal.Stop(lost) }
			},
		},
		open: fake.open, terminal: isTerminal, sit: terminalOf,
	}
	os.Exit(a.run(context.Background()))
}

func TestProcessWithClosedPipe(t *testing.T) {
	for name, args := range map[string][]string{
		"endless guest": {"run", "host", "yes"}, "help": {"workspace", "create", "--help"}, "version": {"--version"},
	} {
		t.Run(name, func(t *testing.T) {
			read, write, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			_ = read.Close()
			var stderr bytes.Buffer
			cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
			cmd.Env = append(os.Environ(), asPyro+"=1")
			cmd.Stdout, cmd.Stderr = write, &stderr
			err = cmd.Run()
			_ = write.Close()
			if err == nil {
				t.Error("a closed stdout went unnoticed")
			}
			for _, word := range []string{"error", "panic", "goroutine", "pipe"} {
				if strings.Contains(stderr.String(), word) {
					t.Errorf("stderr says %q:\n%s", word, stderr.String())
				}
			}
		})
	}
}

func TestIsPipe(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = read.Close(), write.Close() }()
	file, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if !isPipe(write) || isPipe(file) || isPipe(io.Discard) {
		t.Errorf("pipe %v, file %v, neither %v", isPipe(write), isPipe(file), isPipe(io.Discard))
	}
}

func TestIsTerminal(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = null.Close() }()
	if isTerminal(null) || isTerminal(io.Discard) {
		t.Error("nothing is taken for a terminal")
	}
	pty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	testgate.Require(t, testgate.Terminal, err)
	defer func() { _ = pty.Close() }()
	if !isTerminal(pty) {
		t.Error("a terminal is not known as one")
	}
}
