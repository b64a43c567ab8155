package houserules

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sample is a small file and how often it breaks the rule.
type sample struct {
	path   string
	text   string
	breaks int
}

// samples holds for each rule what breaks it and what looks like it but does not.
var samples = map[string]map[string]sample{
	"exit": {
		"exit from a package":      {"internal/x/x.go", `package x; import "os"; func f() { os.Exit(1) }`, 1},
		"exit kept as a value":     {"internal/x/x.go", `package x; import "os"; var quit = os.Exit`, 1},
		"exit under another name":  {"internal/x/x.go", `package x; import sys "os"; func f() { sys.Exit(1) }`, 1},
		"exit of a test":           {"internal/x/x_test.go", `package x; import "os"; func TestX() { os.Exit(1) }`, 1},
		"exit of a helper process": {"internal/x/x_test.go", `package x; import "os"; func TestMain() { os.Exit(1) }`, 0},
		"exit of a command":        {"gvisor/cmd/x/main.go", `package main; import "os"; func main() { os.Exit(1) }`, 0},
		"exit of a generator":      {"gvisor/internal/x/gen/main.go", `package main; import "os"; func main() { os.Exit(1) }`, 0},
		"method of that name":      {"internal/x/x.go", `package x; func f(os quitter) { os.Exit(1) }`, 0},
	},
	"sleep": {
		"sleep in a test":        {"internal/x/x_test.go", `package x; import "time"; func TestX() { time.Sleep(1) }`, 1},
		"sleep in a bubble":      {"internal/x/x_test.go", `package x; import ("time"; "testing/synctest"); func TestX(t T) { synctest.Test(t, func() { time.Sleep(1) }) }`, 0},
		"sleep beside a bubble":  {"internal/x/x_test.go", `package x; import ("time"; "testing/synctest"); func TestX(t T) { synctest.Test(t, f); time.Sleep(1) }`, 1},
		"sleep in the product":   {"internal/x/x.go", `package x; import "time"; func f() { time.Sleep(1) }`, 0},
		"the test of a command":  {"cmd/x/x_test.go", `package main; import "time"; func TestX() { time.Sleep(1) }`, 1},
		"synctest by other name": {"internal/x/x_test.go", `package x; import ("time"; bubble "testing/synctest"); func TestX(t T) { bubble.Test(t, func() { time.Sleep(1) }) }`, 0},
	},
	"print": {
		"three ways of fmt":         {"internal/x/x.go", `package x; import "fmt"; func f() { fmt.Print(); fmt.Printf(""); fmt.Println() }`, 3},
		"built-in functions":        {"internal/x/x.go", `package x; func f() { print(1); println(2) }`, 2},
		"to a writer":               {"internal/x/x.go", `package x; import "fmt"; func f() { fmt.Fprintln(w) }`, 0},
		"in the face":               {"internal/cli/x.go", `package cli; import "fmt"; func f() { fmt.Println() }`, 0},
		"in a package named nearly": {"internal/client/x.go", `package client; import "fmt"; func f() { fmt.Println() }`, 1},
		"in an example":             {"internal/x/x_test.go", `package x; import "fmt"; func ExampleX() { fmt.Println() }`, 0},
		"in a test":                 {"internal/x/x_test.go", `package x; import "fmt"; func TestX() { fmt.Println() }`, 1},
	},
	"init": {
		"init":             {"internal/x/x.go", `package x; func init() {}`, 1},
		"method of a type": {"internal/x/x.go", `package x; func (t T) init() {}`, 0},
	},
	"log": {
		"log":      {"internal/x/x.go", `package x; import "log"; var _ = log.Println`, 1},
		"log/slog": {"internal/x/x.go", `package x; import "log/slog"; var _ = slog.Info`, 0},
	},
	"background": {
		"in a package":            {"internal/x/x.go", `package x; import "context"; func f() { _ = context.Background(); _ = context.TODO() }`, 2},
		"in a test":               {"internal/x/x_test.go", `package x; import "context"; func f() { _ = context.Background() }`, 0},
		"in a command":            {"cmd/pyro/main.go", `package main; import "context"; func f() { _ = context.Background() }`, 0},
		"in the suite of engines": {"internal/enginetest/suite.go", `package enginetest; import "context"; func f() { _ = context.Background() }`, 0},
		"detached from a parent":  {"internal/x/x.go", `package x; import "context"; func f() { _ = context.WithoutCancel(ctx) }`, 0},
	},
	"skip": {
		"skip of a test":            {"internal/x/x_test.go", `package x; import "testing"; func TestX(t *testing.T) { t.Skip("no") }`, 1},
		"skip of a subtest":         {"internal/x/x_test.go", `package x; import "testing"; func TestX(t *testing.T) { t.Run("", func(sub *testing.T) { sub.SkipNow() }) }`, 1},
		"skip by a helper":          {"internal/enginetest/x.go", `package x; import "testing"; func need(tb testing.TB) { tb.Skipf("no") }`, 1},
		"skip of something else":    {"internal/x/x.go", `package x; import "encoding/xml"; func f(d *xml.Decoder) { d.Skip() }`, 0},
		"the gate itself":           {"internal/testgate/x.go", `package testgate; import "testing"; func f(t testing.TB) { t.Skip() }`, 0},
		"skip of a benchmark":       {"bench/x_test.go", `package bench; import "testing"; func BenchmarkX(b *testing.B) { b.Skip() }`, 1},
		"skip of a fuzz input":      {"internal/x/x_test.go", `package x; import "testing"; func FuzzX(f *testing.F) { f.Fuzz(func(t *testing.T, b []byte) { t.Skip() }) }`, 1},
		"skip when tests are short": {"internal/x/x_test.go", `package x; import "testing"; func TestX(t *testing.T) { if testing.Short() { t.Skip() } }`, 1},
	},
	"todo": {
		"note to oneself": {"internal/x/x.go", "package x\n\n// TODO: later\n\n/* FIXME */", 2},
		"word in a text":  {"internal/x/x.go", "package x\n\n// Lists of TODO items are kept in order.\n", 0},
	},
	"doc": {
		"function":           {"api/x.go", `package api; func Exported() {}; func unexported() {}`, 1},
		"method":             {"x.go", `package pyro; func (c *Client) Close() {}; func (c client) Close() {}`, 1},
		"method of generics": {"x.go", `package pyro; func (c *List[T]) Close() {}; func (c list[T]) Close() {}`, 1},
		"type and constant":  {"api/x.go", `package api; type T int; const C = 1; var V, w = 1, 2; type t int`, 3},
		"types in a group":   {"api/x.go", "package api\n\n// Two types.\ntype (\n\tA int\n\tB int\n)\n", 2},
		"constants in one":   {"api/x.go", "package api\n\n// The kinds.\nconst (\n\tA = 1\n\tB = 2\n)\n", 0},
		"each with its own":  {"api/x.go", "package api\n\nconst (\n\tA = 1 // first\n\t// B is second.\n\tB = 2\n\tC = 3\n)\n", 1},
		"documented":         {"api/x.go", "package api\n\n// F does.\nfunc F() {}\n", 0},
		"behind the wall":    {"internal/x/x.go", `package x; func Exported() {}`, 0},
	},
	"foreign": {
		"parameter":        {"x.go", `package pyro; import "github.com/spf13/cobra"; func F(c *cobra.Command) {}`, 1},
		"result of method": {"x.go", `package pyro; import "golang.org/x/sys/unix"; func (c *Client) F() unix.Stat_t { return unix.Stat_t{} }`, 1},
		"exported field":   {"x.go", `package pyro; import "github.com/a/b/v2"; type T struct { X b.B; y b.B; b.C }`, 2},
		"body only":        {"x.go", `package pyro; import "github.com/a/b"; func F() { b.G() }; func g(b.B) {}; type t b.B`, 0},
		"our own":          {"x.go", `package pyro; import "github.com/pyro-sandbox/pyro/api"; func F(api.Error) {}`, 0},
		"standard library": {"x.go", `package pyro; import ("net/http"; "time"); func F(http.Handler, time.Time) {}`, 0},
		"behind the wall":  {"internal/x/x.go", `package x; import "github.com/a/b"; func F(b.B) {}`, 0},
	},
}

func TestRulesNoticeBreaches(t *testing.T) {
	for _, r := range rules {
		if len(samples[r.name]) < 2 {
			t.Errorf("rule %q needs a sample that breaks it and one that does not", r.name)
		}
		for name, tc := range samples[r.name] {
			t.Run(r.name+"/"+name, func(t *testing.T) {
				found := r.find(parse(t, tc.path, tc.text))
				if len(found) != tc.breaks {
					t.Errorf("found %v, want %d", found, tc.breaks)
				}
			})
		}
	}
}

func TestFindingsSayWhere(t *testing.T) {
	s := parse(t, "internal/x/x.go", "package x\n\nimport \"os\"\n\nfunc f() {\n\tos.Exit(1)\n}\n")
	want := []finding{{"internal/x/x.go", 6, "os.Exit"}}
	if diff := cmp.Diff(want, findExit(s), cmp.AllowUnexported(finding{})); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

func TestExempt(t *testing.T) {
	found := []finding{{"a.go", 1, "x"}, {"a.go", 2, "x"}, {"b.go", 1, "x"}}
	reasons := map[string]string{"a.go": "because", "b.go": "", "c.go": "because"}

	rest, stale := exempt(reasons, found)
	if diff := cmp.Diff([]finding{{"b.go", 1, "x"}}, rest, cmp.AllowUnexported(finding{})); diff != "" {
		t.Errorf("what remains (-want +got):\n%s", diff)
	}
	if len(stale) != 2 {
		t.Errorf("stale exemptions = %v, want the one without a reason and the one without a finding", stale)
	}
}
