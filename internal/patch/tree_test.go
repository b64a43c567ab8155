package patch_test

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/internal/patch"
)

// node is a file or a symlink in memory.
type node struct {
	Kind    patch.Kind
	Exec    bool
	Content string // or the target
}

// tree is what lies at each path; directories are there by what they hold.
type tree map[string]node

func (n node) side() patch.Side {
	switch {
	case n.Kind == patch.Absent:
		return patch.Side{}
	case n.Kind == patch.Symlink:
		return patch.Link(n.Content)
	case n.Exec:
		return patch.Bytes(0o755, []byte(n.Content))
	default:
		return patch.Bytes(0o644, []byte(n.Content))
	}
}

// names and words are what has broken readers and writers of patches.
var (
	names = []string{
		"a", "b.txt", "Makefile", "with blank", "ünïcode", "日本", "new\nline", "tab\tname", `quo"te`, `back\slash`, `end\`, "-dash",
		"*glob*", "semi;colon", "$var", "emoji🙂", "'single'", "trailing ", " leading", "two  blanks", ".dot", strings.Repeat("a", 120), "end.",
		"%s%n", "\xff\xfe", "latin\xe9", "cr\r", "\x01\x7f", "sep\u2028", "rtl\u202e", "a b", "b", "dev", "null", "/dev",
	}
	words = []string{
		"alpha", "beta", "", "", "-- sql comment", "++ plus", " lead", "trail ", "\ttab", "ünï", strings.Repeat("x", 300),
		"diff --git a/x b/x", "@@ -1 +1 @@", "--- a/x", "+++ b/x", `\ No newline at end of file`, "form\x0cfeed", "sep\u2028line", "cr\rinside",
		"GIT binary patch", "literal 3", "-- ", "index 123..456 100644",
	}
)

type maker struct {
	*rand.Rand
	count int
}

func (r *maker) name() string {
	r.count++
	name := strings.ReplaceAll(names[r.IntN(len(names))], "/", "")
	switch r.IntN(5) {
	case 0:
		return fmt.Sprintf("%d%s", r.count, name)
	case 1:
		return name
	default:
		return fmt.Sprintf("%s%d", name, r.count)
	}
}

func (r *maker) data() string {
	lines := make([]string, 1+r.IntN(40))
	for i := range lines {
		lines[i] = words[r.IntN(len(words))]
	}
	text := strings.Join(lines, "\n")
	switch r.IntN(9) {
	case 4:
		return text
	case 5:
		return strings.ReplaceAll(text, "\n", "\r\n") + "\r\n"
	case 6:
		return ""
	case 7:
		random := make([]byte, 1+r.IntN(5000))
		for i := range random {
			random[i] = byte(r.Uint32())
		}
		return string(random)
	case 8:
		return text + "\nlatin1 \xe9\xff\n"
	default:
		return text + "\n"
	}
}

func (r *maker) edit(data string) string {
	lines := strings.Split(data, "\n")
	at := r.IntN(len(lines))
	switch r.IntN(7) {
	case 0:
		lines = slices.Insert(lines, at, "inserted line")
	case 1:
		lines = slices.Delete(lines, at, at+1)
	case 2:
		lines[at] += " changed"
	case 3:
		if text, ended := strings.CutSuffix(data, "\n"); ended {
			return text
		}
		return data + "\n"
	case 4:
		return r.data()
	case 5:
		return strings.ToUpper(data) + "!"
	default:
		for range 3 {
			lines[r.IntN(len(lines))] = words[r.IntN(len(words))]
		}
	}
	return strings.Join(lines, "\n")
}

func (r *maker) node() node {
	if r.IntN(12) == 0 {
		return node{Kind: patch.Symlink, Content: []string{"a", "../up", "/bin/sh", "sub/none", "ünï", "new\nline", "latin\xe9"}[r.IntN(7)]}
	}
	return node{Kind: patch.File, Exec: r.IntN(6) == 0, Content: r.data()}
}

// fits tells whether a path can be added: nothing is there, above it or below it.
func (t tree) fits(path string) bool {
	for above := filepath.Dir(path); above != "."; above = filepath.Dir(above) {
		if _, is := t[above]; is {
			return false
		}
	}
	for at := range t {
		if at == path || strings.HasPrefix(at, path+"/") {
			return false
		}
	}
	return true
}

func (t tree) paths() []string { return slices.Sorted(maps.Keys(t)) }

// folders are the directories of the tree and its root "".
func (t tree) folders() []string {
	all := map[string]bool{"": true}
	for at := range t {
		for above := filepath.Dir(at); above != "."; above = filepath.Dir(above) {
			all[above] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

func (r *maker) pick(all []string) string { return all[r.IntN(len(all))] }

// grow adds about count things.
func (r *maker) grow(t tree, count int) {
	for range count {
		folder := r.pick(t.folders())
		if r.IntN(8) == 0 {
			folder = filepath.Join(folder, r.name())
		}
		if path := filepath.Join(folder, r.name()); t.fits(path) && len(path) < 900 {
			t[path] = r.node()
		}
	}
}

// change makes about count random edits.
func (r *maker) change(t tree, count int) {
	for range count {
		if len(t) == 0 {
			r.grow(t, 1)
			continue
		}
		path := r.pick(t.paths())
		n := t[path]
		switch kind := r.IntN(13); {
		case kind < 4 && n.Kind == patch.File:
			n.Content = r.edit(n.Content)
			t[path] = n
		case kind == 4 && n.Kind == patch.File:
			n.Exec = !n.Exec
			t[path] = n
		case kind == 5:
			delete(t, path)
		case kind == 6: // another kind of thing, or other content
			t[path] = r.node()
		case kind == 7: // renamed, with an edit
			delete(t, path)
			if to := filepath.Join(r.pick(t.folders()), r.name()); t.fits(to) && len(to) < 900 {
				n.Content += "after rename"
				t[to] = n
			}
		case kind == 8: // becomes a directory
			delete(t, path)
			t[path+"/"+r.name()] = r.node()
		case kind == 9: // a directory becomes one thing
			if folder := r.pick(t.folders()); folder != "" {
				maps.DeleteFunc(t, func(at string, _ node) bool { return strings.HasPrefix(at, folder+"/") })
				t[folder] = r.node()
			}
		case kind == 10 && n.Kind == patch.Symlink:
			n.Content += "x"
			t[path] = n
		default:
			r.grow(t, 1)
		}
	}
}

// pair makes an old tree and a new one from a seed.
func pair(seed uint64) (old, new tree) {
	r := &maker{Rand: rand.New(rand.NewPCG(seed, 7))}
	old = tree{}
	r.grow(old, 3+r.IntN(25))
	new = maps.Clone(old)
	r.count = 500
	r.change(new, 1+r.IntN(12))
	return old, new
}

// makePatch is the git patch from one tree to another, the sections in no order.
func makePatch(t testing.TB, old, new tree) []byte {
	t.Helper()
	var out bytes.Buffer
	var m patch.Maker
	union := maps.Clone(old)
	maps.Copy(union, new)
	for path := range union {
		delta, err := m.Compare(path, old[path].side(), new[path].side())
		if err != nil {
			t.Fatal(err)
		}
		if err := delta.WriteGit(&out); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// write makes files of a tree below dir.
func (t tree) write(dir string) error {
	for path, n := range t {
		at := dir + "/" + path
		mode := cmp.Or(map[bool]os.FileMode{true: 0o755}[n.Exec], 0o644)
		err := os.MkdirAll(filepath.Dir(at), 0o755)
		if err == nil && n.Kind == patch.Symlink {
			err = os.Symlink(n.Content, at)
		} else if err == nil {
			err = os.WriteFile(at, []byte(n.Content), mode)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// readTree reads what lies below dir, but for .git.
func readTree(dir string) (tree, error) {
	t := tree{}
	err := filepath.WalkDir(dir, func(at string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			if err == nil && entry.Name() == ".git" {
				return filepath.SkipDir
			}
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		n := node{Kind: patch.File, Exec: info.Mode()&0o100 != 0}
		var content []byte
		if info.Mode()&os.ModeSymlink != 0 {
			n.Kind, n.Exec = patch.Symlink, false
			n.Content, err = os.Readlink(at)
		} else {
			content, err = os.ReadFile(at)
			n.Content = string(content)
		}
		t[at[len(dir)+1:]] = n
		return err
	})
	return t, err
}
