package pyro

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
)

// TestExport85Autorun: hooks and configuration of git stay behind unless they are as in
// the seed; what else would run is named if it is new or another.
func TestExport85Autorun(t *testing.T) {
	tree := tarOf(t,
		tarFile(".envrc", "new"), tarDir(".git"), tarFile(".git/HEAD", "ref: x"), tarFile(".git/commondir", "../evil"), tarFile(".git/config", "seeded"),
		tarDir(".git/hooks"), tarFile(".git/hooks/post-checkout", "evil").mode(0o755), tarFile(".git/hooks/pre-commit", "seeded").mode(0o755),
		tarFile(".git/hooks/pre-push.sample", "sample").mode(0o755), tarLink(".git/info", "../evil"), tarFile(".git/refs/heads/config", "commit"),
		tarFile("Makefile", "seeded"), tarFile("package.json", "changed"), tarLink("sub/.git", "../evil"), tarFile("sub2/.git", "gitdir: ../evil"),
		tarHard("zz", ".git/commondir"), tarHard("zzz", ".git/config"),
	)
	hook := seededAs(".git/hooks/pre-commit", "seeded")
	hook.Executable = true
	served := servedTree{tar: tree, seed: []api.SeedEntry{seededAs(".git/config", "seeded"), hook, seededAs("Makefile", "seeded"), seededAs("package.json", "seeded")}}
	left := []string{".git/commondir", ".git/hooks/post-checkout", ".git/info", "sub/.git", "sub2/.git", "zz"}
	for _, format := range []string{api.ExportDir, api.ExportTar} {
		for _, allowed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, allowed %v", format, allowed), func(t *testing.T) {
				g := newGround(t)
				got, err := exporting(t, served).Export(t.Context(), "/workspace", g.out, &ExportOptions{Format: format, AllowAutorun: allowed})
				if err != nil {
					t.Fatal(err)
				}
				there := exportedNames(t, g.out, format)
				for _, name := range left {
					if there[name] != allowed {
						t.Errorf("%s is there: %v", name, there[name])
					}
				}
				for _, name := range []string{".git/HEAD", ".git/config", ".git/hooks/pre-commit", ".git/hooks/pre-push.sample", ".git/refs/heads/config", "Makefile", "package.json", ".envrc", "zzz"} {
					if !there[name] {
						t.Errorf("%s is not there", name)
					}
				}
				said := strings.Join(got.Warnings, "\n")
				for name, want := range map[string]bool{".envrc: ": true, "package.json: ": true, "Makefile: ": false, ".git/config: ": false, ".git/commondir: ": true, "sub/.git: ": true} {
					if strings.Contains(said, name) != want {
						t.Errorf("warned of %s: %v\n%s", name, !want, said)
					}
				}
				if !allowed && got.Skipped != len(left) {
					t.Errorf("%d skipped, want %d", got.Skipped, len(left))
				}
			})
		}
	}
}

func exportedNames(t *testing.T, out, format string) map[string]bool {
	t.Helper()
	there := make(map[string]bool)
	if format == api.ExportDir {
		for name := range stands(t, out) {
			there[name] = true
		}
		return there
	}
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := archive.Index(t.Context(), f, archive.Limits{}, func(e archive.Entry) error {
		there[e.Path] = true
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return there
}

// TestExport85Below: the rule does not depend on where one looks from.
func TestExport85Below(t *testing.T) {
	for path, served := range map[string]servedTree{
		"/workspace/.git":              {tar: tarOf(t, tarFile("config", "evil"), tarFile("HEAD", "x"))},
		"/workspace/.git/hooks":        {tar: tarOf(t, tarFile("pre-commit", "evil"), tarFile("x.sample", "x"))},
		"/workspace/a/.git/modules/b/": {tar: tarOf(t, tarFile("config", "evil"), tarFile("HEAD", "x"))},
	} {
		g := newGround(t)
		got, err := exporting(t, served).Export(t.Context(), path, g.out, nil)
		if err != nil || got.Skipped != 1 || len(stands(t, g.dir)) != 2 {
			t.Errorf("%s: %+v, %v: %v", path, got, err, stands(t, g.dir))
		}
	}
	g := newGround(t)
	alone := servedTree{kind: "file", tar: tarOf(t, tarFile("config", "evil"))}
	if _, err := exporting(t, alone).Export(t.Context(), ".git/config", g.out, nil); !errors.Is(err, api.Denied) || len(stands(t, g.dir)) != 0 {
		t.Errorf("the file alone: %v, %v", err, stands(t, g.dir))
	}
	if _, err := exporting(t, alone).Export(t.Context(), ".git/config", g.out, &ExportOptions{AllowAutorun: true}); err != nil {
		t.Errorf("the file alone, allowed: %v", err)
	}
}

// TestExportBareRepository: what git takes for a repository is named, also where what it
// needs lies elsewhere.
func TestExportBareRepository(t *testing.T) {
	for name, tree := range map[string][]byte{
		"whole": tarOf(t, tarFile("x/HEAD", "ref: refs/heads/a"), tarFile("x/config", "[core]"), tarDir("x/objects"), tarDir("x/refs"), tarFile("y/HEAD", "z"), tarFile("y/config", "z")),
		"links": tarOf(t, tarFile("x/HEAD", "ref: refs/heads/a"), tarFile("x/config", "[core]"), tarLink("x/objects", "o"), tarLink("x/refs", "r")),
		"apart": tarOf(t, tarFile("x/HEAD", "ref: refs/heads/a"), tarFile("x/commondir", "../y"), tarDir("y/objects"), tarDir("y/refs"), tarFile("y/config", "z")),
	} {
		t.Run(name, func(t *testing.T) {
			g := newGround(t)
			got, err := exporting(t, servedTree{tar: tree}).Export(t.Context(), "/workspace", g.out, nil)
			if err != nil || len(got.Warnings) != 1 || !strings.HasPrefix(got.Warnings[0], "x: ") {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}
