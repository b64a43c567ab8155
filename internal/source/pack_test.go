package source

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/testgate"
)

func fifo(t testing.TB, path string) {
	t.Helper()
	_, err := exec.LookPath("mkfifo")
	testgate.Require(t, testgate.Tool, err)
	must(t, exec.CommandContext(t.Context(), "mkfifo", path).Run())
}

func TestATreeArrivesAsItIs(t *testing.T) {
	dir := t.TempDir()
	names := []string{"-rf", "a b", "new\nline", "\x1b[31mred", "\xff\xfe", "trailing ", "ä", strings.Repeat("n", 255), "deep/er/x", "..."}
	for _, name := range names {
		write(t, filepath.Join(dir, name), name)
	}
	write(t, filepath.Join(dir, "run"), "#!/bin/sh\n")
	must(t, os.Link(filepath.Join(dir, "run"), filepath.Join(dir, "again")))
	for target, link := range map[string]string{"/home/user/.ssh": "ssh", "missing": "dangling", "..": "up", ".": "self"} {
		must(t, os.Symlink(target, filepath.Join(dir, link)))
	}
	must(t, os.Mkdir(filepath.Join(dir, "empty"), 0o755))
	for name, mode := range map[string]os.FileMode{"-rf": 0o400, "run": 0o755, "a b": 0o600, "ä": 0o666 | os.ModeSetuid, "deep": 0o555, "empty": 0o777 | os.ModeSticky} {
		must(t, os.Chmod(filepath.Join(dir, name), mode))
	}
	t.Cleanup(func() { must(t, os.Chmod(filepath.Join(dir, "deep"), 0o755)) })
	at := time.Unix(1_600_000_000, 999_999_999)
	for _, name := range []string{"run", "ä", "empty"} {
		must(t, os.Chtimes(filepath.Join(dir, name), at, at))
	}
	to := arrive(t, dir, Options{})
	t.Cleanup(func() { must(t, os.Chmod(filepath.Join(to, "deep"), 0o755)) })
	if diff := cmp.Diff(describe(t, dir), describe(t, to)); diff != "" {
		t.Errorf("(-here +arrived):\n%s", diff)
	}
	one, err := os.Stat(filepath.Join(to, "run"))
	must(t, err)
	if other, err := os.Stat(filepath.Join(to, "again")); err != nil || !os.SameFile(one, other) {
		t.Errorf("the hard link is one no more: %v", err)
	}
}

// describe lists a tree by Entries, less what cannot be the same elsewhere.
func describe(t testing.TB, dir string) []Entry {
	t.Helper()
	entries, ok, err := open(t, dir, Options{}).Entries(t.Context())
	must(t, err)
	if !ok || len(entries) == 0 {
		t.Fatal("nothing is listed")
	}
	for i := range entries {
		if entries[i].CTime.IsZero() {
			t.Errorf("%q has no ctime", entries[i].Path)
		}
		entries[i].CTime = time.Time{}
	}
	return entries
}

func TestEntriesSayWhatAMemberIs(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "d/f"), "four")
	must(t, os.Symlink("target", filepath.Join(dir, "l")))
	must(t, os.Chmod(filepath.Join(dir, "d/f"), 0o640))
	at := time.Unix(1_600_000_000, 5)
	for _, name := range []string{"d/f", "d"} {
		must(t, os.Chtimes(filepath.Join(dir, name), at, at))
	}
	got := describe(t, dir)
	got[2].MTime = 0 // of the link
	want := []Entry{
		{Path: "d", Kind: archive.KindDirectory, Mode: 0o755, MTime: at.Unix()},
		{Path: "d/f", Kind: archive.KindFile, Mode: 0o640, Size: 4, MTime: at.Unix()},
		{Path: "l", Kind: archive.KindSymlink, Mode: 0o777, Target: "target"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatIsExcludedStaysOut(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.o", "src/a.c", "src/a.o", "src/keep.o", "node_modules/x/y", "src/node_modules/z", "build/x", "src/build/x"} {
		write(t, filepath.Join(dir, name), "")
	}
	fifo(t, filepath.Join(dir, "node_modules/pipe")) // nobody cares about what stays out
	o := Options{Exclude: []string{"node_modules/", "/build", "*.o", "!keep.o"}}
	want := []string{"src/", "src/a.c", "src/build/", "src/build/x", "src/keep.o"}
	if diff := cmp.Diff(want, packed(t, dir, o)); diff != "" {
		t.Errorf("of a directory (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, listed(t, dir, o)); diff != "" {
		t.Errorf("of a list (-want +got):\n%s", diff)
	}

	file := filepath.Join(t.TempDir(), "a.tgz")
	tarGzip(t, file, "./a.o", "src/a.c", "src/a.o", "./src//keep.o", "node_modules/x/y", "src/node_modules/z", "./build/x", "src/build/x")
	want = []string{"src/a.c", "src/keep.o", "src/build/x"}
	if diff := cmp.Diff(want, packed(t, file, o)); diff != "" {
		t.Errorf("of an archive (-want +got):\n%s", diff)
	}
}

func tarGzip(t testing.TB, file string, names ...string) {
	t.Helper()
	var data bytes.Buffer
	z := gzip.NewWriter(&data)
	w := tar.NewWriter(z)
	for _, name := range names {
		must(t, w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: 1}))
		_, err := w.Write([]byte("x"))
		must(t, err)
	}
	must(t, errors.Join(w.Close(), z.Close(), os.WriteFile(file, data.Bytes(), 0o600)))
}

func TestAnArchiveIsNotComparedAndItsGitFilesAreNotFollowed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.tar.gz")
	tarGzip(t, file, ".git", "sub/.git")
	s := open(t, file, Options{})
	if _, ok, err := s.Entries(t.Context()); ok || err != nil {
		t.Errorf("listed: %v, %v", ok, err)
	}
	if diff := cmp.Diff([]string{".git", "sub/.git"}, packed(t, file, Options{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAnArchiveThatGoesThroughItsOwnLinkIsInvalid(t *testing.T) {
	var data bytes.Buffer
	w := tar.NewWriter(&data)
	must(t, w.WriteHeader(&tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "/tmp"}))
	must(t, w.WriteHeader(&tar.Header{Name: "l/f"}))
	must(t, w.Close())
	file := filepath.Join(t.TempDir(), "a.tar")
	write(t, file, data.String())
	if err := packErr(t, file, Options{}); !errors.Is(err, api.Invalid) || api.HintOf(err) == "" {
		t.Errorf("got %v, hint %q", err, api.HintOf(err))
	}
}

func TestABrokenArchiveIsInvalid(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.tar")
	write(t, file, strings.Repeat("no archive", 200))
	if err := packErr(t, file, Options{}); !errors.Is(err, api.Invalid) || api.HintOf(err) == "" {
		t.Errorf("got %v, hint %q", err, api.HintOf(err))
	}
}

func TestSpecialFilesAreRefusedOrLeftOut(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "d/f"), "")
	fifo(t, filepath.Join(dir, "d/pipe"))
	err := packErr(t, dir, Options{})
	if !errors.Is(err, api.Invalid) || !strings.Contains(err.Error(), "d/pipe") || !strings.Contains(api.HintOf(err), "--skip-special") {
		t.Errorf("got %v, hint %q", err, api.HintOf(err))
	}
	if _, _, err := open(t, dir, Options{}).Entries(t.Context()); !errors.Is(err, api.Invalid) {
		t.Errorf("Entries says %v", err)
	}
	s := open(t, dir, Options{SkipSpecial: true})
	counts, err := s.Pack(t.Context(), io.Discard)
	if diff := cmp.Diff(archive.Counts{Entries: 2, Skipped: 1}, counts); diff != "" || err != nil {
		t.Errorf("%v, (-want +got):\n%s", err, diff)
	}
}

func TestTheSocketOfGitsWatcherStaysOut(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, ".git/HEAD"), "")
	fifo(t, filepath.Join(dir, ".git/fsmonitor--daemon.ipc"))
	if diff := cmp.Diff([]string{".git/", ".git/HEAD"}, packed(t, dir, Options{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatCannotBeReadIsNamed(t *testing.T) {
	testgate.Require(t, testgate.NonRoot, ordinaryUser())
	for _, name := range []string{"d/f", "d", "d/.git"} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "d/f"), "")
		write(t, filepath.Join(dir, "d/.git"), "")
		must(t, os.Chmod(filepath.Join(dir, name), 0))
		t.Cleanup(func() { must(t, os.Chmod(filepath.Join(dir, name), 0o755)) })
		err := packErr(t, dir, Options{})
		if !errors.Is(err, api.Denied) || !strings.Contains(err.Error(), name) || api.HintOf(err) == "" {
			t.Errorf("%s: %v, hint %q", name, err, api.HintOf(err))
		}
	}
}

// onWrite is a writer that does something when the first bytes come, which is while
// the source is read.
type onWrite struct {
	do    func()
	bytes int
}

func (w *onWrite) Write(p []byte) (int, error) {
	if w.bytes == 0 {
		w.do()
	}
	w.bytes += len(p)
	return len(p), nil
}

func TestAFileThatShrinksIsAnError(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big")
	must(t, os.WriteFile(big, make([]byte, 4<<20), 0o600))
	w := &onWrite{do: func() { must(t, os.Truncate(big, 5)) }}
	_, err := open(t, dir, Options{}).Pack(t.Context(), w)
	if !errors.Is(err, api.Conflict) || !strings.Contains(err.Error(), "big") {
		t.Errorf("got %v", err)
	}
}

func TestWhatComesAndGoesMeanwhileIsNoError(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "big"), make([]byte, 4<<20), 0o600))
	write(t, filepath.Join(dir, "gone/x"), "")
	w := &onWrite{do: func() {
		must(t, os.RemoveAll(filepath.Join(dir, "gone")))
		write(t, filepath.Join(dir, "new"), "")
		must(t, os.WriteFile(filepath.Join(dir, "big"), make([]byte, 8<<20), 0o600))
	}}
	counts, err := open(t, dir, Options{}).Pack(t.Context(), w)
	if err != nil || counts.Bytes != 4<<20 {
		t.Errorf("%+v, %v", counts, err)
	}
}

func TestPackStopsWhenCancelled(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "big"), make([]byte, 4<<20), 0o600))
	ctx, cancel := context.WithCancel(t.Context())
	w := &onWrite{do: cancel}
	_, err := open(t, dir, Options{}).Pack(ctx, w)
	if !errors.Is(err, api.Canceled) || w.bytes > 2<<20 {
		t.Errorf("%v after %d bytes", err, w.bytes)
	}
	if _, _, err := open(t, dir, Options{}).Entries(ctx); !errors.Is(err, api.Canceled) {
		t.Errorf("Entries says %v", err)
	}
}

type brokenPipe struct{ err error }

func (b brokenPipe) Write([]byte) (int, error) { return 0, b.err }

func TestAnErrorOfTheWriterComesAsItIs(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a"), "")
	want := errors.New("the other side is gone")
	if _, err := open(t, dir, Options{}).Pack(t.Context(), brokenPipe{want}); !errors.Is(err, want) {
		t.Errorf("got %v", err)
	}
}

func TestPackOnlyTakesWhatIsNeeded(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "d/b", "e/c"} {
		write(t, filepath.Join(dir, name), "x")
	}
	must(t, os.Symlink("a", filepath.Join(dir, "link")))
	var stream bytes.Buffer
	counts, err := open(t, dir, Options{}).PackOnly(t.Context(), &stream, func(path string) bool { return path == "d/b" || path == "e" })
	must(t, err)
	if diff := cmp.Diff([]string{"d/b", "e/"}, members(t, &stream)); diff != "" || counts.Bytes != 1 {
		t.Errorf("%+v, (-want +got):\n%s", counts, diff)
	}
}

func TestProgressIsToldWhileBytesFlow(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "big"), make([]byte, 1<<20), 0o600))
	var told []int64
	entries := 0
	o := Options{Progress: func(n int, bytes int64) { entries = n; told = append(told, bytes) }}
	var stream bytes.Buffer
	_, err := open(t, dir, o).Pack(t.Context(), &stream)
	must(t, err)
	if len(told) < 4 || !slices.IsSorted(told) || told[len(told)-1] != int64(stream.Len()) || entries != 1 {
		t.Errorf("told %d entries and %v of %d bytes", entries, told, stream.Len())
	}
}

func TestMoreThanTheLimitIsInvalid(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a/b", "a/c", "d/e"} {
		write(t, filepath.Join(dir, name), "")
	}
	err := packErr(t, dir, Options{Limits: archive.Limits{Entries: 4}})
	if !errors.Is(err, api.Invalid) || !strings.Contains(api.HintOf(err), "--exclude") {
		t.Errorf("got %v", err)
	}
	must(t, packErr(t, dir, Options{Limits: archive.Limits{Entries: 4}, Exclude: []string{"e"}}))
}
