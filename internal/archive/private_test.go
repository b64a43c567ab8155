package archive_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/internal/archive"
)

var private = archive.UnpackOptions{Links: archive.LinksAsData, Modes: archive.ModesKept, Private: true}

func TestModesInAPrivateRootAreExact(t *testing.T) {
	modes := []int64{0o644, 0o755, 0o600, 0o666, 0, 0o444, 0o777, 0o4755, 0o2755, 0o1777}
	var members []member
	for i := range 3 * len(modes) { // the first of a mode teaches something about the next
		members = append(members, file(fmt.Sprintf("d%d/f%d", i%2, i), "content").mode(modes[i%len(modes)]))
	}
	for _, umask := range []int{0, 0o022, 0o077} {
		t.Run(fmt.Sprintf("umask %#o", umask), func(t *testing.T) {
			a := newArena(t)
			old := unix.Umask(umask)
			_, err := a.unpack(t, tarball(t, members...), private)
			unix.Umask(old)
			if err != nil {
				t.Fatal(err)
			}
			for i := range members {
				var st unix.Stat_t
				name := a.path(fmt.Sprintf("d%d/f%d", i%2, i))
				if err := unix.Lstat(name, &st); err != nil || int64(st.Mode&0o7777) != modes[i%len(modes)] || st.Mtim.Nano() != mtime*1e9 {
					t.Errorf("%s: mode %#o, time %d, %v; want mode %#o", name, st.Mode&0o7777, st.Mtim.Nano(), err, modes[i%len(modes)])
				}
			}
		})
	}
}

func TestHardLinksInAPrivateRoot(t *testing.T) {
	a := newArena(t)
	if _, err := a.unpack(t, tarball(t, file("d/f", "x"), hardLink("again", "d/f"), hardLink("d/twice", "again")), private); err != nil {
		t.Fatal(err)
	}
	if !same(t, a.path("d/f"), a.path("d/twice")) {
		t.Error("the hard link is another file")
	}
	for name, first := range map[string]member{"to a symlink": symlink("l", "/etc/passwd"), "to a directory": directory("l"), "to nothing": file("m", "")} {
		if _, err := newArena(t).unpack(t, tarball(t, first, hardLink("again", "l")), private); err == nil {
			t.Errorf("a hard link %s was made", name)
		}
	}
}

func TestDirectoriesInAnyOrder(t *testing.T) {
	names := []string{"a/b/c/1", "a/2", "a/b/c/d/3", "z/4", "a/b/5", "6", "a/bc/7", "a/b/c/8", "z/z/z/9", "a/b/c/d/10"}
	var members []member
	for _, name := range names {
		members = append(members, file(name, name))
	}
	for _, name := range []string{"a", "z/z", "a/b/c", "z"} {
		members = append(members, directory(name).mode(0o711))
	}
	a := newArena(t)
	if _, err := a.unpack(t, tarball(t, members...), private); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if content, err := os.ReadFile(a.path(name)); string(content) != name {
			t.Errorf("%s has %q, %v", name, content, err)
		}
	}
	for name, want := range map[string]os.FileMode{"a": 0o711, "a/b": 0o755, "a/b/c": 0o711, "z/z": 0o711, "z/z/z": 0o755, "z": 0o711} {
		if info, err := os.Stat(a.path(name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", name, info, err, want)
		}
	}
}

// seesHoles reports whether the file system tells what a file really takes. That of
// gVisor tells its size.
func seesHoles(t *testing.T) bool {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "hole"))
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := errors.Join(f.Truncate(1<<20), unix.Fstat(int(f.Fd()), &st), f.Close()); err != nil {
		t.Fatal(err)
	}
	return st.Blocks == 0
}

func TestLongRunsOfZerosBecomeHoles(t *testing.T) {
	zeros, text := strings.Repeat("\x00", 2<<20), strings.Repeat("text", 100_000)
	holes := seesHoles(t)
	for name, content := range map[string]string{
		"at the start": zeros + text, "at the end": text + zeros, "in the middle": text + zeros + text, "alone": zeros, "and a rest": zeros + "\x00",
	} {
		t.Run(name, func(t *testing.T) {
			a := newArena(t)
			if _, err := a.unpack(t, tarball(t, file("f", content)), private); err != nil {
				t.Fatal(err)
			}
			var st unix.Stat_t
			if err := unix.Stat(a.path("f"), &st); err != nil {
				t.Fatal(err)
			}
			if used := st.Blocks * 512; holes && used > int64(len(content))-1<<20 {
				t.Errorf("%d bytes take %d on disk", len(content), used)
			}
			if got, err := os.ReadFile(a.path("f")); !bytes.Equal(got, []byte(content)) {
				t.Errorf("the content of %d bytes is another one, %v", len(got), err)
			}
		})
	}
}
