package houserules

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
)

// layers orders the packages from the ground up. A package imports what lies in
// the lines above its own, never its neighbours. Packages below a listed one
// belong to it. What only tests link may import anything.
var layers = [][]string{
	{"api", "internal/version", "internal/houserules", "internal/autorun", "internal/early"},
	{"internal/sys", "internal/licenses"},
	{"internal/fault", "internal/leaks", "internal/plain", "internal/redact", "internal/gate"},
	{"internal/archive"},
	{"internal/store", "internal/journal", "internal/wire", "internal/patch", "internal/source", "internal/clone", "internal/applyback"},
	{"internal/image", "internal/agent", "internal/config", "internal/programs", "internal/events", "internal/warm"},
	{"internal/engine"},
	{"internal/gvisor", "internal/firecracker", "internal/hostcompat", "gvisor"},
	{"internal/workspace"},
	{"internal/supervisor", "internal/doctor"},
	{"internal/local"},
	{"."}, // the SDK
	{"internal/cli", "internal/mcpserver", "internal/host", "internal/httpapi"},
	{"cmd/pyro", "cmd/pyro-agent", "examples", "bench", "e2e"},
}

var (
	engines  = []string{"internal/gvisor", "internal/firecracker", "internal/hostcompat"}
	isolated = append([]string{"internal/sys", "internal/early", "internal/archive", "internal/agent", "gvisor", "bench/plain", "bench/soak", "e2e/probe"}, engines...)
	outside  = []string{"cmd/pyro", "examples", "bench", "e2e"}
)

// reach says for a package, or a family of import paths, who may import it.
var reach = []struct {
	target []string
	by     []string
	why    string
}{
	{engines, []string{"internal/local"}, "engines are interchangeable: one place knows their names"},
	{[]string{"internal/local"}, []string{"cmd/pyro"}, "what works on this machine only is handed to the faces as functions"},
	{[]string{"."}, append([]string{"internal/cli", "internal/mcpserver", "internal/httpapi"}, outside...), "the SDK is a client; nothing it talks to may need it"},
	{[]string{"golang.org/x/sys/unix", "syscall", "unsafe"}, isolated, "one edge to the kernel; sys has the few names that others need"},
	{[]string{"gvisor.dev"}, []string{"gvisor"}, "gVisor's dependencies stay in the nested module"},
	{[]string{"github.com/spf13"}, []string{"internal/cli", "cmd/pyro"}, "flags are the business of one face"},
	{[]string{"internal/redact"}, []string{"internal/agent", "internal/supervisor"}, "what they let out knows no secrets, so nobody else has to"},
	{[]string{"testing", "net/http/httptest"}, []string{"e2e", "bench"}, "the product carries no test code"},
}

// diet names all that a package may import of ours; with sealed, it may import
// nothing else but the standard library either.
var diet = []struct {
	importer string
	ours     []string
	sealed   bool
	why      string
}{
	{"api", nil, true, "whoever speaks to pyro can use the nouns without its dependencies"},
	{"internal/early", nil, true, "what it imports comes before it"},
	{"internal/version", nil, true, "every binary asks it, the small one too"},
	{"internal/config", []string{"api", "internal/sys"}, false, "what is configured is known before anything is opened"},
	{"internal/cli", []string{".", "api", "internal/version"}, false, "what a face can do, a program with the SDK can do"},
	{"internal/mcpserver", []string{".", "api", "internal/version", "internal/gate"}, false, "what a face can do, a program with the SDK can do"},
	{"internal/host", []string{"api"}, false, "chat hosts are told how to start pyro, and need not know what it does"},
	{"internal/httpapi", []string{".", "api", "internal/version", "internal/gate"}, false, "what a face can do, a program with the SDK can do"},
	{"examples", []string{".", "api"}, false, "examples show what others can do"},
	{"gvisor", []string{"api", "internal/sys", "internal/wire", "internal/version"}, false, "the helpers know gVisor and the packet channel, not workspaces"},
}

// bans hold for everything that is linked in, not only for direct imports.
var bans = []struct {
	importer string
	targets  []string
	why      string
}{
	{"internal/workspace", engines, "the domain works the same on every engine"},
	{"internal/supervisor", engines, "the domain works the same on every engine"},
	{"internal/agent", guestBans, "the guest is small and knows nothing of its host"},
	{"internal/wire", guestBans, "both ends of the wall link the protocol"},
	{"cmd/pyro-agent", guestBans, "the guest is small and knows nothing of its host"},
	{".", append([]string{"internal/local", "internal/supervisor", "internal/doctor", "internal/agent"}, engines...), "the SDK starts the programs that do the work, and builds where none of them runs"},
	{"cmd/pyro", []string{"gvisor", "gvisor.dev"}, "pyro starts in milliseconds; gVisor is a helper program"},
}

var guestBans = append([]string{
	"internal/engine", "internal/image", "internal/store", "internal/workspace", "internal/cli", "internal/mcpserver",
	"gvisor.dev", "github.com/spf13", "github.com/modelcontextprotocol",
}, engines...)

// graph maps a package to what its files import, tests aside. Our own packages
// go by their directory ("." is the root package), others by their import path.
type graph map[string][]string

func newGraph(sources []source) graph {
	g := make(graph)
	for _, s := range sources {
		if s.isTest() {
			continue
		}
		g[s.pkg()] = append(g[s.pkg()], nil...)
		for _, spec := range s.file.Imports {
			target := importPath(spec)
			if within(target, module) {
				target = path.Clean("." + strings.TrimPrefix(target, module))
			}
			if !slices.Contains(g[s.pkg()], target) {
				g[s.pkg()] = append(g[s.pkg()], target)
			}
		}
	}
	return g
}

func TestLayers(t *testing.T) {
	g := newGraph(load(t))
	for name, check := range map[string]func(graph) []finding{
		"imports go one way":                 upward,
		"a few packages are for a few":       overreach,
		"some packages live on little":       overeating,
		"what is banned is not even near":    banned,
		"every package is named for a layer": unplaced,
	} {
		t.Run(name, func(t *testing.T) {
			for _, f := range check(g) {
				t.Error(f)
			}
		})
	}
}

// each visits every import, in order.
func (g graph) each(visit func(importer, target string)) {
	importers := make([]string, 0, len(g))
	for importer := range g {
		importers = append(importers, importer)
	}
	slices.Sort(importers)
	for _, importer := range importers {
		for _, target := range g[importer] {
			visit(importer, target)
		}
	}
}

// isOurs reports whether the target of an import is a package of the two modules.
func (g graph) isOurs(target string) bool {
	_, ok := g[target]
	return ok
}

// rank returns the layer of a package and the listed package it belongs to.
func rank(pkg string) (layer int, family string) {
	for i, names := range layers {
		for _, name := range names {
			if within(pkg, name) {
				return i, name
			}
		}
	}
	return -1, ""
}

func upward(g graph) []finding {
	var found []finding
	g.each(func(importer, target string) {
		if !g.isOurs(target) {
			return
		}
		from, family := rank(importer)
		to, targetFamily := rank(target)
		if family != targetFamily && to >= from {
			found = append(found, finding{path: importer, what: fmt.Sprintf("imports %s, which is not below it", target)})
		}
	})
	return found
}

func unplaced(g graph) []finding {
	var found []finding
	for pkg := range g {
		if layer, _ := rank(pkg); layer < 0 {
			found = append(found, finding{path: pkg, what: "has no place in the table of layers"})
		}
	}
	return found
}

func overreach(g graph) []finding {
	var found []finding
	g.each(func(importer, target string) {
		if isTestSupport(target) && within(target, "internal", "gvisor") {
			found = append(found, finding{path: importer, what: fmt.Sprintf("imports %s, which is for tests", target)})
		}
		for _, r := range reach {
			own := within(importer, r.target...)
			if within(target, r.target...) && !own && !within(importer, r.by...) {
				found = append(found, finding{path: importer, what: fmt.Sprintf("imports %s: %s", target, r.why)})
			}
		}
	})
	return found
}

func overeating(g graph) []finding {
	var found []finding
	g.each(func(importer, target string) {
		for _, d := range diet {
			if !within(importer, d.importer) || within(target, d.importer) || within(target, d.ours...) {
				continue
			}
			if g.isOurs(target) || d.sealed && isForeign(target) {
				found = append(found, finding{path: importer, what: fmt.Sprintf("imports %s: %s", target, d.why)})
			}
		}
	})
	return found
}

func banned(g graph) []finding {
	var found []finding
	for _, b := range bans {
		for importer := range g {
			if !within(importer, b.importer) {
				continue
			}
			for _, chain := range g.chains(importer, b.targets) {
				found = append(found, finding{path: importer, what: fmt.Sprintf("links %s: %s", chain, b.why)})
			}
		}
	}
	return found
}

// chains returns, for each banned package that can be reached from a package,
// one way there.
func (g graph) chains(from string, targets []string) []string {
	var found []string
	way := map[string]string{from: from}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		for _, target := range g[queue[0]] {
			if way[target] != "" {
				continue
			}
			way[target] = way[queue[0]] + " -> " + target
			if within(target, targets...) {
				found = append(found, way[target])
				continue
			}
			queue = append(queue, target)
		}
	}
	return found
}
