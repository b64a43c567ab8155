package journal

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestClip(t *testing.T) {
	const mark = "\n[pyro: 80 bytes are cut out here]\n"
	for name, c := range map[string]struct {
		text  string
		limit int
		want  string
		cut   bool
	}{
		"empty":                  {},
		"at the limit":           {text: strings.Repeat("x", 100), limit: 100, want: strings.Repeat("x", 100)},
		"the middle":             {text: strings.Repeat("a", 50) + strings.Repeat("z", 50), limit: len(cutMark(1<<63-1)) + 20, want: strings.Repeat("a", 10) + mark + strings.Repeat("z", 10), cut: true},
		"too short for a mark":   {text: strings.Repeat("x", 100), limit: 10, want: strings.Repeat("x", 10), cut: true},
		"no half character":      {text: "ääää", limit: 5, want: "ää", cut: true},
		"nothing":                {text: "ä", limit: 0, cut: true},
		"less than nothing":      {text: "ä", limit: -1, cut: true},
		"bytes that are no text": {text: "\x80\x80\x80\x80\x80\x80", limit: 5, want: "\x80\x80\x80\x80\x80", cut: true},
	} {
		t.Run(name, func(t *testing.T) {
			if got, cut := Clip(c.text, c.limit); got != c.want || cut != c.cut {
				t.Errorf("Clip = %q, %v, want %q, %v", got, cut, c.want, c.cut)
			}
		})
	}
}

func FuzzClip(f *testing.F) {
	f.Add(strings.Repeat("aäあ🙂", 100), 150)
	f.Add(strings.Repeat("\xf0\x9f\x99", 100), 100)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		got, cut := Clip(text, limit)
		if len(got) > max(limit, 0) || cut != (len(text) > limit) || !cut && got != text {
			t.Fatalf("Clip(%q, %d) = %q, %v", text, limit, got, cut)
		}
		if utf8.ValidString(text) && !utf8.ValidString(got) {
			t.Fatalf("Clip(%q, %d) = %q cuts a character", text, limit, got)
		}
	})
}
