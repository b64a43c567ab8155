package houserules

import (
	"testing"
)

// imports writes a file of a package that imports the targets.
func imports(t *testing.T, path string, targets ...string) source {
	t.Helper()
	text := "package x\n"
	for _, target := range targets {
		text += "import _ \"" + target + "\"\n"
	}
	return parse(t, path, text)
}

func TestLayersNoticeBreaches(t *testing.T) {
	const (
		api       = module + "/api"
		wire      = module + "/internal/wire"
		store     = module + "/internal/store"
		engine    = module + "/internal/engine"
		runsc     = module + "/internal/gvisor"
		workspace = module + "/internal/workspace"
		local     = module + "/internal/local"
		nested    = module + "/gvisor/internal/net"
	)
	type file struct {
		path    string
		imports []string
	}
	for name, tc := range map[string]struct {
		check func(graph) []finding
		files []file
		want  int
	}{
		"downward":                 {upward, []file{{"internal/wire/a.go", []string{api, "io"}}, {"api/a.go", nil}}, 0},
		"upward":                   {upward, []file{{"internal/wire/a.go", []string{engine}}, {"internal/engine/a.go", nil}}, 1},
		"neighbours":               {upward, []file{{"internal/wire/a.go", []string{store}}, {"internal/store/a.go", nil}}, 1},
		"within a family":          {upward, []file{{"internal/wire/a/a.go", []string{wire}}, {"internal/wire/a.go", nil}}, 0},
		"tests may look up":        {upward, []file{{"internal/wire/a_test.go", []string{engine}}, {"internal/engine/a.go", nil}}, 0},
		"the SDK from below":       {upward, []file{{"internal/local/a.go", []string{module}}, {"pyro.go", nil}}, 1},
		"package with a place":     {unplaced, []file{{"internal/wire/a.go", nil}, {"pyro.go", nil}}, 0},
		"package without a place":  {unplaced, []file{{"internal/util/a.go", nil}}, 1},
		"kernel from the domain":   {overreach, []file{{"internal/workspace/a.go", []string{"syscall", "unsafe", "golang.org/x/sys/unix"}}}, 3},
		"kernel from sys":          {overreach, []file{{"internal/sys/a.go", []string{"syscall", "unsafe"}}}, 0},
		"engine from the domain":   {overreach, []file{{"internal/supervisor/a.go", []string{runsc}}}, 1},
		"engine from its root":     {overreach, []file{{"internal/local/a.go", []string{runsc}}}, 0},
		"local from a face":        {overreach, []file{{"internal/cli/a.go", []string{local}}}, 1},
		"gVisor from the root":     {overreach, []file{{"internal/gvisor/a.go", []string{"gvisor.dev/gvisor/runsc/cli"}}}, 1},
		"gVisor from its module":   {overreach, []file{{"gvisor/cmd/pyro-runsc/a.go", []string{"gvisor.dev/gvisor/runsc/cli"}}}, 0},
		"test code in the product": {overreach, []file{{"internal/store/a.go", []string{"testing"}}}, 1},
		"suite in the product":     {overreach, []file{{"internal/local/a.go", []string{module + "/internal/enginetest"}}}, 1},
		"test code in a suite":     {overreach, []file{{"internal/enginetest/a.go", []string{"testing"}}}, 0},
		"the standard suites":      {overreach, []file{{"internal/local/a.go", []string{"testing/iotest", "net/http/httptest"}}}, 2},
		"flags outside the cli":    {overreach, []file{{"internal/local/a.go", []string{"github.com/spf13/cobra"}}}, 1},
		"api on a third party":     {overeating, []file{{"api/a.go", []string{"golang.org/x/term"}}}, 1},
		"api on our own":           {overeating, []file{{"api/a.go", []string{wire}}, {"internal/wire/a.go", nil}}, 1},
		"api on the standard":      {overeating, []file{{"api/a.go", []string{"encoding/json", "time"}}}, 0},
		"face on the SDK":          {overeating, []file{{"internal/cli/a.go", []string{module, api}}, {"pyro.go", nil}, {"api/a.go", nil}}, 0},
		"face past the SDK":        {overeating, []file{{"internal/cli/a.go", []string{store}}, {"internal/store/a.go", nil}}, 1},
		"helper on the domain":     {overeating, []file{{"gvisor/cmd/pyro-gateway/a.go", []string{workspace, nested}}, {"internal/workspace/a.go", nil}, {"gvisor/internal/net/a.go", nil}}, 1},
		"engine two steps away":    {banned, []file{{"internal/workspace/a.go", []string{local}}, {"internal/local/a.go", []string{runsc}}, {"internal/gvisor/a.go", nil}}, 1},
		"cobra in the guest":       {banned, []file{{"internal/agent/a.go", []string{wire}}, {"internal/wire/a.go", []string{"github.com/spf13/cobra"}}}, 2},
		"SDK that does the work":   {banned, []file{{"pyro.go", []string{workspace}}, {"internal/workspace/a.go", []string{runsc}}}, 2},
		"domain on the contract":   {banned, []file{{"internal/workspace/a.go", []string{engine}}, {"internal/engine/a.go", []string{api}}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var sources []source
			for _, f := range tc.files {
				sources = append(sources, imports(t, f.path, f.imports...))
			}
			if found := tc.check(newGraph(sources)); len(found) != tc.want {
				t.Errorf("found %v, want %d", found, tc.want)
			}
		})
	}
}
