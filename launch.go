package pyro

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/source"
	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/wire"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

const (
	launchTime = 10 * time.Minute // to make a workspace; a large image may have to come first
	undoTime   = 10 * time.Second // to undo a half-made one
	exitTime   = 2 * time.Second  // from a supervisor's last word to its end
	maxAnswer  = 1 << 20          // of its one line, in bytes
)

// supervisor is a process of ours that has just been started.
type supervisor struct {
	id   string
	conn net.Conn   // to its descriptor 3
	end  chan error // one value, when it has ended
	talk *os.File   // its stdout and stderr, read only if it dies early; no name leads to it
}

// spawn starts `pyro supervise ID` in a session of its own: it must live on when
// this program ends or its terminal is interrupted.
func (c *Client) spawn(id string) (*supervisor, error) {
	binary, err := c.findBinary()
	if err != nil {
		return nil, err
	}
	talk, err := unnamedFile(c.dirs.State)
	if err != nil {
		return nil, sys.Explain("start a supervisor", err)
	}
	conn, theirs, err := sys.Socketpair()
	if err != nil {
		_ = talk.Close()
		return nil, sys.Explain("start a supervisor", err)
	}
	cmd := exec.Command(binary, "supervise", id)
	cmd.Env = c.supervisorEnv()
	cmd.Stdout, cmd.Stderr = talk, talk
	cmd.ExtraFiles = []*os.File{theirs}
	sys.OwnSession(cmd)
	err = cmd.Start()
	_ = theirs.Close() // else its end would not be seen
	if err != nil {
		_, _ = conn.Close(), talk.Close()
		return nil, sys.Explain("start a supervisor", err)
	}
	s := &supervisor{id: id, conn: conn, end: make(chan error, 1), talk: talk}
	go func() { s.end <- cmd.Wait() }() // ends with the supervisor, which nobody else reaps
	return s, nil
}

// supervisorEnv names the directories in force, so that the supervisor does not
// have to find the same ones again.
func (c *Client) supervisorEnv() environ {
	dirs := c.dirs
	return c.env.forSupervisor().
		with(envStateDir, dirs.State).
		with(envRunDir, filepath.Dir(dirs.Run)). // below it, one directory per state directory
		with(envCacheDir, dirs.Cache)
}

// unnamedFile makes a file that is gone when the last process has closed it.
func unnamedFile(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "supervisor-*.log")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// negotiate says what is wanted, sends the seed, and waits for the answer. When ctx
// ends it tells the supervisor to undo, and waits for that: an answer may still come
// then. The connection stays open. With the supervisor's own error comes its answer.
func (s *supervisor) negotiate(ctx context.Context, op string, launch workspace.Launch, seed *source.Source) (*workspace.Launched, error) {
	defer func() { _ = s.talk.Close() }()
	_ = s.conn.SetDeadline(time.Now().Add(launchTime))
	stop := context.AfterFunc(ctx, func() { // does not block
		_ = s.conn.SetReadDeadline(time.Now().Add(undoTime))
		if c, ok := s.conn.(*net.UnixConn); ok {
			_ = c.CloseWrite()
		}
	})
	launched, err := s.converse(ctx, launch, seed)
	if stop() {
		_ = s.conn.SetDeadline(time.Time{})
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ended(ctx, op, s.id)
	case err != nil:
		return nil, s.silent(op, err)
	case launched.Error != nil && ctx.Err() != nil:
		return nil, ended(ctx, op, s.id)
	case launched.Error != nil:
		return launched, launched.Error.Err()
	case launched.Workspace == nil:
		return nil, api.About(op, s.id, errors.New("the supervisor's answer names no workspace"))
	}
	return launched, nil
}

// converse exchanges one line of JSON for another, with the seed after the first.
func (s *supervisor) converse(ctx context.Context, launch workspace.Launch, seed *source.Source) (*workspace.Launched, error) {
	line, err := json.Marshal(launch)
	if err != nil {
		return nil, err
	}
	if _, err := s.conn.Write(append(line, '\n')); err != nil {
		return nil, err
	}
	packing := make(chan struct{})
	go func() { // ends with the seed, or when the supervisor takes no more of it
		defer close(packing)
		if seed != nil {
			s.sendSeed(ctx, seed)
		}
	}()
	line, err = bufio.NewReader(io.LimitReader(s.conn, maxAnswer)).ReadBytes('\n')
	_ = s.conn.SetWriteDeadline(time.Unix(1, 0)) // there is an answer; nobody reads on
	<-packing
	if err != nil {
		return nil, err
	}
	var launched workspace.Launched
	if err := json.Unmarshal(line, &launched); err != nil {
		return nil, fmt.Errorf("answer of the supervisor: %w", err)
	}
	return &launched, nil
}

// sendSeed sends the seed. What goes wrong with it is told to the supervisor, which
// undoes everything and answers with that.
func (s *supervisor) sendSeed(ctx context.Context, seed *source.Source) {
	out := bufio.NewWriterSize(seedFrames{ctx, s.conn}, seedPiece)
	counts, err := seed.Pack(ctx, out)
	if err == nil {
		err = out.Flush()
	}
	last, said := wire.FrameEnd, any(workspace.Seeded{Skipped: counts.Skipped})
	if err != nil {
		last, said = wire.FrameFail, api.ReplyTo(err)
	}
	payload, err := json.Marshal(said)
	if err == nil {
		_ = wire.WriteFrame(s.conn, last, payload)
	}
}

// seedPiece is how much of a seed goes into a frame, in bytes.
const seedPiece = 256 << 10

// seedFrames puts what is written to it into frames. As long as it goes on it may
// take as long as it likes.
type seedFrames struct {
	ctx  context.Context
	conn net.Conn
}

// Write implements io.Writer.
func (f seedFrames) Write(p []byte) (int, error) {
	if f.ctx.Err() != nil {
		return 0, context.Cause(f.ctx)
	}
	if err := f.conn.SetDeadline(time.Now().Add(launchTime)); err != nil {
		return 0, err
	}
	for rest := p; len(rest) > 0; {
		n := min(len(rest), wire.MaxFrame)
		if err := wire.WriteFrame(f.conn, wire.FrameData, rest[:n]); err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	return len(p), nil
}

// silent explains why there was no answer, as well as can be told.
func (s *supervisor) silent(op string, err error) error {
	e := &api.Error{Kind: api.Internal, Op: op, ID: s.id, Hint: "`pyro doctor` shows what is missing", Err: err}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		e.Kind, e.Err = api.Timeout, fmt.Errorf("no answer from the supervisor within %v", launchTime)
		return e
	}
	if !errors.Is(err, io.EOF) && !sys.IsHangup(err) {
		return e
	}
	patience := time.NewTimer(exitTime)
	defer patience.Stop()
	select {
	case status := <-s.end:
		e.Err = errors.New("the supervisor ended without an answer" + detail(status, lastLine(s.talk)))
		if exit, ok := errors.AsType[*exec.ExitError](status); ok && exit.ExitCode() < 0 {
			e.Kind, e.Hint = api.Unavailable, "try again" // somebody killed it; it does not end itself by a signal
		}
	case <-patience.C:
	}
	return e
}

func detail(status error, said string) string {
	text := ""
	if status != nil {
		text = ": " + status.Error()
	}
	if said != "" {
		text += ": " + said
	}
	return text
}

// lastLine returns the last line of text in a file, at most 200 bytes of it.
func lastLine(f *os.File) string {
	const most = 4 << 10
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	tail := make([]byte, min(info.Size(), most))
	n, _ := f.ReadAt(tail, info.Size()-int64(len(tail))) // what could be read is still worth it
	text := bytes.TrimSpace(tail[:n])
	line := text[bytes.LastIndexByte(text, '\n')+1:]
	return string(bytes.ToValidUTF8(line[:min(len(line), 200)], []byte("\ufffd")))
}
