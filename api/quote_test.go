package api

import (
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestQuote(t *testing.T) {
	for name, test := range map[string]struct {
		words []string
		want  string
	}{
		"nothing":          {nil, ""},
		"plain words":      {[]string{"ls", "-la", "/usr/bin", "a=b", "x@y", "1,2:3%_+"}, "ls -la /usr/bin a=b x@y 1,2:3%_+"},
		"empty word":       {[]string{"echo", ""}, "echo ''"},
		"blank":            {[]string{"a b"}, "'a b'"},
		"single quote":     {[]string{"it's"}, `'it'"'"'s'`},
		"double quote":     {[]string{`"`}, `'"'`},
		"variable":         {[]string{"$HOME"}, "'$HOME'"},
		"command":          {[]string{"`id`", "$(id)"}, "'`id`' '$(id)'"},
		"home":             {[]string{"~"}, "'~'"},
		"pattern":          {[]string{"*", "[a]", "?"}, "'*' '[a]' '?'"},
		"comment":          {[]string{"#x"}, "'#x'"},
		"line break":       {[]string{"a\nb"}, "'a\nb'"},
		"backslash":        {[]string{`a\b`}, `'a\b'`},
		"history":          {[]string{"!"}, "'!'"},
		"beyond ASCII":     {[]string{"ü"}, "'ü'"},
		"braces":           {[]string{"{a,b}"}, "'{a,b}'"},
		"redirection":      {[]string{">x", "a;b", "a&b", "a|b"}, "'>x' 'a;b' 'a&b' 'a|b'"},
		"a script as word": {[]string{"sh", "-c", "exit 3"}, "sh -c 'exit 3'"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Quote(test.words); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
			splits(t, test.words)
		})
	}
}

// splits checks that the shell splits what Quote makes into the same words.
func splits(t *testing.T, words []string) {
	t.Helper()
	script := "set -- " + Quote(words) + `; for w; do printf '%s\0' "$w"; done`
	out, err := exec.Command("/bin/sh", "-c", script).Output()
	if err != nil {
		t.Fatalf("%q: %v", script, err)
	}
	got := strings.Split(string(out), "\x00")
	if diff := cmp.Diff(append(append([]string{}, words...), ""), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", Quote(words), diff)
	}
}

// TestQuoteAnyWords tries words from the characters that mean something to a shell.
func TestQuoteAnyWords(t *testing.T) {
	const alphabet = "ab '\"\\$`!*?[]{}()<>|&;#~\n\t\r=-%@^\x01\x7fü"
	random := rand.New(rand.NewPCG(1, 2))
	letters := []rune(alphabet)
	for range 60 {
		words := make([]string, 1+random.IntN(20))
		for i := range words {
			word := make([]rune, random.IntN(8))
			for j := range word {
				word[j] = letters[random.IntN(len(letters))]
			}
			words[i] = string(word)
		}
		splits(t, words)
	}
}

// FuzzQuote takes a zero byte as the end of a word: no argument can hold one.
func FuzzQuote(f *testing.F) {
	for _, seed := range []string{"", "ls\x00-la", "it's\x00\"$HOME\"", "'\x00''\x00\\'", "\xff\xfe", "-n\x00--", "a\r\nb"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, joined string) {
		if len(joined) > 1<<14 {
			return // quoted it may be longer than an argument may be
		}
		splits(t, strings.Split(joined, "\x00"))
	})
}
