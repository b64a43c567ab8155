package archive_test

import (
	"errors"
	"testing"

	"github.com/pyro-sandbox/pyro/internal/archive"
)

func TestPortableNames(t *testing.T) {
	tests := map[string]struct {
		names []string
		ok    bool
	}{
		"upper and lower case":      {[]string{"README", "readme"}, false},
		"case of a directory":       {[]string{"Src/a", "src/b"}, false},
		"case beyond ASCII":         {[]string{"Ärger", "äRGER"}, false},
		"Kelvin sign":               {[]string{"\u212a", "k"}, false},
		"final sigma":               {[]string{"ς", "Σ"}, false},
		"composed and not":          {[]string{"caf\u00e9", "cafe\u0301"}, false},
		"both":                      {[]string{"CAF\u00c9", "cafe\u0301"}, false},
		"an ignored character":      {[]string{"a\u200cb", "ab"}, false},
		"a byte order mark":         {[]string{"ab", "\ufeffab"}, false},
		".git in other case":        {[]string{".Git/config"}, false},
		".git with a joiner":        {[]string{".g\u200cit/hooks/x"}, false},
		".git by its short name":    {[]string{"sub/GIT~1"}, false},
		"control character":         {[]string{"a\x1b[31m"}, false},
		"new line":                  {[]string{"a\nb"}, false},
		"delete":                    {[]string{"a\x7f"}, false},
		"C1 control":                {[]string{"a\u0085b"}, false},
		"line separator":            {[]string{"a\u2028b"}, false},
		"right to left override":    {[]string{"\u202egpj.exe"}, false},
		"isolate":                   {[]string{"d\u2066/x"}, false},
		"not UTF-8":                 {[]string{"\xff"}, false},
		"the same twice":            {[]string{"a/b", "a/b", "a/c"}, true},
		".git itself":               {[]string{".git/config", "sub/.git"}, true},
		"other directories":         {[]string{"a/x", "b/X"}, true},
		"options, Windows, blanks":  {[]string{"-rf", "con", "nul", "a:b", "C:\\x", "two words", "x."}, true},
		"letters of other scripts":  {[]string{"ключ", "鍵", "مفتاح", "cafe", "caf\u00e9"}, true},
		"ends alike, starts unlike": {[]string{"ab/c", "a/bc"}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var members []member
			for _, name := range test.names {
				members = append(members, file(name, ""))
			}
			data := tarball(t, members...)
			_, err := newArena(t).unpack(t, data, archive.UnpackOptions{Names: archive.NamesPortable})
			if errors.Is(err, archive.ErrName) == test.ok || test.ok && err != nil {
				t.Errorf("got %v", err)
			}
			if _, err := newArena(t).unpack(t, data, archive.UnpackOptions{Names: archive.NamesBytes}); err != nil {
				t.Errorf("as bytes: %v", err)
			}
		})
	}
}
