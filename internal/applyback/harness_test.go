package applyback

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/internal/archive"
)

// tree is a small file tree in the memory: what a path is.
type tree map[string]thing

// thing is a file, link or directory.
type thing struct {
	kind    archive.Kind
	mode    fs.FileMode
	content string // or target
}

func file(content string) thing   { return thing{archive.KindFile, 0o644, content} }
func script(content string) thing { return thing{archive.KindFile, 0o755, content} }
func link(target string) thing    { return thing{archive.KindSymlink, 0o777, target} }
func dir() thing                  { return thing{archive.KindDirectory, 0o755, ""} }

// grow makes the tree below a directory.
func (x tree) grow(t *testing.T, at string) {
	t.Helper()
	for name, what := range x {
		path := filepath.Join(at, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			switch what.kind {
			case archive.KindFile:
				if err = os.WriteFile(path, []byte(what.content), 0o600); err == nil {
					err = os.Chmod(path, what.mode)
				}
			case archive.KindSymlink:
				err = os.Symlink(what.content, path)
			default:
				err = os.MkdirAll(path, 0o755)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// seen is what is below a directory, .git apart; of directories those that are empty.
func seen(t *testing.T, at string) tree {
	t.Helper()
	found, full := make(tree), make(map[string]bool)
	err := filepath.WalkDir(at, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == at {
			return err
		}
		name, _ := filepath.Rel(at, path)
		if name == ".git" {
			return fs.SkipDir
		}
		full[filepath.Dir(name)] = true
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			found[name] = dir()
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			found[name] = link(target)
			return err
		default:
			data, err := os.ReadFile(path)
			found[name] = thing{archive.KindFile, info.Mode().Perm(), string(data)}
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range full {
		if found[name].kind == archive.KindDirectory {
			delete(found, name)
		}
	}
	return found
}

func (w *thing) state() *State {
	if w == nil {
		return nil
	}
	s := &State{Kind: w.kind, Mode: uint32(w.mode)}
	switch w.kind {
	case archive.KindFile:
		s.Size, s.SHA256 = int64(len(w.content)), sha256.Sum256([]byte(w.content))
	case archive.KindSymlink:
		s.Target = w.content
	}
	return s
}

// between are the changes from one tree to another, with their content.
func between(t *testing.T, a *Area, old, now tree) { t.Helper(); tell(t, a, old, now, true) }

// betweenWithout is between where nobody tells what files held before.
func betweenWithout(t *testing.T, a *Area, old, now tree) { t.Helper(); tell(t, a, old, now, false) }

func tell(t *testing.T, a *Area, old, now tree, bases bool) {
	t.Helper()
	names := make(map[string]bool)
	for name := range old {
		names[name] = true
	}
	for name := range now {
		names[name] = true
	}
	for name := range names {
		var was, is *thing
		if w, ok := old[name]; ok {
			was = &w
		}
		if w, ok := now[name]; ok {
			is = &w
		}
		if was != nil && is != nil && *was == *is {
			continue
		}
		c := Change{Path: name, Old: was.state(), New: is.state()}
		var content, base io.Reader
		same := was != nil && is != nil && was.kind == is.kind && was.content == is.content
		if is != nil && is.kind == archive.KindFile && !same {
			content = strings.NewReader(is.content)
		}
		if was != nil && was.kind == archive.KindFile && !same && bases {
			base = strings.NewReader(was.content)
		}
		if err := a.Add(c, content, base); err != nil {
			t.Fatal(err)
		}
	}
}

// bench is a project and a private state directory.
type bench struct{ dir, state string }

func newBench(t *testing.T, project tree) bench {
	t.Helper()
	b := bench{t.TempDir(), t.TempDir()}
	project.grow(t, b.dir)
	return b
}

func (b bench) config(untouched bool) Config {
	return Config{Dir: b.dir, StateDir: b.state, Untouched: untouched, Env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + b.state}}
}

func (b bench) open(t *testing.T, untouched bool) *Area {
	t.Helper()
	a, err := Open(t.Context(), b.config(untouched))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// apply does all of it.
func (b bench) apply(t *testing.T, old, now tree) (*Plan, error) {
	t.Helper()
	a := b.open(t, false)
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		b.checkClear(t)
	}()
	between(t, a, old, now)
	p, err := a.Plan(t.Context(), false)
	if err == nil {
		err = a.Commit(t.Context(), p)
	}
	return p, err
}

// checkClear wants nothing of ours to be left.
func (b bench) checkClear(t *testing.T) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(b.state, "applying"))
	if err != nil || len(entries) > 0 {
		t.Errorf("left in the state: %v, %v", entries, err)
	}
	left, _ := filepath.Glob(filepath.Join(b.dir, areaPrefix+"*"))
	if len(left) > 0 {
		t.Errorf("left in the directory: %v", left)
	}
}

// repository makes the project a work tree with one commit.
func (b bench) repository(t *testing.T) {
	t.Helper()
	b.git(t, "init", "-q", "-b", "main")
	b.git(t, "add", "-A")
	b.git(t, "commit", "-q", "--allow-empty", "-m", "first")
	if err := os.WriteFile(filepath.Join(b.state, ".gitconfig"), []byte("[user]\n\tname = A\n\temail = a@example.com\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (b bench) git(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "git", slices.Concat([]string{"-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "core.quotepath=false", "-C", b.dir}, args)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "HOME="+b.state)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git %v: %v: %s", args, err, complaint.String())
	}
	return string(out)
}
