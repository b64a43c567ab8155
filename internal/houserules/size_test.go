package houserules

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

const (
	maxFunctionLines = 40  // of nine functions in ten, in each module
	maxFileLines     = 400 // beyond it a file is reported, not refused
)

// span is a function or a file with its length in lines.
type span struct {
	where finding
	lines int
}

func TestFunctionLength(t *testing.T) {
	sources := load(t)
	for name, nested := range map[string]bool{"root": false, "gvisor": true} {
		t.Run(name, func(t *testing.T) {
			var spans []span
			for _, s := range sources {
				if within(s.path, "gvisor") == nested {
					spans = append(spans, functions(s)...)
				}
			}
			if got := ninth(spans); got > maxFunctionLines {
				t.Errorf("nine in ten of %d functions have up to %d lines, want %d", len(spans), got, maxFunctionLines)
				report(t, spans, maxFunctionLines)
			}
		})
	}
}

func TestFileLength(t *testing.T) {
	var spans []span
	for _, s := range load(t) {
		spans = append(spans, length(s))
	}
	report(t, spans, maxFileLines)
}

// report logs what is longer than limit, the longest first.
func report(t *testing.T, spans []span, limit int) {
	t.Helper()
	slices.SortFunc(spans, func(a, b span) int { return b.lines - a.lines })
	for _, s := range spans {
		if s.lines <= limit {
			return
		}
		t.Logf("%v: %d lines", s.where, s.lines)
	}
}

// functions measures the functions of the product from func to the last brace.
func functions(s source) []span {
	if s.isTest() {
		return nil
	}
	var spans []span
	for _, decl := range s.file.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok {
			first, last := s.fset.Position(fn.Pos()).Line, s.fset.Position(fn.End()).Line
			spans = append(spans, span{s.at(fn, "%s", fn.Name.Name), last - first + 1})
		}
	}
	return spans
}

func length(s source) span {
	return span{finding{path: s.path, what: "file"}, s.fset.Position(s.file.FileEnd).Line}
}

// ninth returns the length that nine in ten do not exceed, 0 if there is none.
func ninth(spans []span) int {
	if len(spans) == 0 {
		return 0
	}
	lines := make([]int, len(spans))
	for i, s := range spans {
		lines[i] = s.lines
	}
	slices.Sort(lines)
	return lines[(len(lines)*9+9)/10-1]
}

func TestFunctionsAreMeasured(t *testing.T) {
	long := "package x\n\nfunc f() {" + strings.Repeat("\n", 41) + "}\n\n// g is short.\nfunc g() {}\n"
	got := functions(parse(t, "internal/x/x.go", long))
	if len(got) != 2 || got[0].lines != 42 || got[1].lines != 1 {
		t.Errorf("functions = %v, want one of 42 lines and one of 1", got)
	}
	if got := functions(parse(t, "internal/x/x_test.go", long)); len(got) != 0 {
		t.Errorf("functions of a test = %v, want none", got)
	}
	if got := length(parse(t, "internal/x/x.go", long)); got.lines < 45 {
		t.Errorf("length of the file = %d, want 45 or more", got.lines)
	}
}

func TestNinth(t *testing.T) {
	spans := func(lines ...int) []span {
		var spans []span
		for _, n := range lines {
			spans = append(spans, span{lines: n})
		}
		return spans
	}
	for name, tc := range map[string]struct {
		spans []span
		want  int
	}{
		"none":                  {nil, 0},
		"one":                   {spans(50), 50},
		"one long in ten":       {spans(1, 1, 1, 1, 99, 1, 1, 1, 1, 1), 1},
		"two long in ten":       {spans(1, 1, 99, 1, 98, 1, 1, 1, 1, 1), 98},
		"one long among eleven": {spans(1, 1, 1, 1, 99, 1, 1, 1, 1, 1, 1), 1},
	} {
		t.Run(name, func(t *testing.T) {
			if got := ninth(tc.spans); got != tc.want {
				t.Errorf("ninth = %d, want %d", got, tc.want)
			}
		})
	}
}
