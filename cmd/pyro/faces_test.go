package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/internal/cli"
	"github.com/pyro-sandbox/pyro/internal/mcpserver"
)

// facesPage is the table of what can be done and how, in each of the faces.
const facesPage = "../../docs/faces.md"

// faces are the columns of the table, in their order.
var faces = []string{"Go", "HTTP", "command", "tool", "Python", "Pyro"}

// capability is a row of the table.
type capability struct {
	what  string
	names [][]string // by face
	why   string     // there is a face without it
}

// TestFaces compares the table with the faces themselves: what one of them can do stands in
// a row, and where another cannot, so does the reason.
func TestFaces(t *testing.T) {
	rows := readFaces(t)
	have := [][]string{goNames(), httpNames(t), commandNames(t), toolNames(t), pythonNames(t, "modern"), pythonNames(t, "drop-in")}
	for i, face := range faces {
		told := make(map[string]string) // row by name
		for _, row := range rows {
			for _, name := range row.names[i] {
				if before, twice := told[name]; twice {
					t.Errorf("%s: %s stands in %q and in %q", face, name, before, row.what)
				}
				told[name] = row.what
			}
		}
		if len(have[i]) == 0 {
			t.Errorf("%s: nothing was found", face)
		}
		for _, name := range have[i] {
			if _, ok := told[name]; !ok {
				t.Errorf("%s: %s stands in no row", face, name)
			}
			delete(told, name)
		}
		for name, row := range told {
			t.Errorf("%s: %s, in %q, does not exist", face, name, row)
		}
	}
	for _, row := range rows {
		missing := slices.ContainsFunc(row.names, func(names []string) bool { return len(names) == 0 })
		if missing != (row.why != "") {
			t.Errorf("%q: is in all faces %v, and the reason why not is %q", row.what, !missing, row.why)
		}
	}
}

// readFaces reads the table: what, a column for each face, why.
func readFaces(t *testing.T) []capability {
	t.Helper()
	text, err := os.ReadFile(facesPage)
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	var rows []capability
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|--") || strings.HasPrefix(line, "| what ") {
			continue
		}
		if len(cells) != len(faces)+2 {
			t.Fatalf("a row has %d cells, want %d: %s", len(cells), len(faces)+2, line)
		}
		row := capability{what: strings.TrimSpace(cells[0]), why: strings.TrimSpace(cells[len(cells)-1])}
		for _, cell := range cells[1 : len(cells)-1] {
			var names []string
			for _, match := range quoted.FindAllStringSubmatch(cell, -1) {
				names = append(names, match[1])
			}
			row.names = append(row.names, names)
		}
		rows = append(rows, row)
	}
	if len(rows) < 40 {
		t.Fatalf("%s has %d rows: this is not the table", facesPage, len(rows))
	}
	return rows
}

// goNames are the methods of what the SDK hands out.
func goNames() []string {
	var names []string
	for name, v := range map[string]any{
		"Client": (*pyro.Client)(nil), "Workspace": (*pyro.Workspace)(nil), "Files": pyro.Files{}, "Cmd": (*pyro.Cmd)(nil),
		"VsockExecClient": (*pyro.VsockExecClient)(nil),
	} {
		for method := range reflect.TypeOf(v).Methods() {
			names = append(names, name+"."+method.Name)
		}
	}
	return names
}

// httpNames are the operations that are described.
func httpNames(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../internal/httpapi/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var described struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(text, &described); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, path := range described.Paths {
		for operation := range maps.Values(path) {
			if operation.OperationID != "" {
				names = append(names, operation.OperationID)
			}
		}
	}
	return names
}

// groupUsage is the usage of a command that has others below it, and maybe does something
// itself.
var groupUsage = regexp.MustCompile(`(?m)^usage: .* (\[?)\{([a-z,-]+)\} \.\.\.`)

// commandNames are the commands that do something, as the help has them.
func commandNames(t *testing.T) []string {
	t.Helper()
	var names []string
	var walk func(path ...string)
	walk = func(path ...string) {
		var out bytes.Buffer
		env := cli.Env{Args: append(slices.Clone(path), "--help"), Stdin: strings.NewReader(""), Stdout: &out, Stderr: io.Discard, Version: "test"}
		if code := cli.Run(t.Context(), env); code != 0 {
			t.Fatalf("help of %q: exit code %d", path, code)
		}
		group := groupUsage.FindStringSubmatch(out.String())
		if group == nil || group[1] != "" {
			names = append(names, strings.Join(path, " "))
		}
		if group == nil {
			return
		}
		for name := range strings.SplitSeq(group[2], ",") {
			if name != "help" {
				walk(append(slices.Clone(path), name)...)
			}
		}
	}
	walk()
	return names
}

// toolNames are those that the largest profile offers.
func toolNames(t *testing.T) []string {
	t.Helper()
	server, err := mcpserver.New(mcpserver.Options{Profile: mcpserver.ProfileFull, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	const talk = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
{"jsonrpc":"2.0","id":2,"method":"tools/list"}
`
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	from, said := io.Pipe()
	served := make(chan error, 1)
	in, ask := io.Pipe()
	go func() { served <- server.ServeStdio(ctx, in, said) }() // ends with its input
	go func() { _, _ = io.WriteString(ask, talk) }()           // ends when it is read
	defer func() {
		_ = ask.Close()
		_ = from.Close()
		<-served
	}()
	lines := json.NewDecoder(from)
	for {
		var answer struct {
			ID     int
			Result struct{ Tools []struct{ Name string } }
		}
		if err := lines.Decode(&answer); err != nil {
			t.Fatal(err)
		}
		if answer.ID != 2 {
			continue
		}
		var names []string
		for _, tool := range answer.Result.Tools {
			names = append(names, tool.Name)
		}
		return names
	}
}

// pythonNames are the public names of one of the faces of the Python SDK, as it says itself.
func pythonNames(t *testing.T, face string) []string {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal(err)
	}
	source, err := filepath.Abs("../../sdk/python/src")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, "testdata/names.py", face)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+source, "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(fmt.Errorf("names of the %s face: %w", face, err))
	}
	return strings.Fields(string(out))
}
