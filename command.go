package pyro

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

// Cmd is a command in a workspace. It is used like [os/exec.Cmd]: set the fields,
// then call Run, or Start and Wait; once. It differs where another machine differs:
// the program is looked up in the guest, Env adds to the guest's environment, and
// signals go by name to the command and all that it started.
type Cmd struct {
	// Args is the program and its arguments. A bare name is looked up in the guest's
	// PATH, and one that is not there is run by /bin/sh.
	Args []string

	// Env is added to the guest's environment, as "K=V". Of a repeated key the last
	// entry counts.
	Env []string

	// Dir is an absolute path in the guest; /workspace if it is empty.
	Dir string

	// Stdin is what the command reads; nothing if it is nil. It is read ahead of the
	// command. Once the command has ended, Wait does not wait for an *os.File, and
	// for another reader only for a moment: a Read that is under way then goes on,
	// and what it returns is lost.
	Stdin io.Reader

	// Stdout and Stderr get the command's output, byte for byte, as it comes, and
	// never two writes at a time, even together. A Write that blocks holds the
	// command up. One that fails ends the command, and Wait returns that error. What
	// goes to a nil one is discarded.
	Stdout io.Writer
	Stderr io.Writer

	// Timeout ends the command. It is rounded up to whole seconds; 0 means
	// api.DefaultTimeoutSeconds.
	Timeout time.Duration

	// TTY is the size of the terminal that the command runs on; nil: pipes. On a terminal
	// there is one output, Stdout; Stdin is what is typed, and its end is typed too, as
	// control-D. Resize changes the size later.
	TTY *api.TerminalSize

	// SecretEnv puts secrets of the workspace into the command's environment: by the name
	// of the secret that of the variable. Where Env has such a variable, the secret counts.
	SecretEnv map[string]string

	ctx       context.Context
	workspace *Workspace
	line      string      // for the shell, in place of Args
	far       []io.Closer // ends of pipes that the stream uses, closed at the command's end
	near      []io.Closer // those that the caller has, closed by Wait
	stream    *stream
	waited    bool
	result    *api.WorkspaceExec
}

// Command returns a command that is about to run the program with the arguments.
// When ctx ends, the command is killed with all that it started in its process
// group, and Wait returns an api.Error with ctx's error in its chain.
func (w *Workspace) Command(ctx context.Context, program string, args ...string) *Cmd {
	return &Cmd{ctx: ctx, workspace: w, Args: append([]string{program}, args...)}
}

// ShellCommand returns a command that is about to run one line by /bin/sh -lc.
func (w *Workspace) ShellCommand(ctx context.Context, line string) *Cmd {
	return &Cmd{ctx: ctx, workspace: w, line: line}
}

// String returns the command as a line for a shell.
func (c *Cmd) String() string {
	if c.line != "" {
		return c.line
	}
	return api.Quote(c.Args)
}

// Run starts the command and waits for its end. The error is that of Wait.
func (c *Cmd) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}

// Start asks for the command and returns when the supervisor has taken the request.
// After an error nothing runs. After success, Wait must be called.
func (c *Cmd) Start() error {
	if c.stream != nil {
		return errors.New("command was started before")
	}
	request, err := c.request()
	if err != nil {
		return c.unstarted(api.About(opExec, c.workspace.id, err))
	}
	s, err := c.workspace.openStream(c.ctx, request)
	if err != nil {
		return c.unstarted(c.workspace.explain(c.ctx, opExec, err))
	}
	c.stream = s
	s.run(c.ctx, streams{stdin: c.Stdin, stdout: c.Stdout, stderr: c.Stderr, far: c.far})
	return nil
}

func (c *Cmd) unstarted(err error) error {
	closeAll(c.far)
	closeAll(c.near)
	return err
}

func (c *Cmd) request() (api.ExecRequest, error) {
	r := api.ExecRequest{
		Argv: c.Args, Command: c.line, Cwd: c.Dir, Env: make(map[string]string, len(c.Env)),
		TimeoutSeconds: seconds(c.Timeout), Stdin: c.Stdin != nil, TTY: c.TTY, SecretEnv: c.SecretEnv,
	}
	if err := api.CheckSecretEnv(c.SecretEnv); err != nil {
		return r, err
	}
	if c.TTY != nil {
		if err := c.TTY.Check(); err != nil {
			return r, err
		}
	}
	if r.TimeoutSeconds == 0 {
		r.TimeoutSeconds = api.DefaultTimeoutSeconds
	}
	for _, entry := range c.Env {
		key, value, ok := strings.Cut(entry, "=")
		if !ok || key == "" {
			return r, &api.Error{Kind: api.Invalid, Err: fmt.Errorf("environment entry %q is not K=V", key)}
		}
		r.Env[key] = value
	}
	return r, nil
}

// Wait waits until the command has ended and all of its output has been written.
// The error is nil if it ended with status 0, and an *ExitError if it ended in
// another way. An api.Error says that its end is unknown: ctx has ended, or the
// supervisor is gone. Pipes that the command gave are closed.
func (c *Cmd) Wait() error {
	if c.stream == nil {
		return errors.New("command was not started")
	}
	if c.waited {
		return errors.New("command was waited for before")
	}
	c.waited = true
	result, err := c.stream.wait(c.Stdin)
	closeAll(c.near)
	c.result = result
	if result != nil && (result.ExitCode != 0 || result.Reason != nil) {
		return &ExitError{Result: result, timeout: time.Duration(c.stream.request.TimeoutSeconds) * time.Second}
	}
	return err
}

// Result returns what is known of a command that Wait has returned for, whether it
// succeeded or not. Its Stdout and Stderr are empty: they went where the fields
// say. It is nil before, and where the end of the command is unknown.
func (c *Cmd) Result() *api.WorkspaceExec { return c.result }

// Signal sends a signal to the command's process group: HUP, INT, QUIT, TERM, KILL,
// USR1 or USR2, in either case and with or without SIG. It comes behind what has
// been read from Stdin, so it blocks while the command is behind with that; to end
// a command in any case, end its context. After the end it is os.ErrProcessDone.
func (c *Cmd) Signal(name string) error {
	if c.stream == nil {
		return errors.New("command was not started")
	}
	return c.stream.signal(name)
}

// Resize changes the size of the terminal of a command that was given a TTY. Like a
// signal it comes behind what has been read from Stdin. After the end it is
// os.ErrProcessDone.
func (c *Cmd) Resize(size api.TerminalSize) error {
	switch {
	case c.stream == nil:
		return errors.New("command was not started")
	case c.TTY == nil:
		return errors.New("command has no terminal")
	}
	if err := size.Check(); err != nil {
		return err
	}
	return c.stream.resize(size)
}

// Output runs the command and returns what it wrote to its Stdout, however long.
// If there is no Stderr, an *ExitError carries what was written there.
func (c *Cmd) Output() ([]byte, error) {
	if c.Stdout != nil {
		return nil, errors.New("stdout is set already")
	}
	var out bytes.Buffer
	c.Stdout = &out
	if c.Stderr != nil {
		err := c.Run()
		return out.Bytes(), err
	}
	var heard excerpt
	c.Stderr = &heard
	err := c.Run()
	if exit, ok := errors.AsType[*ExitError](err); ok {
		exit.Stderr = heard.bytes()
	}
	return out.Bytes(), err
}

// CombinedOutput runs the command and returns what it wrote to both of its streams,
// in the order in which it came.
func (c *Cmd) CombinedOutput() ([]byte, error) {
	if c.Stdout != nil || c.Stderr != nil {
		return nil, errors.New("stdout or stderr is set already")
	}
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	return out.Bytes(), err
}

// StdinPipe returns a pipe to the command's standard input. Close it to let the
// command see the end of the input. Wait closes it too.
func (c *Cmd) StdinPipe() (io.WriteCloser, error) {
	if c.Stdin != nil {
		return nil, errors.New("stdin is set already")
	}
	read, write, err := c.pipe()
	if err != nil {
		return nil, err
	}
	c.Stdin = read
	c.far, c.near = append(c.far, read), append(c.near, write)
	return write, nil
}

// StdoutPipe returns a pipe from the command's standard output. It ends when the
// command does. Wait closes it, so read it to its end before.
func (c *Cmd) StdoutPipe() (io.ReadCloser, error) { return c.outputPipe(&c.Stdout) }

// StderrPipe is StdoutPipe for the standard error.
func (c *Cmd) StderrPipe() (io.ReadCloser, error) { return c.outputPipe(&c.Stderr) }

func (c *Cmd) outputPipe(stream *io.Writer) (io.ReadCloser, error) {
	if *stream != nil {
		return nil, errors.New("stdout or stderr is set already")
	}
	read, write, err := c.pipe()
	if err != nil {
		return nil, err
	}
	*stream = write
	c.far, c.near = append(c.far, write), append(c.near, read)
	return read, nil
}

// pipe is one of the kernel's, for its buffer: who reads one stream to its end and
// then the other gets along with a command that writes a little to both.
func (c *Cmd) pipe() (read, write *os.File, err error) {
	if c.stream != nil {
		return nil, nil, errors.New("command was started before")
	}
	return os.Pipe()
}

func closeAll(closers []io.Closer) {
	for _, c := range closers {
		_ = c.Close() // a pipe of ours, perhaps closed before
	}
}
