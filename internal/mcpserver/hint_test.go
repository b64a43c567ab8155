package mcpserver

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/pyro-sandbox/pyro/api"
)

// callOf is a call of a tool of a profile, for what needs nothing else.
func callOf(t *testing.T, profile, name string) *call {
	t.Helper()
	chosen, err := choose(profile, "")
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{offers: make(map[string]*jsonschema.Schema)}
	for _, tool := range chosen.tools {
		d.offers[tool.name] = tool.input()
	}
	return &call{desk: d, tool: name}
}

func TestHintsNameTools(t *testing.T) {
	t.Parallel()
	const id = "0123456789ab"
	for _, test := range []struct{ profile, hint, want string }{
		{ProfileCore, "`pyro workspace list` shows the ids", "workspace_list shows the ids"},
		{ProfileCore, "`pyro workspace status " + id + "` says why", `workspace_status {"workspace_id":"` + id + `"} says why`},
		{ProfileFull, "`pyro workspace start " + id + "` starts it again", `workspace_start {"workspace_id":"` + id + `"} starts it again`},
		{ProfileCore, "`pyro workspace start " + id + "` starts it again", "`pyro workspace start " + id + "` (for the user to run) starts it again"},
		{ProfileFull, "`pyro workspace start " + id + " --previous` takes the older", "`pyro workspace start " + id + " --previous` (for the user to run) takes the older"},
		{ProfileFull, "choose another name, or `pyro workspace snapshot delete " + id + " one` first", `choose another name, or snapshot_delete {"workspace_id":"` + id + `","snapshot_name":"one"} first`},
		{ProfileFull, "`pyro workspace disk list " + id + " /` shows what there is", `workspace_disk_list {"workspace_id":"` + id + `","path":"/"} shows what there is`},
		{ProfileCore, "`pyro workspace file list " + id + " --recursive` shows what is there", `workspace_file_list {"workspace_id":"` + id + `","recursive":true} shows what is there`},
		{ProfileFull, "`pyro workspace shell list " + id + "` shows those there are", "shell_open opens another"},
		{ProfileFull, "`pyro workspace secret list " + id + "` shows those there are", `workspace_status {"workspace_id":"` + id + `"} shows those there are`},
		{ProfileCore, "name a path where nothing is yet, or replace what is there with --force", "name a path where nothing is yet, or call again with overwrite true if the user agrees"},
		{ProfileCore, "leave special files out with --skip-special, or this one with --exclude", anotherSource},
		{ProfileFull, "choose another, or let pyro choose: `--publish 80`", "choose another, or leave host_port out"},
		{ProfileCore, "make it with git diff --binary", "make it with git diff --binary"},
		{ProfileCore, "give what `git diff` or `diff -u` prints", "give what `git diff` or `diff -u` prints"},
		{ProfileCore, "`pyro doctor` shows what is wrong", "`pyro doctor` (for the user to run) shows what is wrong"},
		{ProfileRun, "`pyro workspace list` shows the ids", "`pyro workspace list` (for the user to run) shows the ids"},
	} {
		if got := callOf(t, test.profile, "workspace_exec").inTools(test.hint); got != test.want {
			t.Errorf("%s: %q\n got %q\nwant %q", test.profile, test.hint, got, test.want)
		}
	}
}

// TestErrorsSayWhatToDo has errors without a hint.
func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	for _, kind := range []api.Kind{
		api.Invalid, api.NotFound, api.Exists, api.Conflict, api.Expired, api.Unsupported, api.Unavailable, api.Timeout, api.Denied, api.Internal,
	} {
		for _, tool := range []string{"workspace_exec", "vm_exec"} {
			text := callOf(t, ProfileFull, tool).explain(&api.Error{Kind: kind, Err: errors.New("it failed")}).Error()
			if !strings.HasPrefix(text, "Error executing tool "+tool+": it failed. Next: ") {
				t.Errorf("%s: %q", kind, text)
			}
		}
	}
}

// TestEveryHintCanBeActedOn reads what the packages below say to people, and wants all of
// it to come out as something that a model can do, or that it can ask the user for.
func TestEveryHintCanBeActedOn(t *testing.T) {
	t.Parallel()
	var (
		speaks = regexp.MustCompile("`pyro |(^|[ (`;])--[a-z]")
		// git has options too, and so has what is the user's to run.
		fine = regexp.MustCompile("git [a-z -]*(--[a-z]+ ?)+|`pyro [^`]*` \\(for the user to run\\)")
		bad  = regexp.MustCompile("`pyro |(^|[ (`;])--[a-z]")
	)
	c := callOf(t, ProfileFull, "workspace_exec")
	seen := 0
	for _, dir := range []string{".", "api", "internal/workspace", "internal/supervisor", "internal/patch", "internal/source", "internal/clone", "internal/store", "internal/journal"} {
		for _, text := range sentences(t, filepath.Join("..", "..", dir)) {
			if !speaks.MatchString(text) || !strings.Contains(text, " ") || isArgument(text) {
				continue
			}
			seen++
			if got := c.inTools(text); bad.MatchString(fine.ReplaceAllString(got, "")) {
				t.Errorf("%s: %q becomes %q", dir, text, got)
			}
		}
	}
	if seen < 40 {
		t.Errorf("found %d hints: this test looks in the wrong place", seen)
	}
}

// isArgument knows what is no sentence but a command line of another program, or its output.
func isArgument(text string) bool {
	return strings.HasPrefix(text, "diff --") || strings.HasPrefix(text, "\ndiff --") || strings.HasPrefix(text, "--- ")
}

// sentences are the texts in the Go files of a directory, joined where they are put
// together, with an id for what is not known.
func sentences(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			expression, ok := n.(ast.Expr)
			if !ok {
				return true
			}
			text, ok := spoken(expression)
			if ok {
				all = append(all, text)
			}
			return !ok
		})
	}
	return all
}

func spoken(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			text, err := strconv.Unquote(e.Value)
			return strings.NewReplacer("%s", "x", "%d", "1").Replace(text), err == nil
		}
	case *ast.BinaryExpr:
		left, ok := spoken(e.X)
		right, ok2 := spoken(e.Y)
		if e.Op != token.ADD || !ok && !ok2 {
			return "", false
		}
		if !ok {
			left = "0123456789ab"
		}
		if !ok2 {
			right = "0123456789ab"
		}
		return left + right, true
	}
	return "", false
}

func TestCanceledCallsSaySo(t *testing.T) {
	t.Parallel()
	c := callOf(t, ProfileCore, "workspace_exec")
	for _, err := range []error{
		fmt.Errorf("exec: %w", context.Canceled), &api.Error{Kind: api.Canceled, Err: errors.New("the client went away")},
	} {
		if got := c.explain(err).Error(); got != "Error executing tool workspace_exec: canceled" {
			t.Errorf("%v: %q", err, got)
		}
	}
}
