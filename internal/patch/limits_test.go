package patch_test

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/bluekeyes/go-gitdiff/gitdiff"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/patch"
)

// allocated is how much memory f asks for, in bytes.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestPlanKeepsLimits(t *testing.T) {
	limits := patch.Limits{Bytes: 1000, Files: 3, Hunks: 4, Result: 50}
	tests := map[string]struct{ text, says string }{
		"bytes":         {add("n") + strings.Repeat("\n", 1000), "the patch has"},
		"files":         {add("1") + add("2") + add("3") + add("4"), "more than 3 files"},
		"hunks":         {"--- a/repeated\n+++ b/repeated\n@@ -1 +1 @@\n-h\n+H\n@@ -2 +2 @@\n-a\n+A\n@@ -3 +3 @@\n-b\n+B\n@@ -4 +4 @@\n-c\n+C\n@@ -5 +5 @@\n-d\n+D\n", "more than 4 hunks"},
		"result":        {"--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+" + strings.Repeat("n", 50) + "\n", "more than 50 bytes"},
		"copied result": {"diff --git a/repeated b/1\ncopy from repeated\ncopy to 1\ndiff --git a/repeated b/2\ncopy from repeated\ncopy to 2\ndiff --git a/repeated b/3\ncopy from repeated\ncopy to 3\n", "more than 50 bytes"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := patch.Plan([]byte(test.text), base(), limits)
			if api.KindOf(err) != api.Invalid || !strings.Contains(fmt.Sprint(err), test.says) {
				t.Errorf("Plan: %v, want one that says %q", err, test.says)
			}
		})
	}
}

func TestPlanRefusesAMillionHunks(t *testing.T) {
	var text bytes.Buffer
	text.WriteString("--- a/x\n+++ b/x\n")
	for i := range 1_000_000 {
		fmt.Fprintf(&text, "@@ -%d,0 +%d @@\n+\n", i, i+1)
	}
	var err error
	used := allocated(func() { _, err = patch.Plan(text.Bytes(), base(), patch.DefaultLimits) })
	if api.KindOf(err) != api.Invalid || !strings.Contains(fmt.Sprint(err), "200000 hunks") {
		t.Errorf("Plan: %v, want a refusal", err)
	}
	if used > 128<<20 {
		t.Errorf("the refusal took %d MiB", used>>20)
	}
}

// binary is a patch of base's file "empty" whose one fragment is of zlib data.
func binary(method string, size int, packed []byte, newID string) string {
	kind := gitdiff.BinaryPatchLiteral
	if method == "delta" {
		kind = gitdiff.BinaryPatchDelta
	}
	fragment := gitdiff.BinaryFragment{Method: kind, Size: int64(size), RawData: packed}
	return "diff --git a/empty b/empty\nindex e69de29bb2d1d6434b8b29ae775ad8c2e48c5391.." + newID + " 100644\nGIT binary patch\n" + fragment.String()
}

func packed(t *testing.T, r io.Reader) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := zlib.NewWriterLevel(&out, zlib.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(w, r); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// zeros is endless.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestPlanRefusesBinaryBombs(t *testing.T) {
	id := fmt.Sprintf("%x", sha1.Sum(nil))
	bomb := packed(t, io.LimitReader(zeros{}, 80<<20))
	// A delta that says it makes 2^40 bytes of nothing, and one that says less than it makes.
	huge := packed(t, bytes.NewReader([]byte{0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 1, 'x'}))
	more := packed(t, bytes.NewReader(append([]byte{0, 1}, bytes.Repeat([]byte{3, 'a', 'b', 'c'}, 100)...)))
	negative := packed(t, bytes.NewReader([]byte{0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1, 'x'}))
	tests := map[string]string{
		"too large as it says":   binary("literal", 80<<20, bomb, id),
		"larger than it says":    binary("literal", 10, bomb, id),
		"smaller than it says":   binary("literal", 1<<20, packed(t, strings.NewReader("x")), id),
		"delta, told huge":       binary("delta", 9, huge, id),
		"delta, more than told":  binary("delta", 402, more, id),
		"delta, negative":        binary("delta", 13, negative, id),
		"delta, huge itself":     binary("delta", 80<<20, bomb, id),
		"delta, shorter":         binary("delta", 5, packed(t, strings.NewReader("\x00\x05\x03ab")), id),
		"delta, copies too much": binary("delta", 10, packed(t, strings.NewReader("\x00\x05\xff\xff\xff\xff\xff\xff\xff\xff")), id),
		"another content":        binary("literal", 1, packed(t, strings.NewReader("x")), id),
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			var err error
			used := allocated(func() { _, err = patch.Plan([]byte(text), base(), patch.DefaultLimits) })
			if api.KindOf(err) != api.Invalid {
				t.Errorf("Plan: %v, want a refusal", err)
			}
			if used > 128<<20 {
				t.Errorf("the refusal took %d MiB", used>>20)
			}
		})
	}
}

func TestPlanChecksWhatBinaryPatchesAreFor(t *testing.T) {
	was, is := tree{"b": file("\x00old")}, tree{"b": file("\x00new")}
	made := makePatch(t, was, is)
	if _, err := patch.Plan(made, was, patch.DefaultLimits); err != nil {
		t.Fatal(err)
	}
	_, err := patch.Plan(made, tree{"b": file("\x00other")}, patch.DefaultLimits)
	if api.KindOf(err) != api.Conflict {
		t.Errorf("Plan onto another content: %v, want a conflict", err)
	}
}

// TestPlanSearchIsBounded has hunks that fit nowhere in a file where each almost does.
func TestPlanSearchIsBounded(t *testing.T) {
	lines := strings.Repeat("a\n", 200_000)
	var text strings.Builder
	text.WriteString("--- a/f\n+++ b/f\n")
	text.WriteString("@@ -1000,10001 +1000,10001 @@\n" + strings.Repeat(" a\n", 10_000) + "-b\n+c\n")
	_, err := patch.Plan([]byte(text.String()), tree{"f": file(lines)}, patch.DefaultLimits)
	if api.KindOf(err) != api.Conflict {
		t.Errorf("Plan: %v, want a conflict", err)
	}
}
