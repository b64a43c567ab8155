package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

// serving is a `pyro serve` of the bench's own, which ends with its stdin.
type serving struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	client *pyro.Client // that asks it
	url    string
}

// serve starts a server on a unix socket.
func (b *bench) serve(ctx context.Context) (*serving, error) {
	cmd := exec.CommandContext(ctx, b.program("pyro"), "serve", "--private", "--json")
	cmd.Env = b.env
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &serving{cmd: cmd, stdin: stdin}
	var ready struct {
		URL string `json:"url"`
	}
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &ready)
	}
	if err == nil {
		s.url = ready.URL
		s.client, err = pyro.Open(&pyro.Options{URL: s.url, Env: b.env})
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *serving) close() error {
	_ = s.stdin.Close()
	return s.cmd.Wait()
}

// serveHop is what a call costs more through the server than to the supervisor itself.
func serveHop(ctx context.Context, b *bench) (r result, err error) {
	server, err := b.serve(ctx)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, server.close()) }()
	err = b.within(ctx, func(direct *pyro.Workspace) error {
		through, err := server.client.Get(ctx, direct.ID())
		if err != nil {
			return err
		}
		sides, err := inTurns(ctx, 5*b.n, stat(through), stat(direct), execTrue(through), execTrue(direct))
		if err != nil {
			return err
		}
		r = compared(sides[0], sides[1])
		r.What = "pyro serve on a unix socket: stat of a file"
		r.Command = "the supervisor itself: the same"
		hop, execHop := r.Product.P50-r.Baseline.P50, compared(sides[2], sides[3])
		r.Figures = []figure{
			{"the hop, p50", hop, "ms", "<= 0.5"},
			{"the hop of exec of true, p50", execHop.Product.P50 - execHop.Baseline.P50, "ms", "<= 0.5"},
		}
		return nil
	})
	return r, err
}

func stat(ws *pyro.Workspace) side {
	return func(ctx context.Context) (time.Duration, error) {
		began := time.Now()
		_, err := ws.Files().Stat(ctx, "/workspace")
		return time.Since(began), err
	}
}

func execTrue(ws *pyro.Workspace) side {
	return func(ctx context.Context) (time.Duration, error) {
		began := time.Now()
		_, err := ws.Exec(ctx, api.ExecRequest{Argv: []string{"true"}})
		return time.Since(began), err
	}
}

// exported is the size of the file that goes through the server, in bytes.
const exported = 1 << 30

// serveExport takes a long file out through the server, and looks at how much memory that
// takes there.
func serveExport(ctx context.Context, b *bench) (r result, err error) {
	server, err := b.serve(ctx)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, server.close()) }()
	err = b.with(ctx, &pyro.CreateOptions{OneShot: true, DiskMiB: 4096, MemMiB: 2048}, func(direct *pyro.Workspace) error {
		made, err := direct.Exec(ctx, api.ExecRequest{
			Command: fmt.Sprintf("head -c %d /dev/zero >big", exported), TimeoutSeconds: 600,
		})
		if err != nil || made.ExitCode != 0 {
			return fmt.Errorf("make the file: %w: %+v", err, made)
		}
		through, err := server.client.Get(ctx, direct.ID())
		if err != nil {
			return err
		}
		sides, err := inTurns(ctx, min(b.n, 3), export(through), export(direct))
		if err != nil {
			return err
		}
		peak, err := peakMemory(server.cmd.Process.Pid)
		r = compared(sides[0], sides[1])
		r.What, r.Command = "pyro serve: export of a file of 1 GiB", "the supervisor itself: the same"
		r.Figures = []figure{{"most memory of the server at any time", peak, "MiB", "<= 64"}}
		return err
	})
	return r, err
}

func export(ws *pyro.Workspace) side {
	return func(ctx context.Context) (time.Duration, error) {
		began := time.Now()
		_, err := ws.ExportTo(ctx, "/workspace/big", io.Discard, nil)
		return time.Since(began), err
	}
}

// peakMemory is the most memory that a process had resident, in MiB; see proc_pid_status(5).
func peakMemory(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		var kib float64
		if n, _ := fmt.Sscanf(line, "VmHWM: %f kB", &kib); n == 1 {
			return kib / 1024, nil
		}
	}
	return 0, errors.New("no VmHWM")
}

// python is an interpreter that does one thing for each line that it gets, and answers how
// many nanoseconds that took: see bench/python.py.
type python struct {
	cmd *exec.Cmd
	to  io.WriteCloser
	in  *bufio.Reader
}

func (b *bench) python(ctx context.Context, url, id string) (*python, error) {
	cmd := exec.CommandContext(ctx, "python3", filepath.Join("bench", "python.py"), id)
	cmd.Env = append(b.env, "PYTHONPATH="+filepath.Join("sdk", "python", "src"), "PYTHONDONTWRITEBYTECODE=1", "PYRO_URL="+url, "PYRO_BINARY="+b.program("pyro"))
	cmd.Stderr = os.Stderr
	to, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	from, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &python{cmd: cmd, to: to, in: bufio.NewReader(from)}, cmd.Start()
}

func (p *python) close() error {
	_ = p.to.Close()
	return p.cmd.Wait()
}

// does is a side that Python plays.
func (p *python) does(what string) side {
	return func(context.Context) (time.Duration, error) {
		if _, err := fmt.Fprintln(p.to, what); err != nil {
			return 0, err
		}
		var took time.Duration
		_, err := fmt.Fscanln(p.in, &took)
		return took, err
	}
}

// crowdSize is how many commands run at a time.
const crowdSize = 100

// pythonExec is a command by the Python SDK against the same by the Go SDK.
func pythonExec(ctx context.Context, b *bench) (r result, err error) {
	server, err := b.serve(ctx)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, server.close()) }()
	err = b.within(ctx, func(ws *pyro.Workspace) (err error) {
		py, err := b.python(ctx, server.url, ws.ID())
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, py.close()) }()
		sides, err := inTurns(ctx, 3*b.n, py.does("exec"), execTrue(ws))
		if err != nil {
			return err
		}
		crowds, err := inTurns(ctx, min(b.n, 5), py.does("storm"), storming(ws))
		if err != nil {
			return err
		}
		r = compared(sides[0], sides[1])
		r.What, r.Command, r.Target = "Python SDK: exec of true", "Go SDK: the same", "p50 <= 2"
		crowd := compared(crowds[0], crowds[1])
		r.Figures = []figure{
			{fmt.Sprintf("asyncio: %d of them at once, p50", crowdSize), crowd.Product.P50, "ms", ""},
			{fmt.Sprintf("goroutines: %d of them at once, p50", crowdSize), crowd.Baseline.P50, "ms", ""},
		}
		return nil
	})
	return r, err
}

// storming runs many commands at once.
func storming(ws *pyro.Workspace) side {
	return func(ctx context.Context) (time.Duration, error) {
		began := time.Now()
		ended := make(chan error, crowdSize)
		for range crowdSize {
			go func() { // ends with the command
				_, err := ws.Exec(ctx, api.ExecRequest{Argv: []string{"true"}})
				ended <- err
			}()
		}
		var errs []error
		for range crowdSize {
			errs = append(errs, <-ended)
		}
		return time.Since(began), errors.Join(errs...)
	}
}
