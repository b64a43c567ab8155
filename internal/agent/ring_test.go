package agent

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// A ring says the same as the whole text, as far as it is kept.
func TestRingIsTheEndOfTheText(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	letters := []rune("aé語😀\n")
	out := ring{limit: 3 * ringBlock}
	var all []rune
	for range 400 {
		piece := make([]rune, r.IntN(1000))
		for i := range piece {
			piece[i] = letters[r.IntN(len(letters))]
		}
		all = append(all, piece...)
		out.write([]byte(string(piece)))
		if out.end != int64(len(all)) || out.size > out.limit {
			t.Fatalf("after %d code points it is at %d and holds %d bytes", len(all), out.end, out.size)
		}
		from, most := r.Int64N(int64(len(all))+10), 1+r.IntN(20_000)
		text, first := out.read(from, most)
		if first < out.oldest() || first != from && first != out.oldest() && first != out.end {
			t.Fatalf("read from %d, got what is at %d", from, first)
		}
		want := all[first:min(int(first)+most, len(all))]
		if string(want) != string(text) {
			t.Fatalf("from %d at most %d: %d bytes, want %d", from, most, len(text), len(string(want)))
		}
	}
	if out.oldest() == 0 {
		t.Error("nothing was forgotten")
	}
	if cap(out.blocks) > 64 {
		t.Errorf("the list grew to %d places", cap(out.blocks))
	}
}

func TestRingOutside(t *testing.T) {
	var out ring
	if text, first := out.read(5, 10); len(text) > 0 || first != 0 {
		t.Errorf("an empty one has %q at %d", text, first)
	}
	out.limit = ringBlock
	out.write([]byte("abc"))
	for name, tt := range map[string]struct {
		from, first int64
		text        string
	}{
		"before the beginning": {-3, 0, "abc"},
		"the middle":           {1, 1, "bc"},
		"the end":              {3, 3, ""},
		"beyond the end":       {99, 3, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if text, first := out.read(tt.from, 10); string(text) != tt.text || first != tt.first {
				t.Errorf("got %q at %d", text, first)
			}
		})
	}
}

func TestDecoder(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"ASCII", "abc", "abc"},
		{"characters of all lengths", "aé語😀", "aé語😀"},
		{"bytes of no character", "a\xff\xfeb", "a\ufffd\ufffdb"},
		{"the beginning of a character at the end", "a\xe8\xaa", "a\ufffd\ufffd"},
		{"the beginning of a character in the middle", "\xe8\xaab", "\ufffd\ufffdb"},
		{"the rest of a character", "\xaa\x9eb", "\ufffd\ufffdb"},
		{"a surrogate", "\xed\xa0\x80", "\ufffd\ufffd\ufffd"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, decodeAt(tt.in, len(tt.in))); diff != "" {
				t.Errorf("whole (-want +got):\n%s", diff)
			}
			for at := range tt.in {
				if diff := cmp.Diff(tt.want, decodeAt(tt.in, at)); diff != "" {
					t.Errorf("cut at %d (-want +got):\n%s", at, diff)
				}
			}
		})
	}
}

// decodeAt decodes text in two pieces. What is there of it after the first is valid.
func decodeAt(text string, at int) string {
	var d decoder
	first := d.decode(nil, []byte(text[:at]), false)
	if !utf8.Valid(first) {
		return "the first piece is invalid"
	}
	return string(d.decode(first, []byte(text[at:]), true))
}

func FuzzDecoder(f *testing.F) {
	f.Add("a\xe8\xaa\x9e", uint64(1))
	f.Add("\xf0\x9f\x98\xf0\x9f\x98\x80", uint64(2))
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 0))
		var d decoder
		var got []byte
		for rest := text; rest != ""; {
			n := 1 + r.IntN(min(len(rest), 5))
			got = d.decode(got, []byte(rest[:n]), false)
			rest = rest[n:]
		}
		got = d.decode(got, nil, true)
		if want := string([]rune(text)); string(got) != want || strings.ToValidUTF8(string(got), "") != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	})
}
