package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
)

func line(e TreeEntry) string {
	text, _ := json.Marshal(e)
	return string(text)
}

func TestDecodeTreeEntry(t *testing.T) {
	full := TreeEntry{Path: []byte("a/b\xff"), Kind: "symlink", Mode: 0o777, Size: 5, MTime: -7, Target: []byte("../x")}
	long := entryNamed(strings.Repeat("n/", MaxTreeDepth-1) + strings.Repeat("n", MaxTreePath-2*(MaxTreeDepth-1)))
	for name, tt := range map[string]struct {
		line string
		want TreeEntry
	}{
		"all fields":      {line(full), full},
		"the longest":     {line(long), long},
		"fewest fields":   {`{"p":"YQ==","k":"file"}`, entryNamed("a")},
		"blanks and CRLF": {"  { \"k\" : \"file\" ,\t\"p\":\"YQ==\" }\r\n", entryNamed("a")},
		"null":            {`{"p":"YQ==","k":"file","l":null,"s":null}`, entryNamed("a")},
		"unknown fields":  {`{"p":"YQ==","x":{"p":["Yg=="]},"P":"Yg==","k":"file"}`, entryNamed("a")},
		"last one counts": {`{"p":"Yg==","k":"file","p":"YQ=="}`, entryNamed("a")},
		"escapes":         {`{"\u0070":"YS9iL\/8=","k":"f\u0069le"}`, entryNamed("a/b/\xff")},
		"name with dots":  {line(entryNamed("..a/b../...")), entryNamed("..a/b../...")},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := DecodeTreeEntry([]byte(tt.line))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestDecodeTreeEntryRefuses(t *testing.T) {
	path := func(p string) string { return line(entryNamed(p)) }
	for name, text := range map[string]string{
		"nothing":           "",
		"list":              "[]",
		"text":              `"p"`,
		"half":              `{"p":"YQ=="`,
		"two":               `{"p":"YQ==","k":"file"}{}`,
		"long":              `{"p":"YQ==","k":"file","x":"` + strings.Repeat("x", MaxEntryLine) + `"}`,
		"no path":           `{"k":"file"}`,
		"no kind":           `{"p":"YQ=="}`,
		"unknown kind":      `{"p":"YQ==","k":"special"}`,
		"path in no base64": `{"p":"a/b","k":"file"}`,
		"path as list":      `{"p":[97],"k":"file"}`,
		"absolute path":     path("/a"),
		"parent":            path("a/../b"),
		"parent last":       path("a/.."),
		"dot":               path("./a"),
		"only a dot":        path("."),
		"slash behind":      path("a/"),
		"two slashes":       path("a//b"),
		"NUL":               path("a\x00b"),
		"long path":         path(strings.Repeat("a", MaxTreePath+1)),
		"deep path":         path(strings.Repeat("a/", MaxTreeDepth) + "a"),
		"mode":              `{"p":"YQ==","k":"file","m":4096}`,
		"negative mode":     `{"p":"YQ==","k":"file","m":-1}`,
		"mode of 33 bits":   `{"p":"YQ==","k":"file","m":4294967296}`,
		"negative size":     `{"p":"YQ==","k":"file","s":-1}`,
		"size with dot":     `{"p":"YQ==","k":"file","s":1.0}`,
		"size as text":      `{"p":"YQ==","k":"file","s":"1"}`,
		"time beyond":       `{"p":"YQ==","k":"file","t":9223372036854775808}`,
		"file with target":  `{"p":"YQ==","k":"file","l":"YQ=="}`,
		"link without":      `{"p":"YQ==","k":"symlink"}`,
		"link to NUL":       line(TreeEntry{Path: []byte("a"), Kind: "symlink", Target: []byte("a\x00")}),
		"long target":       line(TreeEntry{Path: []byte("a"), Kind: "symlink", Target: bytes.Repeat([]byte("a"), MaxTreePath+1)}),
	} {
		t.Run(name, func(t *testing.T) {
			e, err := DecodeTreeEntry([]byte(text))
			if !errors.Is(err, api.Invalid) {
				t.Fatalf("%+v, error %v", e, err)
			}
			if len(err.Error()) > MaxErrorText {
				t.Errorf("error of %d bytes", len(err.Error()))
			}
		})
	}
}

func FuzzDecodeTreeEntry(f *testing.F) {
	for _, seed := range []string{
		`{"p":"YQ==","k":"file","m":420,"s":12,"t":1700000000,"l":null}`,
		`{"p":"YS9i","k":"symlink","l":"Li4v"}`,
		`{"\u0070":"YS9iL\/8=","k":"f\u0069le"}`,
		`{"p":"Li4=","k":"directory"}`, `{"p":"YQ==","p":1}`, `{"":{"a":[1,"]"]}}`, `{"a":1,}`, `{`, ``, "\xff",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := DecodeTreeEntry(data)
		if err != nil {
			return
		}
		// What is accepted is what the client could have sent, and reads the same again.
		again, err := DecodeTreeEntry(got.append(nil))
		if err != nil || !cmp.Equal(got, again) {
			t.Errorf("%+v became %+v, %v", got, again, err)
		}
		for name := range strings.SplitSeq(string(got.Path), "/") {
			if name == "" || name == "." || name == ".." {
				t.Errorf("path %q was accepted", got.Path)
			}
		}
	})
}

func TestCompareReplyHasABitForEach(t *testing.T) {
	var r CompareReply
	want := make([]bool, 0, 1000)
	for i := range 1000 {
		got, err := r.bits(i)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("of %d: %v, %v", i, got, err)
		}
		want = append(want, i%3 == 0 || i%7 == 0)
		r.Add(want[i])
	}
	if n := base64.StdEncoding.EncodedLen(MaxTreeEntries / 8); n+len(fmt.Sprint(MaxTreeEntries)) > maxNeeded {
		t.Errorf("the longest reply has %d bytes and more, allowed are %d", n, maxNeeded)
	}
}

func BenchmarkDecodeTreeEntry(b *testing.B) {
	e := TreeEntry{Path: []byte("node_modules/some-package/lib/internal/file.js"), Kind: "file", Mode: 0o644, Size: 1234, MTime: 1700000000}
	text := e.append(nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeTreeEntry(text); err != nil {
			b.Fatal(err)
		}
	}
}
