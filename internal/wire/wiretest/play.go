package wiretest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/internal/wire"
)

// Lay writes the case's files under root.
func (c *Case) Lay(t testing.TB, root string) {
	t.Helper()
	for path, data := range c.Workspace {
		path = filepath.Join(root, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Serve plays the guest on conn and closes it. It returns an error where the host
// does not send what the case says.
func (c *Case) Serve(conn net.Conn) error {
	defer func() { _ = conn.Close() }()
	for i, turn := range c.Turns {
		if turn.From == Guest {
			if _, err := conn.Write(turn.Data); err != nil {
				return fmt.Errorf("turn %d: the guest could not send: %w", i, err)
			}
			continue
		}
		got := make([]byte, len(turn.Data))
		n, err := io.ReadFull(conn, got)
		if diff := cmp.Diff(string(turn.Data), string(got[:n])); diff != "" {
			return fmt.Errorf("turn %d: the host sent (-want +got):\n%s", i, diff)
		}
		if err != nil {
			return fmt.Errorf("turn %d: %w", i, err)
		}
	}
	return nil
}

// Record plays the guest like Serve, but takes for the first turn whatever request
// the host sends, with the bytes that it announces, and returns it.
func (c *Case) Record(conn net.Conn) ([]byte, error) {
	r := bufio.NewReader(conn)
	line, err := wire.ReadLine(r, wire.MaxRequestLine)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	var announced struct {
		Action string `json:"action"`
		Size   int64  `json:"archive_size"`
	}
	if err := json.Unmarshal(line, &announced); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	body, err := io.ReadAll(io.LimitReader(r, announced.Size))
	if slices.Contains(framed, announced.Action) {
		body, err = treeAfter(r)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	rest := Case{Turns: c.Turns[1:]}
	return append(append(line, '\n'), body...), rest.Serve(conn)
}

// framed are the actions whose requests frames follow to a last one.
var framed = []string{
	wire.ActionPush, wire.ActionCompare, wire.ActionHash, wire.ActionPull, wire.ActionPut, wire.ActionPatch,
}

// treeAfter reads frames to the last one of a tree.
func treeAfter(r io.Reader) ([]byte, error) {
	var all bytes.Buffer
	var buf []byte
	for {
		f, err := wire.ReadFrame(r, &buf)
		if err == nil {
			err = wire.WriteFrame(&all, f.Type, f.Payload)
		}
		if err != nil || f.Type == wire.FrameEnd {
			return all.Bytes(), err
		}
	}
}

// Play plays the host on conn, which leads to a real agent, and closes it. It
// returns an error where the agent does not send what the case says, times and
// durations apart, and the places where output is cut into frames.
func (c *Case) Play(conn net.Conn) error {
	defer func() { _ = conn.Close() }()
	for i, turn := range c.Turns {
		if turn.From == Host {
			if _, err := conn.Write(turn.Data); err != nil {
				return fmt.Errorf("turn %d: the host could not send: %w", i, err)
			}
			continue
		}
		var from io.Reader = conn
		if i < len(c.Turns)-1 {
			from = io.LimitReader(conn, int64(len(turn.Data)))
		}
		got, err := io.ReadAll(from)
		if err != nil {
			return fmt.Errorf("turn %d: %w", i, err)
		}
		if diff := cmp.Diff(normal(turn.Data), normal(got)); diff != "" {
			return fmt.Errorf("turn %d: the guest sent (-want +got):\n%s", i, diff)
		}
	}
	return nil
}

// normal makes two runs of the same conversation comparable.
func normal(data []byte) []string {
	if bytes.HasPrefix(data, []byte("{")) {
		return []string{mask(data)}
	}
	var out []string
	var last wire.FrameType
	r, buf := bytes.NewReader(data), []byte(nil)
	for r.Len() > 0 {
		f, err := wire.ReadFrame(r, &buf)
		if err != nil {
			return append(out, err.Error())
		}
		if f.Type == last {
			out[len(out)-1] += mask(f.Payload)
			continue
		}
		last = f.Type
		out = append(out, string(f.Type)+mask(f.Payload))
	}
	return out
}

// mask replaces what differs from run to run.
func mask(data []byte) string {
	moving := regexp.MustCompile(`"(duration_ms|duration_us|started_at|ended_at|mtime_ns|ctime_ns|device|inode)":[0-9.]+`)
	return moving.ReplaceAllString(string(data), `"$1":0`)
}
