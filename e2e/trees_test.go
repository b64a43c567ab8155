package e2e

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Random trees and random edits of them, with the names and contents that programs
// mistake for something else.

// oddNames are parts of names, oddLines are lines of text.
var (
	oddNames = []string{
		"a", "b.txt", "Makefile", "with blank", "ünïcode", "日本", "new\nline", "tab\tname", `quo"te`, `back\slash`, "-dash", "*glob*",
		"semi;colon", "$var", "emoji🙂", "'single'", "trailing ", ".dot", strings.Repeat("a", 120), "end.", "%s%n", "cr\rname", "esc\x1b[31m", "latin\xe9", "b/", "a b/x",
	}
	oddLines = []string{
		"alpha", "beta", "", "-- sql comment", "++ plus", " lead", "trail ", "\ttab", "ünï", strings.Repeat("x", 300), "diff --git a/x b/x", "@@ -1 +1 @@", "--- a/x",
		`\ No newline at end of file`, "form\ffeed", "line\u2028sep", "cr\rinside", "GIT binary patch", "index 0000000..1111111", "literal 0", "[REDACTED]",
	}
	oddTargets = []string{"a", "../up", "/bin/sh", "sub/none", "ünï", "new\nline", "-x", "latin\xe9", `quo"te\`, strings.Repeat("t/", 200)}
	oddModes   = []fs.FileMode{0o644, 0o644, 0o644, 0o644, 0o755, 0o755, 0o600, 0o775}
)

// thing is what is at one path: the bits rwx, and a digest or the target of a link. Directories have no bits here.
type thing struct {
	Kind, What string
	Mode       fs.FileMode
}

// exactly, toGit and maskedBy say how trees are compared: what of a thing counts. The zero
// thing is as good as none.
func exactly(t thing) thing { return t }

// toGit is what a patch carries of a thing.
func toGit(t thing) thing {
	if t.Kind == "dir" {
		return thing{}
	}
	t.Mode &= 0o100
	return t
}

// maskedBy leaves out what a umask takes.
func maskedBy(mask fs.FileMode) func(thing) thing {
	return func(t thing) thing {
		t.Mode &^= mask
		return t
	}
}

// forest is a directory of trees, each of its own random numbers.
type forest struct {
	root string
	rand *rand.Rand
	made int // names, so that none comes twice
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

func (f *forest) name() string {
	f.made++
	part := strings.TrimSuffix(pick(f.rand, oddNames), "/")
	part = strings.ReplaceAll(part, "/", "_")
	if f.rand.IntN(5) == 0 {
		return fmt.Sprint(f.made, part)
	}
	return fmt.Sprint(part, f.made)
}

func (f *forest) content() []byte {
	lines := make([]string, 1+f.rand.IntN(40))
	for i := range lines {
		lines[i] = pick(f.rand, oddLines)
	}
	text := strings.Join(lines, "\n")
	switch f.rand.IntN(9) {
	case 0:
		return []byte(text) // no final newline
	case 1:
		return []byte(strings.ReplaceAll(text, "\n", "\r\n") + "\r\n")
	case 2:
		return nil
	case 3:
		data := make([]byte, 1+f.rand.IntN(5000))
		for i := range data {
			data[i] = byte(f.rand.Uint32())
		}
		return data
	case 4:
		return []byte(text + "\nlatin1 \xe9\xff\n")
	}
	return []byte(text + "\n")
}

// edited returns other bytes, mostly much like the ones before.
func (f *forest) edited(data []byte) []byte {
	lines := bytes.Split(data, []byte("\n"))
	at := f.rand.IntN(len(lines))
	switch f.rand.IntN(6) {
	case 0:
		lines = slices.Insert(lines, at, []byte("inserted line"))
	case 1:
		lines = slices.Delete(lines, at, at+1)
	case 2:
		lines[at] = append(slices.Clone(lines[at]), " changed"...)
	case 3:
		if cut, had := bytes.CutSuffix(data, []byte("\n")); had {
			return cut
		}
		return append(slices.Clone(data), '\n')
	case 4:
		return f.content()
	default:
		return append([]byte{'!'}, data...)
	}
	return bytes.Join(lines, []byte("\n"))
}

func (f *forest) at(path string) string { return filepath.Join(f.root, path) }

func (f *forest) writeFile(path string, data []byte, mode fs.FileMode) error {
	if err := os.WriteFile(f.at(path), data, 0o600); err != nil {
		return err
	}
	return os.Chmod(f.at(path), mode)
}

// grow makes the tree at top, with about count things in it.
func (f *forest) grow(top string, count int) error {
	dirs := []string{top}
	if err := os.Mkdir(f.at(top), 0o755); err != nil {
		return err
	}
	for range count {
		path := filepath.Join(pick(f.rand, dirs), f.name())
		var err error
		switch kind := f.rand.IntN(16); {
		case len(path) > 800:
		case kind == 0:
			err = os.Symlink(pick(f.rand, oddTargets), f.at(path))
		case kind < 4:
			err = os.Mkdir(f.at(path), 0o755)
			dirs = append(dirs, path)
		default:
			err = f.writeFile(path, f.content(), pick(f.rand, oddModes))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// change makes about count edits in the tree at top.
func (f *forest) change(top string, count int) error {
	for range count {
		in := map[string][]string{"dir": {top}}
		seen, err := look(f.at(top))
		if err != nil {
			return err
		}
		for _, path := range slices.Sorted(maps.Keys(seen)) {
			in[seen[path].Kind] = append(in[seen[path].Kind], filepath.Join(top, path))
		}
		if err := f.edit(in); err != nil {
			return err
		}
	}
	return nil
}

// edit makes one edit among the things of each kind.
func (f *forest) edit(in map[string][]string) error {
	fresh := filepath.Join(pick(f.rand, in["dir"]), f.name())
	if len(fresh) > 800 {
		return nil
	}
	kind := f.rand.IntN(20)
	switch {
	case kind < 10 && len(in["file"]) > 0:
		return f.editFile(kind, pick(f.rand, in["file"]), fresh)
	case kind < 13 && len(in["link"]) > 0:
		return f.editLink(kind, pick(f.rand, in["link"]))
	case kind < 15 && len(in["dir"]) > 4:
		return f.editDir(kind, pick(f.rand, in["dir"][1:]), fresh)
	case kind == 15:
		if err := os.Mkdir(f.at(fresh), 0o755); err != nil || f.rand.IntN(4) == 0 {
			return err // an empty one
		}
		return f.writeFile(filepath.Join(fresh, f.name()), f.content(), 0o644)
	case kind == 16:
		return os.Symlink(pick(f.rand, oddTargets), f.at(fresh))
	}
	return f.writeFile(fresh, f.content(), pick(f.rand, oddModes))
}

func (f *forest) editFile(kind int, path, fresh string) error {
	data, err := os.ReadFile(f.at(path))
	if err != nil {
		return err
	}
	switch {
	case kind < 4:
		return os.WriteFile(f.at(path), f.edited(data), 0)
	case kind == 4:
		return os.Chmod(f.at(path), pick(f.rand, oddModes))
	case kind < 7: // another name
		if err := os.Rename(f.at(path), f.at(fresh)); err != nil || kind == 5 {
			return err
		}
		return os.WriteFile(f.at(fresh), f.edited(data), 0)
	}
	if err := os.Remove(f.at(path)); err != nil || kind == 7 {
		return err
	}
	if kind == 8 {
		return os.Symlink(pick(f.rand, oddTargets), f.at(path))
	}
	if err := os.Mkdir(f.at(path), 0o755); err != nil {
		return err
	}
	return f.writeFile(filepath.Join(path, f.name()), data, 0o644)
}

func (f *forest) editLink(kind int, path string) error {
	if err := os.Remove(f.at(path)); err != nil || kind == 10 {
		return err
	}
	if kind == 11 {
		return f.writeFile(path, f.content(), 0o644)
	}
	return os.Symlink(pick(f.rand, oddTargets), f.at(path))
}

// editDir deletes a directory, or gives it another name, or puts something else in its place.
func (f *forest) editDir(kind int, path, fresh string) error {
	if kind == 13 && !strings.HasPrefix(fresh, path) {
		return os.Rename(f.at(path), f.at(fresh))
	}
	if err := os.RemoveAll(f.at(path)); err != nil {
		return err
	}
	switch f.rand.IntN(3) {
	case 0:
		return f.writeFile(path, f.content(), 0o755)
	case 1:
		return os.Symlink(pick(f.rand, oddTargets), f.at(path))
	}
	return nil
}

// look reads a tree.
func look(root string) (map[string]thing, error) {
	seen := make(map[string]thing)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		found := thing{Kind: "dir"}
		switch {
		case info.Mode().IsRegular():
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			found = thing{"file", fmt.Sprintf("%d bytes, %.6x", len(data), sha256.Sum256(data)), info.Mode().Perm()}
		case info.Mode().Type() == fs.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			found = thing{Kind: "link", What: target}
		case !info.IsDir():
			found = thing{Kind: info.Mode().String()}
		}
		seen[path[len(root)+1:]] = found
		return nil
	})
	return seen, err
}

// sameTrees wants two trees to be the same, as far as it counts.
func sameTrees(t *testing.T, what, want, got string, counts func(thing) thing) {
	t.Helper()
	wanted, err := look(want)
	if err != nil {
		t.Fatal(err)
	}
	found, err := look(got)
	if err != nil {
		t.Fatal(err)
	}
	paths := maps.Clone(wanted)
	maps.Copy(paths, found)
	var wrong []string
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if one, other := counts(wanted[path]), counts(found[path]); one != other {
			wrong = append(wrong, fmt.Sprintf("%q is %+v, and not %+v", path, other, one))
		}
	}
	if len(wrong) > 0 {
		t.Fatalf("%s: %d paths differ:\n%s", what, len(wrong), strings.Join(wrong[:min(len(wrong), 8)], "\n"))
	}
}

// travel is the way from one tree to another: what must go first, with a NUL after each,
// and an archive of what comes.
func travel(from, to string, w io.Writer) (gone []byte, err error) {
	before, err := look(from)
	if err != nil {
		return nil, err
	}
	after, err := look(to)
	if err != nil {
		return nil, err
	}
	for path, one := range before {
		if after[path].Kind != one.Kind {
			gone = append(append(gone, path...), 0)
		}
	}
	packed := tar.NewWriter(w)
	for _, path := range slices.Sorted(maps.Keys(after)) {
		if before[path] == after[path] {
			continue
		}
		if err := pack(packed, to, path, after[path]); err != nil {
			return nil, err
		}
	}
	return gone, packed.Close()
}

func pack(w *tar.Writer, root, path string, one thing) error {
	h := tar.Header{Name: path, Mode: int64(one.Mode), Format: tar.FormatPAX}
	var data []byte
	switch one.Kind {
	case "dir":
		h.Typeflag, h.Name, h.Mode = tar.TypeDir, path+"/", 0o755
	case "link":
		h.Typeflag, h.Linkname = tar.TypeSymlink, one.What
	default:
		var err error
		if data, err = os.ReadFile(filepath.Join(root, path)); err != nil {
			return err
		}
		h.Typeflag, h.Size = tar.TypeReg, int64(len(data))
	}
	if err := w.WriteHeader(&h); err != nil {
		return err
	}
	_, err := w.Write(data)
	return err
}
