package applyback

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
)

var opaque = cmp.AllowUnexported(thing{})

// with is a tree with other things in it; a thing of no kind is taken out.
func (x tree) with(changes tree) tree {
	all := maps.Clone(x)
	for name, what := range changes {
		if what.kind == "" {
			delete(all, name)
			continue
		}
		all[name] = what
	}
	return all
}

var none = thing{}

var project = tree{"a": file("1\n2\n3\n4\n5\n6\n7\n8\n9\n"), "run": script("#!/bin/sh\n"), "l": link("a"), "d/e/f": file("deep\n"), "d/g": file("g\n"), "empty": dir(), "new\nline": file("x")}

// TestApply: what changed in the workspace, and what changed here meanwhile.
func TestApply(t *testing.T) {
	for name, c := range map[string]struct {
		theirs, ours tree
		want         tree // nil: as theirs
		refused      api.Kind
		git          bool
		names        []string // in the error
	}{
		"nothing":                  {},
		"content":                  {theirs: tree{"a": file("other\n")}},
		"a new file":               {theirs: tree{"x/y/z": script("new")}},
		"a file goes":              {theirs: tree{"d/e/f": none}},
		"the last of a directory":  {theirs: tree{"d/e/f": none, "d/g": none}},
		"exec bit":                 {theirs: tree{"a": thing{archive.KindFile, 0o755, project["a"].content}}},
		"no exec bit":              {theirs: tree{"run": file("#!/bin/sh\n")}},
		"other bits":               {theirs: tree{"a": thing{archive.KindFile, 0o600, project["a"].content}}},
		"content and mode":         {theirs: tree{"run": thing{archive.KindFile, 0o700, "new"}}},
		"a link":                   {theirs: tree{"l": link("../elsewhere")}},
		"a new link":               {theirs: tree{"x/l": link("/etc/passwd")}},
		"a link goes":              {theirs: tree{"l": none}},
		"file to link":             {theirs: tree{"a": link("run")}},
		"link to file":             {theirs: tree{"l": file("now a file")}},
		"file to directory":        {theirs: tree{"a": none, "a/b/c": file("below")}},
		"link to directory":        {theirs: tree{"l": none, "l/b": file("below")}},
		"file to empty directory":  {theirs: tree{"a": dir()}},
		"directory to file":        {theirs: tree{"d/e/f": none, "d/g": none, "d": file("was a directory")}},
		"directory to link":        {theirs: tree{"d/e/f": none, "d": link("a"), "d/g": none}},
		"an empty directory":       {theirs: tree{"x/y": dir()}},
		"an empty one goes":        {theirs: tree{"empty": none}},
		"an empty one to a file":   {theirs: tree{"empty": file("f")}},
		"an empty one is filled":   {theirs: tree{"empty": none, "empty/x": file("f")}},
		"odd names":                {theirs: tree{"new\nline": file("y"), "\xff\xfe": file("z"), "-rf": file("r"), " ": file("b")}},
		"set-id":                   {theirs: tree{"x": thing{archive.KindFile, 0o755 | os.ModeSetuid, "s"}}, want: tree{"x": script("s")}},
		"both did the same":        {theirs: tree{"a": file("other\n"), "x": file("n")}, ours: tree{"a": file("other\n"), "x": file("n")}},
		"both took it away":        {theirs: tree{"a": none}, ours: tree{"a": none}},
		"others changed here":      {theirs: tree{"a": file("other\n")}, ours: tree{"run": script("mine"), "y": file("mine")}, want: tree{"a": file("other\n"), "run": script("mine"), "y": file("mine")}},
		"group may write here":     {theirs: tree{"a": script("other\n")}, ours: tree{"a": thing{archive.KindFile, 0o664, project["a"].content}}, want: tree{"a": thing{archive.KindFile, 0o775, "other\n"}}},
		"a directory filled here":  {theirs: tree{"empty": none}, ours: tree{"empty": none, "empty/mine": file("x")}, want: tree{"empty": none, "empty/mine": file("x")}},
		"changed here too":         {theirs: tree{"a": file("other\n"), "x": file("new")}, ours: tree{"a": file("mine\n")}, refused: api.Conflict, names: []string{"a "}},
		"made here too":            {theirs: tree{"x": file("new")}, ours: tree{"x": file("mine")}, refused: api.Conflict, names: []string{"x "}},
		"taken away here":          {theirs: tree{"a": file("new")}, ours: tree{"a": none}, refused: api.Conflict, names: []string{"a "}},
		"changed, and goes":        {theirs: tree{"a": none}, ours: tree{"a": file("mine")}, refused: api.Conflict, names: []string{"a "}},
		"a link here":              {theirs: tree{"a": file("new")}, ours: tree{"a": link("/etc/passwd")}, refused: api.Conflict, names: []string{"a "}},
		"a link on the way":        {theirs: tree{"d/g": file("new"), "x": file("y")}, ours: tree{"d/g": none, "d/e/f": none, "d": link("/tmp")}, refused: api.Conflict, names: []string{"d/g "}},
		"a file on the way":        {theirs: tree{"x/y": file("new")}, ours: tree{"x": file("mine")}, refused: api.Conflict, names: []string{"x/y "}},
		"filled here, to a file":   {theirs: tree{"empty": file("f")}, ours: tree{"empty": none, "empty/mine": file("x")}, refused: api.Conflict, names: []string{"empty "}},
		"executable here":          {theirs: tree{"a": file("new")}, ours: tree{"a": script(project["a"].content)}, refused: api.Conflict, names: []string{"a "}},
		"several":                  {theirs: tree{"a": file("n"), "run": file("n"), "x": file("n")}, ours: tree{"a": file("m"), "run": file("m")}, refused: api.Conflict, names: []string{"a ", "run "}},
		"git: both merge":          {theirs: tree{"a": file("0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n")}, ours: tree{"a": file("1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n")}, git: true, want: tree{"a": file("0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n")}},
		"git: content and exec":    {theirs: tree{"a": script("0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n")}, ours: tree{"a": file("1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n")}, git: true, want: tree{"a": script("0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n")}},
		"git: the same lines":      {theirs: tree{"a": file("one\n2\n3\n4\n5\n6\n7\n8\n9\n"), "x": file("n")}, ours: tree{"a": file("uno\n2\n3\n4\n5\n6\n7\n8\n9\n")}, git: true, refused: api.Conflict, names: []string{"a "}},
		"git: not text":            {theirs: tree{"a": file("\x00one")}, ours: tree{"a": file("\x00uno")}, git: true, refused: api.Conflict, names: []string{"a "}},
		"git: changed, and goes":   {theirs: tree{"a": none}, ours: tree{"a": file("mine")}, git: true, refused: api.Conflict, names: []string{"a "}},
		"git: part of it is there": {theirs: tree{"a": file("0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n")}, ours: tree{"a": file("0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n")}, git: true, want: tree{"a": file("0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n")}},
		"what runs by itself":      {theirs: tree{".envrc": file("evil"), "x": file("n")}, refused: api.Denied, names: []string{".envrc "}},
		"a .git of another name":   {theirs: tree{".Git/hooks/x": script("evil"), "x": file("n")}, refused: api.Denied, names: []string{".Git/hooks/x "}},
		"a .git":                   {theirs: tree{".git/hooks/x": script("evil"), "sub/.git": file("gitdir: x"), "x": file("n")}, want: tree{"x": file("n")}},
		"what is ours":             {theirs: tree{areaPrefix + "X/journal": file("evil")}, refused: api.Denied, names: []string{areaPrefix}},
		"out of it":                {theirs: tree{"../x": file("evil")}, refused: api.Denied, names: []string{"../x "}},
		"absolute":                 {theirs: tree{"/x": file("evil")}, refused: api.Denied, names: []string{"/x "}},
	} {
		t.Run(name, func(t *testing.T) {
			before := project.with(c.ours)
			b := newBench(t, before)
			if c.git {
				b.repository(t)
			}
			_, err := b.apply(t, project, project.with(c.theirs))
			want := project.with(c.theirs)
			switch {
			case c.refused != "":
				want = before
				if api.KindOf(err) != c.refused || api.HintOf(err) == "" {
					t.Fatalf("%v of kind %s, want %s", err, api.KindOf(err), c.refused)
				}
				for _, name := range c.names {
					if !strings.Contains(err.Error(), name) {
						t.Errorf("%q is not named: %v", name, err)
					}
				}
			case err != nil:
				t.Fatal(err)
			case c.want != nil:
				want = project.with(c.want)
			}
			for name, what := range want { // git has nothing for what is empty because of something else
				if what.kind == "" {
					delete(want, name)
				}
			}
			if diff := cmp.Diff(want, seen(t, b.dir), opaque); diff != "" {
				t.Errorf("what is there (-want +got):\n%s", diff)
			}
			if c.refused == "" {
				again, err := b.apply(t, project, project.with(c.theirs))
				if err != nil || again.Result.Changed {
					t.Errorf("again: %+v, %v", again, err)
				}
			}
		})
	}
}

func TestApplyAllowsAutorun(t *testing.T) {
	b := newBench(t, project)
	a := b.open(t, false)
	defer func() { _ = a.Close() }()
	between(t, a, project, project.with(tree{".envrc": file("x")}))
	p, err := a.Plan(t.Context(), true)
	if err != nil || len(p.Result.Entries) != 1 || p.Result.Entries[0].Flagged == nil {
		t.Fatalf("%+v, %v", p, err)
	}
	if err := a.Commit(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if seen(t, b.dir)[".envrc"] != file("x") {
		t.Error("it is not there")
	}
}

// TestApplyRefusesWhatItIsToldOf: of some files more than the name tells that they would
// run by themselves.
func TestApplyRefusesWhatItIsToldOf(t *testing.T) {
	b := newBench(t, project)
	a := b.open(t, true)
	defer func() { _ = a.Close() }()
	const why = "git takes its directory for a repository"
	is := file("[core]")
	c := Change{Path: "x/config", New: is.state(), Autorun: why}
	if err := a.Add(c, strings.NewReader(is.content), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Plan(t.Context(), false); !errors.Is(err, api.Denied) || !strings.Contains(err.Error(), why) {
		t.Errorf("unallowed: %v", err)
	}
	p, err := a.Plan(t.Context(), true)
	if err != nil || len(p.Result.Entries) != 1 || p.Result.Entries[0].Flagged == nil || *p.Result.Entries[0].Flagged != why {
		t.Errorf("allowed: %+v, %v", p, err)
	}
}

// TestTrialClearsUpAfterOthers: what a trial leaves that was killed, the next one removes,
// and not what one has that is under way.
func TestTrialClearsUpAfterOthers(t *testing.T) {
	b := newBench(t, project)
	at := filepath.Join(b.state, "applying")
	if err := os.MkdirAll(filepath.Join(at, areaPrefix+"DEAD", "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(at, areaPrefix+"DEAD"+trialSuffix), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	first := b.open(t, true)
	second := b.open(t, true)
	between(t, first, project, project.with(tree{"a": file("x")}))
	if _, err := first.Plan(t.Context(), false); err != nil {
		t.Error("another one took its area:", err)
	}
	if left, _ := filepath.Glob(filepath.Join(at, "*DEAD*")); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	if err := errors.Join(first.Close(), second.Close()); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(at); len(left) > 0 {
		t.Errorf("after the end: %v", left)
	}
}

func TestTrialChangesNothing(t *testing.T) {
	b := newBench(t, project)
	a := b.open(t, true)
	between(t, a, project, project.with(tree{"a": file("x"), "d/e/f": none, "x/y": file("z")}))
	p, err := a.Plan(t.Context(), false)
	if err := errors.Join(err, a.Close()); err != nil {
		t.Fatal(err)
	}
	want := api.ApplySummary{Total: 3, Added: 1, Modified: 1, Deleted: 1}
	if diff := cmp.Diff(want, p.Result.Summary); diff != "" || !p.Result.Changed {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(project, seen(t, b.dir), opaque); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.checkClear(t)
}

func TestOneAtATime(t *testing.T) {
	b := newBench(t, project)
	a := b.open(t, false)
	for _, untouched := range []bool{false, true} {
		if other, err := Open(t.Context(), b.config(untouched)); !errors.Is(err, api.Conflict) {
			t.Errorf("%v, %v", other, err)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	b.checkClear(t)
}

// another puts another file in the place of one, and not under its number, which would be
// free to be had again.
func another(dir, name, content string) error {
	path := filepath.Join(dir, name)
	return errors.Join(os.WriteFile(path+".new", []byte(content), 0o644), os.Rename(path+".new", path))
}

// TestChangedMeanwhile changes a file between plan and commit: all is taken back.
func TestChangedMeanwhile(t *testing.T) {
	theirs := project.with(tree{"a": file("x"), "d/e/f": none, "x/y": file("z"), "run": none, "empty": file("f")})
	for name, change := range map[string]func(dir string) error{
		"another content":              func(dir string) error { return os.WriteFile(filepath.Join(dir, "run"), []byte("mine"), 0o755) },
		"another file":                 func(dir string) error { return another(dir, "a", "1\n2\n3\n4\n5\n6\n7\n8\n9\n") },
		"another one of those that go": func(dir string) error { return another(dir, "d/e/f", "mine") },
		"it went":                      func(dir string) error { return os.Remove(filepath.Join(dir, "a")) },
		"one was made": func(dir string) error {
			return errors.Join(os.Mkdir(filepath.Join(dir, "x"), 0o755), os.WriteFile(filepath.Join(dir, "x/y"), []byte("mine"), 0o644))
		},
		"it was filled": func(dir string) error { return os.WriteFile(filepath.Join(dir, "empty/mine"), nil, 0o644) },
		"a link on the way": func(dir string) error {
			return errors.Join(os.Rename(filepath.Join(dir, "d"), filepath.Join(dir, "moved")), os.Symlink("moved", filepath.Join(dir, "d")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, project)
			a := b.open(t, false)
			between(t, a, project, theirs)
			p, err := a.Plan(t.Context(), false)
			if err := errors.Join(err, change(b.dir)); err != nil {
				t.Fatal(err)
			}
			meanwhile := seen(t, b.dir)
			for name := range meanwhile {
				if strings.HasPrefix(name, areaPrefix) {
					delete(meanwhile, name)
				}
			}
			if err := a.Commit(t.Context(), p); err == nil {
				t.Error("it was applied all the same")
			}
			if err := a.Close(); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(meanwhile, seen(t, b.dir), opaque); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			b.checkClear(t)
		})
	}
}

// TestInterrupted stops after each step, as a process does that is killed; the next one
// takes back what was done.
func TestInterrupted(t *testing.T) {
	theirs := project.with(tree{"a": link("x"), "l": none, "l/below/it": file("new"), "d/e/f": none, "d/g": none, "x/y": script("z"), "empty": file("f"), "run": file("r")})
	for done, most := 0, 1; done <= most; done++ {
		b := newBench(t, project)
		a := b.open(t, false)
		between(t, a, project, theirs)
		p, err := a.Plan(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		steps, err := a.steps(p)
		if err != nil {
			t.Fatal(err)
		}
		most = len(steps)
		if err := a.journal.write(notes{Area: a.name, Ready: true, Steps: steps}); err != nil {
			t.Fatal(err)
		}
		for i := range done {
			if err := a.do(p, &steps[i]); err != nil {
				t.Fatalf("step %d: %v", i, err)
			}
		}
		if err := errors.Join(a.journal.lock.Unlock(), a.root.Close()); err != nil { // it is dead
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), b.config(true)); !errors.Is(err, api.Conflict) {
			t.Errorf("a trial after %d steps: %v", done, err)
		}
		next := b.open(t, false)
		if err := next.Close(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(project, seen(t, b.dir), opaque); diff != "" {
			t.Errorf("after %d of %d steps (-want +got):\n%s", done, most, diff)
		}
		b.checkClear(t)
		if _, err := b.apply(t, project, theirs); err != nil {
			t.Errorf("then: %v", err)
		}
	}
}

// TestInterruptedAndChanged: what somebody changed since is not overwritten.
func TestInterruptedAndChanged(t *testing.T) {
	b := newBench(t, project)
	a := b.open(t, false)
	between(t, a, project, project.with(tree{"a": file("x"), "run": file("y")}))
	p, err := a.Plan(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	steps, err := a.steps(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.journal.write(notes{Area: a.name, Ready: true, Steps: steps}), a.do(p, &steps[0]), a.do(p, &steps[1]), a.journal.lock.Unlock(), a.root.Close()); err != nil {
		t.Fatal(err)
	}
	// In place: the same file still, as one is that gets the number of one that was removed.
	if err := os.WriteFile(filepath.Join(b.dir, "a"), []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), b.config(false))
	if !errors.Is(err, api.Conflict) || !strings.Contains(api.HintOf(err), a.name) {
		t.Errorf("%v, hint %s", err, api.HintOf(err))
	}
	if got := seen(t, b.dir); got["a"].content != "mine" || got["run"].content != "y" {
		t.Errorf("something was changed: %v", got)
	}
}

// TestInterruptedAndRemoved: where what there was is gone too, the hint does not send people
// to look for it.
func TestInterruptedAndRemoved(t *testing.T) {
	b := newBench(t, project)
	a := b.open(t, false)
	if err := errors.Join(a.journal.write(notes{Area: a.name, Ready: true}), a.place.RemoveAll(a.name), a.journal.lock.Unlock(), a.root.Close()); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), b.config(false))
	if !errors.Is(err, api.Conflict) || !strings.Contains(err.Error(), "is gone") || !strings.Contains(api.HintOf(err), "remove "+a.journal.path) {
		t.Errorf("%v, hint %s", err, api.HintOf(err))
	}
}

// TestUnwritableDirectory leaves no trace of an apply that could not begin, which the next
// one would take for one that died. Not even root can write to that one.
func TestUnwritableDirectory(t *testing.T) {
	cfg := Config{Dir: "/proc", StateDir: t.TempDir()}
	for range 2 {
		_, err := Open(t.Context(), cfg)
		if err == nil || errors.Is(err, api.Conflict) || strings.Contains(err.Error(), areaPrefix) {
			t.Errorf("got %v", err)
		}
	}
	if left, err := os.ReadDir(filepath.Join(cfg.StateDir, journals)); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestDoneAndNotClearedAway: what was done to its end stays.
func TestDoneAndNotClearedAway(t *testing.T) {
	b := newBench(t, project)
	a := b.open(t, false)
	theirs := project.with(tree{"a": file("x"), "l": none})
	between(t, a, project, theirs)
	p, err := a.Plan(t.Context(), false)
	if err := errors.Join(err, a.Commit(t.Context(), p), a.journal.lock.Unlock(), a.root.Close()); err != nil {
		t.Fatal(err)
	}
	if err := b.open(t, false).Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(theirs, seen(t, b.dir), opaque); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.checkClear(t)
}

// TestPropertyApplyBackIsWorkspace: after random edits the project is as the workspace is.
func TestPropertyApplyBackIsWorkspace(t *testing.T) {
	rounds := 150
	if testing.Short() {
		rounds = 30
	}
	for round := range rounds {
		r := rand.New(rand.NewPCG(uint64(round), 1))
		old := randomTree(r)
		now := randomEdits(r, old)
		b := newBench(t, old)
		if _, err := b.apply(t, old, now); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if diff := cmp.Diff(now, seen(t, b.dir), opaque); diff != "" {
			t.Fatalf("round %d (-workspace +project):\n%s", round, diff)
		}
		_ = os.RemoveAll(b.dir)
	}
}

var words = []string{"a", "b", "ünï", "new\nline", "-rf", "\xff", "with blank", "c.txt", "d"}

func randomName(r *rand.Rand) string {
	parts := make([]string, 1+r.IntN(3))
	for i := range parts {
		parts[i] = words[r.IntN(len(words))]
	}
	return strings.Join(parts, "/")
}

func randomThing(r *rand.Rand) thing {
	switch r.IntN(8) {
	case 0:
		return link([]string{"a", "../up", "/bin/sh", "new\nline"}[r.IntN(4)])
	case 1:
		return dir()
	case 2:
		return script(fmt.Sprint(r.IntN(5)))
	}
	return file(strings.Repeat(fmt.Sprintf("%d\n", r.IntN(5)), r.IntN(4)))
}

// put adds a thing and takes away what cannot stand beside it.
func (x tree) put(name string, what thing) {
	for other := range x {
		if strings.HasPrefix(other, name+"/") || strings.HasPrefix(name, other+"/") {
			delete(x, other)
		}
	}
	x[name] = what
}

func randomTree(r *rand.Rand) tree {
	x := make(tree)
	for range r.IntN(20) {
		x.put(randomName(r), randomThing(r))
	}
	return x
}

func randomEdits(r *rand.Rand, old tree) tree {
	x := maps.Clone(old)
	for range 1 + r.IntN(10) {
		if name := randomName(r); r.IntN(3) == 0 {
			delete(x, name)
		} else {
			x.put(name, randomThing(r))
		}
	}
	return x
}

// TestPlanAsksForBases: what files held before is asked for where both sides changed, and
// nowhere else; a plan that was not made leaves nothing in the area.
func TestPlanAsksForBases(t *testing.T) {
	const lines = "1\n2\n3\n4\n5\n6\n7\n8\n9\n"
	theirs := project.with(tree{"a": file("0\n" + lines), "Z": file("new"), "run": script("other")})
	for name, c := range map[string]struct {
		here tree
		git  bool
		want error
	}{
		"nothing changed here":       {git: true},
		"another file":               {here: tree{"d/g": file("mine")}, git: true},
		"the same":                   {here: tree{"a": file("0\n" + lines)}, git: true},
		"the same file":              {here: tree{"a": file(lines + "10\n")}, git: true, want: ErrBases},
		"the same file, without git": {here: tree{"a": file(lines + "10\n")}, want: api.Conflict},
		"the same file, and deleted": {here: tree{"a": none}, git: true, want: api.Conflict},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, project.with(c.here))
			if c.git {
				b.repository(t)
			}
			a := b.open(t, false)
			defer func() { _ = a.Close(); b.checkClear(t) }()
			if err := a.Restart(false); err != nil {
				t.Fatal(err)
			}
			betweenWithout(t, a, project, theirs)
			p, err := a.Plan(t.Context(), false)
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if errors.Is(err, ErrBases) {
				if left, _ := filepath.Glob(filepath.Join(b.dir, areaPrefix+"*", "new-*")); len(left) > 0 {
					t.Errorf("left in the area: %q", left)
				}
				if err := a.Restart(true); err != nil {
					t.Fatal(err)
				}
				between(t, a, project, theirs)
				p, err = a.Plan(t.Context(), false)
			}
			if c.want == api.Conflict {
				return
			}
			if err == nil {
				err = a.Commit(t.Context(), p)
			}
			if err != nil || p.Result.Summary.Total != 3 {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
}
