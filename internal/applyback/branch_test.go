package applyback

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
)

// branch makes one, and checks that nothing else changes.
func (b bench) branch(t *testing.T, name string, old, now tree) (*api.Apply, error) {
	t.Helper()
	files, index, head := seen(t, b.dir), b.git(t, "ls-files", "-s"), b.git(t, "rev-parse", "HEAD")
	a := b.open(t, true)
	between(t, a, old, now)
	result, err := a.Branch(t.Context(), name, "Apply\n", false)
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(files, seen(t, b.dir), opaque); diff != "" {
		t.Errorf("files changed (-want +got):\n%s", diff)
	}
	if b.git(t, "ls-files", "-s") != index || b.git(t, "rev-parse", "HEAD") != head {
		t.Error("index or HEAD changed")
	}
	b.checkClear(t)
	return result, err
}

// committed is what a commit has.
func (b bench) committed(t *testing.T, ref string) tree {
	t.Helper()
	x := make(tree)
	for line := range strings.SplitSeq(strings.TrimSuffix(b.git(t, "ls-tree", "-r", "-z", ref), "\x00"), "\x00") {
		head, name, _ := strings.Cut(line, "\t")
		if fields := strings.Fields(head); len(fields) == 3 {
			what := file(b.git(t, "cat-file", "blob", fields[2]))
			switch fields[0] {
			case "100755":
				what.mode = 0o755
			case "120000":
				what = link(what.content)
			}
			x[name] = what
		}
	}
	return x
}

// tracked is a tree without what git does not keep.
func (x tree) tracked() tree {
	all := maps.Clone(x)
	maps.DeleteFunc(all, func(_ string, what thing) bool { return what.kind == archive.KindDirectory || what.kind == "" })
	return all
}

func TestBranch(t *testing.T) {
	const nine = "1\n2\n3\n4\n5\n6\n7\n8\n9\n"
	for name, c := range map[string]struct {
		theirs  tree
		head    tree // committed since
		ours    tree // not committed
		want    tree // nil: HEAD with theirs
		refused api.Kind
		none    bool // no branch
	}{
		"nothing":                    {none: true},
		"all kinds":                  {theirs: tree{"a": file("x"), "run": none, "n/m": script("new"), "l": link("b"), "new\nline": file("y"), "\xff": file("z")}},
		"file to directory":          {theirs: tree{"a": none, "a/b": file("x")}},
		"directory to file":          {theirs: tree{"d/e/f": none, "d/g": none, "d": file("x")}},
		"file to link":               {theirs: tree{"a": link("x")}},
		"exec bit":                   {theirs: tree{"a": script(nine)}},
		"an empty directory":         {theirs: tree{"e2": dir()}, none: true},
		"files here do not matter":   {theirs: tree{"a": file("x")}, ours: tree{"a": file("mine"), "y": file("mine")}, want: tree{"a": file("x")}},
		"HEAD has it":                {theirs: tree{"a": file("x")}, head: tree{"a": file("x")}, none: true},
		"both merge":                 {theirs: tree{"a": file("0\n" + nine)}, head: tree{"a": file(nine + "10\n")}, want: tree{"a": file("0\n" + nine + "10\n")}},
		"mode there, content here":   {theirs: tree{"a": script(nine)}, head: tree{"a": file("0\n" + nine)}, want: tree{"a": script("0\n" + nine)}},
		"the same lines":             {theirs: tree{"a": file("one\n")}, head: tree{"a": file("uno\n")}, refused: api.Conflict},
		"goes, and is another":       {theirs: tree{"a": none}, head: tree{"a": file("x")}, refused: api.Conflict},
		"changed, and went":          {theirs: tree{"a": file("x")}, head: tree{"a": none}, want: tree{"a": file("x")}},
		"made in both":               {theirs: tree{"n": file("x")}, head: tree{"n": file("y")}, refused: api.Conflict},
		"a directory in its place":   {theirs: tree{"n": file("x")}, head: tree{"n/m": file("y")}, refused: api.Conflict},
		"a file where one is needed": {theirs: tree{"n/m": file("x")}, head: tree{"n": file("y")}, refused: api.Conflict},
		"ignored":                    {theirs: tree{"out.o": file("x"), "k": file("y")}, head: tree{".gitignore": file("*.o\n")}, want: tree{"k": file("y")}},
		"runs by itself":             {theirs: tree{".envrc": file("x")}, refused: api.Denied},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, project)
			b.repository(t)
			if c.head != nil {
				for name, what := range c.head {
					if _, was := project[name]; was || what.kind == "" {
						_ = os.Remove(filepath.Join(b.dir, name))
					}
				}
				c.head.tracked().grow(t, b.dir)
				b.git(t, "add", "-A")
				b.git(t, "commit", "-q", "-m", "second")
			}
			c.ours.grow(t, b.dir)
			result, err := b.branch(t, "fix/it", project, project.with(c.theirs))
			if c.refused != "" {
				if api.KindOf(err) != c.refused {
					t.Errorf("%+v, %v; want %s", result, err, c.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.none {
				if result.Branch != nil || result.Changed || len(result.Warnings) == 0 {
					t.Errorf("%+v", result)
				}
				return
			}
			want := project.with(c.head).with(c.theirs).tracked()
			if c.want != nil {
				want = project.with(c.head).with(c.want).tracked()
			}
			if diff := cmp.Diff(want, b.committed(t, "fix/it"), opaque); diff != "" {
				t.Errorf("committed (-want +got):\n%s", diff)
			}
			if got := b.git(t, "log", "-1", "--format=%an %ae|%cn|%s|%P", "fix/it"); got != "A a@example.com|A|Apply|"+b.git(t, "rev-parse", "HEAD") {
				t.Errorf("commit %q", got)
			}
		})
	}
}

func TestBranchInASubdirectory(t *testing.T) {
	b := newBench(t, tree{"top": file("t"), "sub/a": file("a")})
	b.repository(t)
	below := bench{filepath.Join(b.dir, "sub"), b.state}
	if _, err := below.branch(t, "fix", tree{"a": file("a")}, tree{"a": file("b"), "n": file("n")}); err != nil {
		t.Fatal(err)
	}
	want := tree{"top": file("t"), "sub/a": file("b"), "sub/n": file("n")}
	if diff := cmp.Diff(want, b.committed(t, "fix"), opaque); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBranchRefuses(t *testing.T) {
	theirs := project.with(tree{"a": file("x")})
	b := newBench(t, project)
	if _, err := func() (*api.Apply, error) {
		a := b.open(t, true)
		defer func() { _ = a.Close() }()
		return a.Branch(t.Context(), "x", "m", false)
	}(); !errors.Is(err, api.Unsupported) {
		t.Errorf("no work tree: %v", err)
	}
	b.git(t, "init", "-q", "-b", "main")
	if err := os.WriteFile(filepath.Join(b.state, ".gitconfig"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	a := b.open(t, true)
	if _, err := a.Branch(t.Context(), "x", "m", false); !errors.Is(err, api.Conflict) {
		t.Errorf("no commit: %v", err)
	}
	_ = a.Close()
	b.repository(t)
	for name, kind := range map[string]api.Kind{"main": api.Exists, "a..b": api.Invalid, "-x": api.Invalid, "HEAD": api.Invalid, "": api.Invalid, "x.lock": api.Invalid} {
		if _, err := b.branch(t, name, project, theirs); !errors.Is(err, kind) {
			t.Errorf("%q: %v, want %s", name, err, kind)
		}
	}
	if err := os.WriteFile(filepath.Join(b.state, ".gitconfig"), []byte("[user]\n\tuseConfigOnly = true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.branch(t, "x", project, theirs); !errors.Is(err, api.Conflict) || !strings.Contains(api.HintOf(err), "user.name") {
		t.Errorf("no author: %v, %s", err, api.HintOf(err))
	}
	if got := b.git(t, "branch", "--format=%(refname:short)"); got != "main\n" {
		t.Errorf("branches %q", got)
	}
}

// TestGitRunsNothing: what a repository names is not run by what is done in it.
func TestGitRunsNothing(t *testing.T) {
	b := newBench(t, project)
	b.repository(t)
	mark := filepath.Join(b.state, "ran")
	evil := filepath.Join(b.state, "evil")
	if err := os.WriteFile(evil, []byte("#!/bin/sh\ntouch "+mark+"\ncat\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, hook := range []string{"reference-transaction", "post-checkout", "pre-commit", "post-index-change", "post-commit"} {
		if err := os.Symlink(evil, filepath.Join(b.dir, ".git/hooks", hook)); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"core.fsmonitor", "filter.x.clean", "filter.x.smudge", "merge.x.driver", "diff.external", "core.editor", "gpg.program", "core.pager", "core.askpass"} {
		b.git(t, "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "config", key, evil)
	}
	tree{".gitattributes": file("* filter=x merge=x diff=x\n")}.grow(t, b.dir)
	_ = os.Remove(mark)
	theirs := project.with(tree{"a": file("0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n")})
	tree{"a": file("1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n")}.grow(t, b.dir)
	a := b.open(t, true)
	between(t, a, project, theirs)
	if _, err := a.Branch(t.Context(), "fix", "m", false); err != nil {
		t.Error(err)
	}
	_ = a.Close()
	if p, err := b.apply(t, project, theirs); err != nil || p.Result.Summary.Merged != 1 {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := os.Lstat(mark); err == nil {
		t.Error("a program of the repository was run")
	}
}
