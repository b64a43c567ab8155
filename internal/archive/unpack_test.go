package archive_test

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/internal/archive"
)

func TestUnpackMakesWhatTheArchiveHolds(t *testing.T) {
	a := newArena(t)
	counts, err := a.unpack(t, tarball(t,
		directory("bin/"),
		file("bin/run", "#!/bin/sh\n").mode(0o755),
		file("deep/er/file", "12345"),
		symlink("bin/up", "../deep"),
		symlink("absolute", "/bin/sh"),
		symlink("dangling", "no where"),
		hardLink("again", "bin/run"),
		directory("closed").mode(0o500),
		file("closed/inside", "").mode(0),
	), everything)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(archive.Counts{Entries: 9, Bytes: 15}, counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	want := map[string]string{
		"bin": "drwxr-xr-x", "bin/run": "-rwxr-xr-x", "deep/er": "drwxr-xr-x", "deep/er/file": "-rw-r--r--",
		"bin/up": "Lrwxrwxrwx", "again": "-rwxr-xr-x", "closed": "dr-x------", "closed/inside": "----------",
	}
	for name, mode := range want {
		info, err := os.Lstat(a.path(name))
		if err != nil {
			t.Error(err)
			continue
		}
		if info.Mode().String() != mode {
			t.Errorf("%s: mode %v, want %s", name, info.Mode(), mode)
		}
		if name != "deep/er" && info.ModTime().UnixNano() != mtime*1e9 {
			t.Errorf("%s: time %v", name, info.ModTime())
		}
	}
	for name, target := range map[string]string{"bin/up": "../deep", "absolute": "/bin/sh", "dangling": "no where"} {
		if got, err := os.Readlink(a.path(name)); got != target {
			t.Errorf("%s -> %q, %v; want %q", name, got, err, target)
		}
	}
	if !same(t, a.path("again"), a.path("bin/run")) {
		t.Error("the hard link is another file")
	}
}

func same(t *testing.T, one, other string) bool {
	t.Helper()
	first, err1 := os.Lstat(one)
	second, err2 := os.Lstat(other)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return os.SameFile(first, second)
}

func TestUnpackModes(t *testing.T) {
	members := []member{file("f", "").mode(0o7777), directory("d").mode(0o7777), file("p/zero", "").mode(0), directory("wide").mode(0o777)}
	foreign := file("owned", "")
	foreign.Uid, foreign.Gid = 12345, 12345
	foreign.PAXRecords = map[string]string{"SCHILY.xattr.user.note": "x", "SCHILY.xattr.security.capability": "\x01\x00\x00\x02"}
	members = append(members, foreign)
	tests := map[string]struct {
		modes archive.Modes
		want  map[string]fs.FileMode
	}{
		"plain": {archive.ModesPlain, map[string]fs.FileMode{
			"f": 0o777, "d": fs.ModeDir | 0o777, "p": fs.ModeDir | 0o755, "p/zero": 0, "wide": fs.ModeDir | 0o777,
		}},
		"kept": {archive.ModesKept, map[string]fs.FileMode{
			"f": fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky | 0o777, "d": fs.ModeDir | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky | 0o777,
			"p": fs.ModeDir | 0o755, "p/zero": 0, "wide": fs.ModeDir | 0o777,
		}},
		"private": {archive.ModesPrivate, map[string]fs.FileMode{
			"f": 0o600, "d": fs.ModeDir | 0o700, "p": fs.ModeDir | 0o700, "p/zero": 0o600, "wide": fs.ModeDir | 0o700,
		}},
	}
	defer syscall.Umask(syscall.Umask(0o077))
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := newArena(t)
			if _, err := a.unpack(t, tarball(t, members...), archive.UnpackOptions{Modes: test.modes}); err != nil {
				t.Fatal(err)
			}
			for path, want := range test.want {
				info, err := os.Lstat(a.path(path))
				if err != nil || info.Mode() != want {
					t.Errorf("%s: %v, %v; want %v", path, info.Mode(), err, want)
				}
			}
			info, err := os.Lstat(a.path("owned"))
			if err != nil {
				t.Fatal(err)
			}
			if owner := info.Sys().(*syscall.Stat_t); int(owner.Uid) != os.Getuid() {
				t.Errorf("owner %d, want the process's", owner.Uid)
			}
			if n, err := unix.Listxattr(a.path("owned"), nil); n > 0 {
				t.Errorf("%d bytes of extended attributes, %v", n, err)
			}
		})
	}
}

// TestUnpackOntoExistingThings: each case first makes the things in before.
func TestUnpackOntoExistingThings(t *testing.T) {
	aFile := func(t *testing.T, a *arena) { write(t, a.path("x"), "old") }
	aDir := func(t *testing.T, a *arena) { must(t, os.Mkdir(a.path("x"), 0o700)) }
	aLink := func(target string) func(*testing.T, *arena) {
		return func(t *testing.T, a *arena) { must(t, os.Symlink(target, a.path("x"))) }
	}
	aFIFO := func(t *testing.T, a *arena) { must(t, syscall.Mkfifo(a.path("x"), 0o600)) }
	live, dead, dir := aLink("../canary"), aLink("../new"), aLink("../outside")
	tests := map[string]struct {
		before func(*testing.T, *arena)
		member member
		want   error
	}{
		"file over file":              {aFile, file("x", "new"), nil},
		"file over directory":         {aDir, file("x", ""), fs.ErrExist},
		"file over live link":         {live, file("x", ""), archive.ErrSymlink},
		"file over dangling link":     {dead, file("x", ""), archive.ErrSymlink},
		"file over FIFO":              {aFIFO, file("x", ""), fs.ErrExist},
		"file below file":             {aFile, file("x/y", ""), syscall.ENOTDIR},
		"file below link":             {dir, file("x/y", ""), archive.ErrSymlink},
		"file below dangling link":    {dead, file("x/y", ""), archive.ErrSymlink},
		"file deep below link":        {dir, file("x/y/z", ""), archive.ErrSymlink},
		"directory over directory":    {aDir, directory("x"), nil},
		"directory over file":         {aFile, directory("x"), fs.ErrExist},
		"directory over link":         {dir, directory("x"), archive.ErrSymlink},
		"directory below link":        {dir, directory("x/y"), archive.ErrSymlink},
		"symlink over live link":      {live, symlink("x", "new"), nil},
		"symlink over link to dir":    {dir, symlink("x", "new"), nil},
		"symlink over file":           {aFile, symlink("x", "new"), fs.ErrExist},
		"symlink over directory":      {aDir, symlink("x", "new"), fs.ErrExist},
		"symlink below link":          {dir, symlink("x/y", "new"), archive.ErrSymlink},
		"hard link over file":         {aFile, hardLink("x", "first"), nil},
		"hard link over directory":    {aDir, hardLink("x", "first"), fs.ErrExist},
		"hard link over link":         {live, hardLink("x", "first"), archive.ErrSymlink},
		"hard link below link":        {dir, hardLink("x/y", "first"), archive.ErrSymlink},
		"hard link to existing file":  {aFile, hardLink("y", "x"), archive.ErrLink},
		"hard link to directory":      {aDir, hardLink("y", "x"), archive.ErrLink},
		"hard link to link":           {live, hardLink("y", "x"), archive.ErrLink},
		"hard link through link":      {dir, hardLink("y", "x/canary"), archive.ErrSymlink},
		"hard link to missing":        {aFile, hardLink("y", "later"), fs.ErrNotExist},
		"hard link outside":           {aFile, hardLink("y", "../canary"), archive.ErrEscapes},
		"hard link to absolute":       {aFile, hardLink("y", "/etc/passwd"), archive.ErrEscapes},
		"hard link to nothing":        {aFile, hardLink("y", ""), archive.ErrName},
		"hard link to itself":         {aFile, hardLink("first", "first"), nil},
		"symlink to nothing":          {aFile, symlink("y", ""), archive.ErrName},
		"symlink to too much":         {aFile, symlink("y", strings.Repeat("a/", 2100)), archive.ErrLimit},
		"global header makes nothing": {aFile, member{Header: tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "1"}}}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := newArena(t)
			test.before(t, a)
			keep := a.path("keep")
			if info, err := os.Lstat(a.path("x")); err == nil && info.Mode().IsRegular() {
				must(t, os.Link(a.path("x"), keep)) // another name of the old file must keep its content
			}
			_, err := a.unpack(t, tarball(t, file("first", "1"), test.member), everything)
			if !errors.Is(err, test.want) || (test.want == nil) != (err == nil) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if err != nil && !strings.Contains(err.Error(), fmt.Sprintf("%q", test.member.Name)) {
				t.Errorf("%v does not name the member", err)
			}
			if content, err := os.ReadFile(keep); err == nil && string(content) != "old" {
				t.Errorf("the old file was written through: %q", content)
			}
			a.check(t)
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestUnpackPolicies(t *testing.T) {
	special := func(name string, typeflag byte) member {
		return member{Header: tar.Header{Typeflag: typeflag, Name: name, Mode: 0o666, Devmajor: 1, Devminor: 3}}
	}
	skip := archive.UnpackOptions{Specials: archive.SpecialsSkipped}
	tests := map[string]struct {
		member member
		opts   archive.UnpackOptions
		want   error
		counts archive.Counts
	}{
		"symlink refused":         {symlink("x", "y"), archive.UnpackOptions{}, archive.ErrLink, archive.Counts{}},
		"hard link refused":       {hardLink("x", "y"), archive.UnpackOptions{}, archive.ErrLink, archive.Counts{}},
		"character device":        {special("x", tar.TypeChar), everything, archive.ErrSpecial, archive.Counts{}},
		"block device":            {special("x", tar.TypeBlock), everything, archive.ErrSpecial, archive.Counts{}},
		"FIFO":                    {special("x", tar.TypeFifo), everything, archive.ErrSpecial, archive.Counts{}},
		"device skipped":          {special("x", tar.TypeChar), skip, nil, archive.Counts{Skipped: 1}},
		"FIFO skipped":            {special("x", tar.TypeFifo), skip, nil, archive.Counts{Skipped: 1}},
		"skipped but badly named": {special("../x", tar.TypeFifo), skip, archive.ErrEscapes, archive.Counts{}},
		"unknown type":            {special("x", 'Z'), skip, archive.ErrFormat, archive.Counts{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := newArena(t)
			counts, err := a.unpack(t, tarball(t, test.member), test.opts)
			if !errors.Is(err, test.want) || (test.want == nil) != (err == nil) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if diff := cmp.Diff(test.counts, counts); diff != "" {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
			if _, err := os.Lstat(a.path("x")); err == nil {
				t.Error("it was made all the same")
			}
			a.check(t)
		})
	}
}

func TestUnpackLeavesNoHalfFile(t *testing.T) {
	data := tarball(t, file("a", "whole"), file("b", strings.Repeat("x", 2000)), file("c", strings.Repeat("y", 2000)))
	a := newArena(t)
	write(t, a.path("b"), "old")
	_, err := a.unpack(t, data[:512*2+512+1000], everything)
	if !errors.Is(err, archive.ErrFormat) || !strings.Contains(err.Error(), `"b"`) {
		t.Errorf("got %v, want ErrFormat that names b", err)
	}
	entries, _ := os.ReadDir(a.root)
	if len(entries) != 2 {
		t.Errorf("%v, want a and b only", entries)
	}
	if content, _ := os.ReadFile(a.path("b")); string(content) != "old" {
		t.Errorf("b holds %q", content)
	}
}

func TestUnpackStopsWhenCancelled(t *testing.T) {
	a := newArena(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	data := strings.NewReader(string(tarball(t, file("a", ""), file("b", strings.Repeat("x", 4<<20)))))
	cancelling := readerFunc(func(p []byte) (int, error) {
		if data.Len() < 1<<21 {
			cancel()
		}
		return data.Read(p)
	})
	_, err := archive.Unpack(ctx, cancelling, a.open(t), everything)
	if !errors.Is(err, context.Canceled) || errors.Is(err, archive.ErrFormat) {
		t.Errorf("got %v, want the context's error alone", err)
	}
	if _, err := os.Lstat(a.path("b")); err == nil {
		t.Error("a half file is left")
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestUnpackHundredThousandEntries(t *testing.T) {
	entries := 100_000
	if testing.Short() {
		entries = 2000
	}
	pr, pw := io.Pipe()
	// Ends when all is written, or when the reader is closed below.
	go func() {
		w := tar.NewWriter(pw)
		var err error
		for i := 0; i < entries && err == nil; i++ {
			err = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprintf("d%d/e%d/f%d", i/1000, i%10, i), Mode: 0o644})
		}
		pw.CloseWithError(errors.Join(err, w.Close()))
	}()
	a := newArena(t)
	counts, err := archive.Unpack(t.Context(), pr, a.open(t), everything)
	_ = pr.Close()
	if err != nil || counts.Entries != entries {
		t.Errorf("%+v, %v", counts, err)
	}
}
