// Package wiretest holds whole conversations between host and agent, so that both
// sides are tested against the same bytes. Only tests import it.
//
// A conversation is a txtar file. Text before the first file describes it; a line
// "agent: yes" there says that the real agent, too, has to answer so. Its files:
//
//	workspace/PATH   a file that is there before it starts
//	call             the client's method, as an action, and on the next line its arguments as JSON
//	host, guest      what a side sends, in turn; the text as it stands
//	host quoted, guest quoted   the same as Go string literals, one a line, repeated where " * N" follows
//	result           what the client returns, as JSON
package wiretest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// Side is who sends.
type Side string

// The two sides.
const (
	Host  Side = "host"
	Guest Side = "guest"
)

// Turn is what one side sends before the other does.
type Turn struct {
	From Side
	Data []byte
}

// Case is one conversation.
type Case struct {
	Name      string            // of the file, without directory and suffix
	Agent     bool              // the real agent has to answer so
	Workspace map[string][]byte // files by path relative to the root
	Call      string            // action; empty: no client starts this conversation
	Args      []byte            // JSON
	Turns     []Turn
	Result    []byte // JSON

	file    string
	archive *txtar.Archive
}

// Load reads the conversations of a directory.
func Load(t testing.TB, dir string) []*Case {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no conversations in %s: %v", dir, err)
	}
	var cases []*Case
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c, err := Parse(data)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		c.file, c.Name = file, strings.TrimSuffix(filepath.Base(file), ".txtar")
		cases = append(cases, c)
	}
	return cases
}

// Parse reads one conversation.
func Parse(data []byte) (*Case, error) {
	c := &Case{archive: txtar.Parse(data), Workspace: make(map[string][]byte)}
	c.Agent = slicesContainLine(c.archive.Comment, "agent: yes")
	for _, f := range c.archive.Files {
		if path, ok := strings.CutPrefix(f.Name, "workspace/"); ok {
			c.Workspace[path] = f.Data
			continue
		}
		if err := c.parseSection(f); err != nil {
			return nil, fmt.Errorf("section %s: %w", f.Name, err)
		}
	}
	return c, nil
}

func (c *Case) parseSection(f txtar.File) error {
	side, quoted := strings.CutSuffix(f.Name, " quoted")
	switch side {
	case "call":
		call, args, _ := bytes.Cut(f.Data, []byte("\n"))
		c.Call, c.Args = string(call), bytes.TrimSpace(args)
	case "result":
		c.Result = f.Data
	case string(Host), string(Guest):
		data := f.Data
		if quoted {
			var err error
			if data, err = unquote(f.Data); err != nil {
				return err
			}
		}
		c.Turns = append(c.Turns, Turn{From: Side(side), Data: data})
	default:
		return fmt.Errorf("unknown")
	}
	return nil
}

func slicesContainLine(text []byte, want string) bool {
	for line := range strings.Lines(string(text)) {
		if strings.TrimSpace(line) == want {
			return true
		}
	}
	return false
}

// unquote joins Go string literals, each of which may be followed by " * N".
func unquote(text []byte) ([]byte, error) {
	var out []byte
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		literal, err := strconv.QuotedPrefix(line)
		if err != nil {
			return nil, fmt.Errorf("line %q: %w", line, err)
		}
		value, err := strconv.Unquote(literal)
		if err != nil {
			return nil, fmt.Errorf("line %q: %w", line, err)
		}
		times := 1
		if rest := strings.TrimSpace(line[len(literal):]); rest != "" {
			number, ok := strings.CutPrefix(rest, "* ")
			if times, err = strconv.Atoi(number); !ok || err != nil || times < 0 {
				return nil, fmt.Errorf("line %q: expected * N after the text", line)
			}
		}
		out = append(out, strings.Repeat(value, times)...)
	}
	return out, nil
}

// quote is the inverse of unquote: runs of zero bytes and line feeds end a line.
func quote(data []byte) []byte {
	var out bytes.Buffer
	for len(data) > 0 {
		zeros := len(data) - len(bytes.TrimLeft(data, "\x00"))
		if zeros > 8 {
			fmt.Fprintf(&out, "\"\\x00\" * %d\n", zeros)
			data = data[zeros:]
			continue
		}
		end := len(data)
		if i := bytes.Index(data[zeros:], make([]byte, 9)); i >= 0 {
			end = zeros + i
		}
		if i := bytes.IndexByte(data[:end], '\n'); i >= 0 {
			end = i + 1
		}
		fmt.Fprintf(&out, "%q\n", data[:end])
		data = data[end:]
	}
	return out.Bytes()
}

// Rewrite stores the case with another first turn of the host and another result.
func (c *Case) Rewrite(t testing.TB, host, result []byte) {
	t.Helper()
	seen := false
	for i := range c.archive.Files {
		f := &c.archive.Files[i]
		side, quoted := strings.CutSuffix(f.Name, " quoted")
		switch {
		case f.Name == "result":
			f.Data = result
		case side == string(Host) && !seen && quoted:
			seen, f.Data = true, quote(host)
		case side == string(Host) && !seen:
			seen, f.Data = true, host
		}
	}
	if err := os.WriteFile(c.file, txtar.Format(c.archive), 0o644); err != nil {
		t.Fatal(err)
	}
}
