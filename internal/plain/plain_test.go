package plain_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/pyro-sandbox/pyro/internal/plain"
)

func TestText(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"nothing":                 {"", ""},
		"text":                    {"hello\r\nworld\r\n", "hello\nworld\n"},
		"no last line feed":       {"a\r\nb", "a\nb"},
		"colour":                  {"\x1b[1;31mred\x1b[0m!", "red!"},
		"progress":                {"10%\r20%\r100%\n", "100%\n"},
		"shorter over longer":     {"abcdef\rxy", "xycdef"},
		"erase to the end":        {"abcdef\rxy\x1b[K", "xy"},
		"erase to the beginning":  {"abcdef\x1b[1K", "      "},
		"erase the line":          {"abcdef\x1b[2Kxy", "      xy"},
		"erase the screen":        {"a\nb\n\x1b[2Jc", "c"},
		"erase with scrollback":   {"a\nb\n\x1b[3Jc", "c"},
		"erase below is left out": {"a\nb\x1b[Jc", "a\nbc"},
		"private mode":            {"\x1b[?2004h$ \x1b[?2004l", "$ "},
		"private erase":           {"abc\x1b[?2Kd", "abcd"},
		"title":                   {"\x1b]0;evil title\x07ok", "ok"},
		"title with ST":           {"\x1b]0;evil\x1b\\ok", "ok"},
		"device control":          {"\x1bP+q544e\x1b\\ok", "ok"},
		"application command":     {"\x1b_x\x1b\\ok", "ok"},
		"privacy message":         {"\x1b^x\x1b\\ok", "ok"},
		"key pad":                 {"\x1bOPok", "ok"},
		"charset":                 {"\x1b(Bok", "ok"},
		"backspace":               {"abd\b\x1b[Kc", "abc"},
		"backspace deletes":       {"abd\bc", "abc"},
		"backspace at the start":  {"\b\bx", "x"},
		"tab":                     {"a\tb", "a\tb"},
		"bell and nul":            {"a\ab\x00c", "abc"},
		"form feed":               {"a\fb", "ab"},
		"wide":                    {"日本\r語", "語本"},
		"combining":               {"e\u0301x\rE", "Ex"},
		"emoji":                   {"👩‍🚀!\rx", "x!"},
		"cut sequence":            {"ok\x1b[1;3", "ok"},
		"cut title":               {"ok\x1b]0;never ends", "ok"},
		"C1 is no sequence":       {"a\u009b2Jb", "a2Jb"},
		"replacement":             {"a\uFFFDb", "a\uFFFDb"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := plain.Text(c.in); got != c.want {
				t.Errorf("Text(%q) = %q, want %q", c.in, got, c.want)
			}
		})
	}
}

// inert reports whether text can do nothing to a terminal.
func inert(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool {
		return r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0
	}) < 0
}

func TestRandomSequencesLeaveNoControl(t *testing.T) {
	pieces := []string{"\x1b", "[", "]", "P", "_", "^", "O", "?", "0", "1", "2", "3", ";", ":", "K", "J", "m", "H", "\a", "\x1b\\", "\b", "\r", "\n", "\t", "a", "日", "e\u0301", "\u009b", "\u009d", "\x7f", "\x00", "\uFFFD", "👩‍🚀"}
	random := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		var in strings.Builder
		for range random.IntN(24) {
			in.WriteString(pieces[random.IntN(len(pieces))])
		}
		if got := plain.Text(in.String()); !inert(got) || !utf8.ValidString(got) {
			t.Fatalf("Text(%q) = %q", in.String(), got)
		}
	}
}

// It would not end in the time of the test if it were quadratic.
func TestTextIsLinear(t *testing.T) {
	for name, piece := range map[string]string{
		"blank": "\x1b[1K", "text and blank": "x\x1b[1K", "erase": "x\x1b[2K", "erase again": "\x1b[2K", "screen": "x\n\x1b[2J",
		"open strings": "\x1b]", "parameters": "\x1b[" + strings.Repeat("1;", 100), "marks": "\u0301",
	} {
		t.Run(name, func(t *testing.T) {
			done := make(chan string, 1)
			in := strings.Repeat("y", 1<<17) + strings.Repeat(piece, 1<<19/len(piece))
			go func() { done <- plain.Text(in) }() // ends with the text
			select {
			case <-done:
			case <-time.After(time.Minute):
				t.Fatal("it takes too long")
			}
		})
	}
}

func FuzzText(f *testing.F) {
	f.Add("a\x1b[2Kb\r\n\x1b]0;x\x07\bc\u009b")
	f.Fuzz(func(t *testing.T, in string) {
		in = strings.ToValidUTF8(in, "\uFFFD") // as it comes from the agent
		if got := plain.Text(in); !inert(got) || !utf8.ValidString(got) {
			t.Errorf("Text(%q) = %q", in, got)
		}
	})
}
