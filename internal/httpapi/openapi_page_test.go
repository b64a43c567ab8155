package httpapi

import (
	"cmp"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
)

const (
	page       = "../../docs/api.md"
	tableBegin = "<!-- made by `go test ./internal/httpapi -run TestOpenAPI -update` -->\n"
	tableEnd   = "<!-- end -->\n"
)

// TestOpenAPIPage compares the table of routes in docs/api.md with the routes.
func TestOpenAPIPage(t *testing.T) {
	kept, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(kept), tableBegin)
	table, after, ends := strings.Cut(rest, tableEnd)
	if !begins || !ends {
		t.Fatalf("%s has no place for the table of routes", page)
	}
	made := routeTable()
	if *update {
		if err := os.WriteFile(page, []byte(before+tableBegin+made+tableEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := gocmp.Diff(lines([]byte(table)), lines([]byte(made))); diff != "" {
		t.Errorf("%s is old; -update writes it anew:\n%s", page, diff)
	}
}

// routeTable has a line for each route, and a heading for each of their groups.
func routeTable() string {
	var b strings.Builder
	tag := ""
	for _, group := range tags {
		for _, r := range routes() {
			if r.tag != group.Name {
				continue
			}
			if tag != r.tag {
				tag = r.tag
				fmt.Fprintf(&b, "\n### %s\n\n| route | what | request | answer |\n|---|---|---|---|\n", strings.TrimSuffix(group.Description, "."))
			}
			fmt.Fprintf(&b, "| `%s %s` | %s | %s | %s |\n", r.method, r.path, r.summary, requestCell(r), answerCell(r))
		}
	}
	return b.String() + "\n"
}

func requestCell(r route) string {
	var parts []string
	for _, p := range parametersOf(r.query) {
		parts = append(parts, "`"+p.name+"`")
	}
	if len(parts) > 0 {
		parts = []string{"?" + strings.Join(parts, " ")}
	}
	if r.body != nil {
		parts = append(parts, reflect.TypeOf(r.body).Name())
	}
	if r.stream != "" {
		parts = append(parts, r.stream)
	}
	return strings.Join(parts, ", ")
}

func answerCell(r route) string {
	var parts []string
	if r.answer != nil {
		parts = append(parts, cmp.Or(reflect.TypeOf(r.answer).Name(), "{}"))
	}
	if r.frames {
		parts = append(parts, "frames")
	}
	if r.open {
		parts = append(parts, map[string]string{"openapi": "OpenAPI", "metrics": "text"}[r.id])
	}
	return strings.Join(parts, ", ")
}

// TestOpenAPIPageTellsTheErrors wants each status and kind of the description in the page.
func TestOpenAPIPageTellsTheErrors(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for code, e := range errorAnswers {
		if row := fmt.Sprintf("| %d | `%s`", code, e.kind); !strings.Contains(string(text), row) {
			t.Errorf("%s has no row %q", page, row)
		}
		if kind := api.Kind(e.kind); kind.Error() == "" || e.about == "" {
			t.Errorf("%d is not told", code)
		}
	}
}
