package archive_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/internal/archive"
)

var (
	emptyNames = []string{
		" ", "   ", "\t", "\n", "\r\n", "\u00a0", "\u2003", ".", "./", "./.", "././/", ".//.", " . ", "\t.", "./ ", "\u2028./",
	}
	escapingNames = []string{
		"/", "//", "///", "/.", "/..", "/etc/passwd", "//etc/passwd", "/./x", "/x/", " /x", "\t/x", "\n/etc/x", "\u00a0/x",
		"..", "../", "../x", "../../x", "../../../../../../../../tmp/x", "./..", "./../x", "././../x", ".//../x",
		"a/..", "a/../", "a/../b", "a/../../b", "a/b/../../../x", "a/./../x", "a//../x", "a/b/..", "a/b/../..",
		".. ", " ..", "\t..", "..\n", " ../x", "x/.. ", "../ ", "\u2003../x", "\r../x", "../canary", "../outside/canary",
		"../outside/new", "../root/x", "a/../../root/x", "..//x", ".././x", "x/../..//x", "../\\x", "\\/../x", "%2e/../x",
	}
	// What the kernel or the limits refuse, by the reason.
	impossibleNames = map[string]error{
		strings.Repeat("n", 256):               unix.ENAMETOOLONG,
		"a/" + strings.Repeat("n", 256) + "/b": unix.ENAMETOOLONG,
		strings.Repeat("d/", 256) + "x":        archive.ErrLimit,
		strings.Repeat("nnnnnnn/", 512) + "x":  archive.ErrLimit,
	}
	// Odd, but names that a file can have: they are bytes.
	oddNames = []string{
		"-rf", "--", "a:b", "con", "nul", "C:\\x", "\\\\?\\x", "..\\x", "new\nline", "\x1b[31mred", "\u202egpj.exe", "trailing ", " leading",
		"...", "..a", "a..", "a/...", ".git", ".Git", ".g\u200cit", "git~1", "%2e%2e", "~", "$HOME", "`id`", "*", "caf\u00e9", "cafe\u0301",
		"\xff\xfe", "with blank/ x ", strings.Repeat("n", 255), "a/./b", "a//b", "./c", ".pyro-x",
	}
)

func TestUnpackRefusesNames(t *testing.T) {
	if n := len(emptyNames) + len(escapingNames) + len(impossibleNames); n < 60 {
		t.Errorf("only %d names", n)
	}
	want := make(map[string]error)
	for _, name := range emptyNames {
		want[name] = archive.ErrName
	}
	for _, name := range escapingNames {
		want[name] = archive.ErrEscapes
	}
	for name, err := range impossibleNames {
		want[name] = err
	}
	a := newArena(t)
	for name, want := range want {
		for _, m := range []member{file(name, "x"), directory(name), symlink(name, "x"), hardLink(name, "first")} {
			if m.Typeflag == tar.TypeReg && strings.HasSuffix(name, "/") {
				continue // tar.Writer does not write these
			}
			t.Run(fmt.Sprintf("%c %.40q", m.Typeflag, name), func(t *testing.T) {
				_, err := a.unpack(t, tarball(t, file("first", ""), m), everything)
				if !errors.Is(err, want) {
					t.Errorf("got %v, want %v", err, want)
				}
				if len(fmt.Sprint(err)) > 2048 || strings.ContainsFunc(fmt.Sprint(err), func(r rune) bool { return r < ' ' }) {
					t.Errorf("not fit to be shown: %q", err)
				}
			})
		}
		if _, err := a.unpack(t, tarball(t, file("first", ""), hardLink("second", name)), everything); err == nil {
			t.Errorf("a hard link to %q was made", name)
		}
	}
	a.check(t)
	for _, name := range []string{"x", "second", "canary"} {
		if _, err := os.Lstat(a.path(name)); err == nil {
			t.Errorf("%s was made", name)
		}
	}
}

func TestUnpackKeepsOddNames(t *testing.T) {
	for _, name := range oddNames {
		t.Run(fmt.Sprintf("%.40q", name), func(t *testing.T) {
			a := newArena(t)
			if _, err := a.unpack(t, tarball(t, file(name, "content")), everything); err != nil {
				t.Fatal(err)
			}
			if content, err := os.ReadFile(a.path(name)); string(content) != "content" {
				t.Errorf("%q, %v", content, err)
			}
			a.check(t)
		})
	}
}

func TestUnpackNeverFollowsItsOwnLinks(t *testing.T) {
	tests := map[string][]member{
		"write through":       {symlink("l", "../outside"), file("l/canary", "changed")},
		"absolute":            {symlink("l", "/"), file("l/tmp/pyro-escaped", "changed")},
		"over the link":       {symlink("l", "../canary"), file("l", "changed")},
		"over a dangling one": {symlink("l", "../new"), file("l", "changed")},
		"chain":               {symlink("a", "b"), symlink("b", "c"), symlink("c", "../outside"), file("a/canary", "changed")},
		"link below link":     {symlink("a", "../outside"), symlink("a/new", "x")},
		"directory over link": {symlink("a", "../outside"), directory("a"), file("a/new", "")},
		"link to the root":    {symlink("a", "."), file("a/x", "")},
		"link inside":         {directory("d"), symlink("a", "d"), file("a/x", "")},
		"replaced link":       {symlink("a", "d"), symlink("a", "../outside"), file("a/canary", "changed")},
		"hard link to link":   {symlink("a", "../canary"), hardLink("b", "a"), file("b", "changed")},
		"hard link below":     {symlink("a", "../outside"), hardLink("b", "a/canary"), file("b", "changed")},
		"hard link over link": {file("f", ""), symlink("a", "../canary"), hardLink("a", "f")},
	}
	for name, members := range tests {
		t.Run(name, func(t *testing.T) {
			a := newArena(t)
			_, err := a.unpack(t, tarball(t, members...), everything)
			if !errors.Is(err, archive.ErrSymlink) && !errors.Is(err, archive.ErrLink) {
				t.Errorf("got %v, want ErrSymlink or ErrLink", err)
			}
			a.check(t)
		})
	}
}

func compressed(t testing.TB, write func(w io.Writer) error) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	must(t, errors.Join(write(w), w.Close()))
	return buf.Bytes()
}

func TestUnpackStopsAtLimits(t *testing.T) {
	many := func(n int, name func(i int) string) []member {
		var members []member
		for i := range n {
			members = append(members, file(name(i), "0123456789"))
		}
		return members
	}
	long := strings.Repeat(strings.Repeat("n", 250)+"/", 15)
	manyDirs := func(w io.Writer) error {
		out := tar.NewWriter(w)
		for i := range 9000 {
			if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: fmt.Sprint(long, i), Mode: 0o755}); err != nil {
				return err
			}
		}
		return out.Close()
	}
	zeros := func(n int) func(w io.Writer) error {
		return func(w io.Writer) error {
			_, err := w.Write(make([]byte, n))
			return err
		}
	}
	endless := paxed(strings.Repeat(record("comment", strings.Repeat("x", 200)), 4000), nil)
	tests := map[string]struct {
		data   []byte
		limits archive.Limits
	}{
		"entries":         {tarball(t, many(11, func(i int) string { return fmt.Sprint(i) })...), archive.Limits{Entries: 10}},
		"implied parents": {tarball(t, many(3, func(i int) string { return fmt.Sprintf("%d/a/b/c/d", i) })...), archive.Limits{Entries: 10}},
		"bytes":           {tarball(t, many(11, func(i int) string { return fmt.Sprint(i) })...), archive.Limits{Bytes: 109}},
		"depth":           {tarball(t, file("a/b/c/d", "")), archive.Limits{Depth: 3}},
		"name":            {tarball(t, file("abcdef", "")), archive.Limits{NameBytes: 5}},
		"bomb": {compressed(t, func(w io.Writer) error {
			head := block("x", tar.TypeReg, ustar, func(b []byte) { octal(b, 124, 12, 64<<20) })
			_, err := w.Write(append(head, make([]byte, 64<<20+1024)...))
			return err
		}), archive.Limits{Bytes: 1 << 20}},
		"endless headers": {compressed(t, func(w io.Writer) error { _, err := w.Write(bytes.Repeat(endless, 20)); return err }), archive.Limits{}},
		"endless trailer": {compressed(t, zeros(64<<20)), archive.Limits{}},
		"directory names": {compressed(t, manyDirs), archive.Limits{}},
		"global headers":  {tarball(t, many(1, func(int) string { return "x" })...), archive.Limits{Entries: -1}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := newArena(t)
			opts := everything
			opts.Limits = test.limits
			counts, err := a.unpack(t, test.data, opts)
			if !errors.Is(err, archive.ErrLimit) {
				t.Errorf("got %v, want ErrLimit", err)
			}
			if limit := test.limits.Bytes; limit > 0 && counts.Bytes > limit {
				t.Errorf("%d bytes were written", counts.Bytes)
			}
		})
	}
}

func TestUnpackRefusesDamage(t *testing.T) {
	whole := tarball(t, file("a", strings.Repeat("a", 700)), directory("d"), file("zeros", strings.Repeat("\x00", 4096)), symlink("l", "a"))
	zipped := compressed(t, func(w io.Writer) error { _, err := w.Write(whole); return err })
	flip := func(data []byte, at int) []byte {
		data = bytes.Clone(data)
		data[at] ^= 1
		return data
	}
	tests := map[string][]byte{
		"empty":               nil,
		"garbage":             bytes.Repeat([]byte("garbage "), 1000),
		"one zero block":      make([]byte, 512),
		"check sum":           flip(whole, 0),
		"two archives":        append(bytes.Clone(whole), whole...),
		"garbage after":       append(bytes.Clone(whole), "x"...),
		"garbage after zeros": append(append(bytes.Clone(whole), make([]byte, 9000)...), "x"...),
		"gzip check sum":      flip(zipped, len(zipped)-8),
		"gzip cut":            zipped[:len(zipped)-1],
		"gzip of garbage":     compressed(t, func(w io.Writer) error { _, err := w.Write([]byte("nothing")); return err }),
		"gzip then garbage":   append(bytes.Clone(zipped), "x"...),
		"gzip in gzip":        compressed(t, func(w io.Writer) error { _, err := w.Write(zipped); return err }),
		"gzip header only":    zipped[:10],
		"bzip2 header only":   []byte("BZh9"),
		"xz magic only":       {0xfd, '7', 'z', 'X', 'Z', 0},
	}
	for at := 0; at < len(whole)-1; at += 256 {
		tests[fmt.Sprintf("cut at %d of %d", at, len(whole))] = whole[:at]
	}
	for name, data := range tests {
		t.Run(name, func(t *testing.T) {
			a := newArena(t)
			if _, err := a.unpack(t, data, everything); !errors.Is(err, archive.ErrFormat) {
				t.Errorf("got %v, want ErrFormat", err)
			}
			a.check(t)
		})
	}
	t.Run("padding is none", func(t *testing.T) {
		a := newArena(t)
		if _, err := a.unpack(t, append(bytes.Clone(whole), make([]byte, 20*512)...), everything); err != nil {
			t.Error(err)
		}
	})
}
