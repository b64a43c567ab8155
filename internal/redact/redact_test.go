package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
)

const token = api.RedactedText

func TestReplace(t *testing.T) {
	for _, tt := range []struct {
		name   string
		values []string
		in     string
		want   string
	}{
		{"nothing to look for", nil, "some text", "some text"},
		{"one value", []string{"hunter22"}, "it is hunter22, really", "it is " + token + ", really"},
		{"alone", []string{"hunter22"}, "hunter22", token},
		{"a part of it", []string{"hunter22"}, "hunter2 unter22", "hunter2 unter22"},
		{"side by side", []string{"hunter22"}, "hunter22hunter22", token + token},
		{"overlapping", []string{"abcdef", "defghi"}, "-abcdefghi-", "-" + token + "-"},
		{"overlapping itself", []string{"abab"}, "ababab.", token + "."},
		{"one within another", []string{"inner", "an inner value"}, "an inner value, inner", token + ", " + token},
		{"the longest", []string{"secret", "secret-two"}, "secret-two secret-", token + " " + token + "-"},
		{"a beginning before it", []string{"aaab"}, "aaaaab", "aa" + token},
		{"too short", []string{"abc", "\n\n", ""}, "abc \n\n", "abc \n\n"},
		{"white space around it", []string{"  value\n"}, "[value]", "[" + token + "]"},
		{"mostly white space", []string{"a\n\n\n\n"}, "a\n\n\n\n", token},
		{"several lines on a terminal", []string{"one\ntwo\n"}, "> one\r\ntwo\r\n", "> " + token + "\r\n"},
		{"several lines of another system", []string{"one\r\ntwo"}, "one\ntwo one\r\ntwo", token + " " + token},
		{"no UTF-8", []string{"\xff\xfe\xfd\xfc"}, "a\xff\xfe\xfd\xfcb\xff", "a" + token + "b\xff"},
		{"beyond ASCII", []string{"пароль"}, "это пароль.", "это " + token + "."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, New(tt.values...).Replace(tt.in)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// Every usual way to write a value down is found.
func TestForms(t *testing.T) {
	const value = "p<ss wörd\n/\"q\"+\\~1"
	quoted, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string]string{
		"as it is":                value,
		"on a terminal":           strings.ReplaceAll(value, "\n", "\r\n"),
		"JSON":                    strings.Trim(string(quoted), `"`),
		"JSON without HTML":       `p<ss wörd\n/\"q\"+\\~1`,
		"base64":                  base64.StdEncoding.EncodeToString([]byte(value)),
		"base64 without padding":  base64.RawStdEncoding.EncodeToString([]byte(value)),
		"base64 of URLs":          base64.URLEncoding.EncodeToString([]byte(value)),
		"hexadecimal":             hex.EncodeToString([]byte(value)),
		"capital hexadecimal":     strings.ToUpper(hex.EncodeToString([]byte(value))),
		"a query":                 url.QueryEscape(value),
		"a query without a plus":  strings.ReplaceAll(url.QueryEscape(value), "+", "%20"),
		"a path":                  url.PathEscape(value),
		"hexadecimal with an end": hex.EncodeToString([]byte(value + "\n")),
	} {
		t.Run(name, func(t *testing.T) {
			got := New(value + "\n").Replace("<" + in + ">")
			if got != "<"+token+">" {
				t.Errorf("%q became %q", in, got)
			}
		})
	}
	for _, before := range []string{"", "u", "us", "user:"} {
		t.Run("base64 of more, from "+before, func(t *testing.T) {
			in := base64.StdEncoding.EncodeToString([]byte(before + value + "!end"))
			got := New(value).Replace(in)
			if len(got) > len(token)+3*len(before)+12 || !strings.Contains(got, token) {
				t.Errorf("%q became %q", in, got)
			}
		})
	}
}

// alphabets of few letters make many near hits; none of their letters is in the token.
func random(r *rand.Rand, letters string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[r.IntN(len(letters))]
	}
	return string(b)
}

func cut(r *rand.Rand, text string, visit func(piece string)) {
	for len(text) > 0 {
		n := 1 + r.IntN(min(len(text), 9))
		visit(text[:n])
		text = text[n:]
	}
}

func TestAnySplitIsTheSameAndShowsNoValue(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		letters := []string{"ab", "abc", "xyz\n", "ab\r\n ", "\xff\xc3\xa9z"}[r.IntN(5)]
		var values []string
		for range 1 + r.IntN(4) {
			values = append(values, random(r, letters, 4+r.IntN(8)))
		}
		text := random(r, letters, r.IntN(60))
		for range r.IntN(3) {
			text += values[r.IntN(len(values))] + random(r, letters, r.IntN(5))
		}
		set := New(values...)
		want := set.Replace(text)
		var got bytes.Buffer
		w := NewWriter(&got, set)
		cut(r, text, func(piece string) {
			if n, err := w.Write([]byte(piece)); n != len(piece) || err != nil {
				t.Fatalf("wrote %d, %v", n, err)
			}
		})
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if got.String() != want {
			t.Fatalf("values %q, text %q: whole %q, in pieces %q", values, text, want, got.String())
		}
		for _, value := range values {
			if bare := strings.TrimSpace(value); len(bare) >= MinLength && strings.Contains(want, bare) {
				t.Fatalf("values %q, text %q: %q holds %q", values, text, want, bare)
			}
		}
	}
}

// What is not part of a value comes out unchanged and in order.
func TestBytesOutsideValuesStay(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		value := "#" + random(r, "ab", 6) + "!"
		var text, want strings.Builder
		for range r.IntN(8) {
			piece := random(r, "abc", r.IntN(9))
			text.WriteString(piece + value)
			want.WriteString(piece + token)
		}
		if diff := cmp.Diff(want.String(), New(value).Replace(text.String())); diff != "" {
			t.Fatalf("value %q, text %q (-want +got):\n%s", value, text.String(), diff)
		}
	}
}

func TestReleaseLetsShortBeginningsOut(t *testing.T) {
	s := NewStream(New("pyro$ secret"))
	steps := []struct {
		name, in, want string
		flush          bool
	}{
		{"a beginning is held", "a py", "a ", false},
		{"and let out", "", "py", false},
		{"once", "", "", false},
		{"it still counts", "ro$ secret.", token + ".", false},
		{"a longer one stays", "pyro$", "", false},
		{"until the end", "", "pyro$", true},
	}
	for _, step := range steps {
		var got []byte
		switch {
		case step.flush:
			got = s.Flush(nil)
		case step.in == "":
			got = s.Release(nil)
		default:
			got = s.Append(nil, []byte(step.in))
		}
		if string(got) != step.want {
			t.Errorf("%s: got %q, want %q", step.name, got, step.want)
		}
	}
	if s.Held() != 0 {
		t.Errorf("%d bytes are held after the end", s.Held())
	}
}

func TestUseLooksForOtherValues(t *testing.T) {
	s := NewStream(New("value-one"))
	got := s.Append(nil, []byte("value-two value-"))
	s.Use(New("value-one", "value-two"))
	got = s.Flush(s.Append(got, []byte("two value-one")))
	if want := "value-two " + token + " " + token; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWriterReportsErrors(t *testing.T) {
	broken := errors.New("broken")
	w := NewWriter(iotest.TruncateWriter(failing{broken}, 1<<20), New("value"))
	if n, err := w.Write([]byte("val")); n != 3 || err != nil {
		t.Errorf("nothing was to be passed on: %d, %v", n, err)
	}
	if n, err := w.Write([]byte("id")); n != 0 || !errors.Is(err, broken) {
		t.Errorf("got %d, %v", n, err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestEmptySetPassesOn(t *testing.T) {
	var out bytes.Buffer
	for _, set := range []*Set{nil, {}, New(), New("abc")} {
		if !set.Empty() || set.Replace("abc") != "abc" {
			t.Errorf("%v finds something", set)
		}
		w := NewWriter(&out, set)
		_, _ = w.Write([]byte("abc"))
		if err := w.Flush(); err != nil {
			t.Error(err)
		}
	}
	if out.String() != "abcabcabcabc" {
		t.Errorf("got %q", out.String())
	}
}

func FuzzStream(f *testing.F) {
	f.Add("value", "other", "a value, an other", uint64(1))
	f.Add("aaaa", "aaab", "aaaaaaab", uint64(2))
	f.Add("\xff\xff\xff\xff", "\r\n\r\n", "\r\n\xff\xff\xff\xff\xff\n", uint64(3))
	f.Fuzz(func(t *testing.T, one, two, text string, seed uint64) {
		set := New(one, two)
		want := set.Replace(text)
		s := NewStream(set)
		var got []byte
		cut(rand.New(rand.NewPCG(seed, 0)), text, func(piece string) { got = s.Append(got, []byte(piece)) })
		got = s.Flush(got)
		if string(got) != want {
			t.Errorf("whole %q, in pieces %q", want, got)
		}
		rest := strings.Split(want, token)
		for _, value := range []string{one, two} {
			bare := strings.TrimSpace(value)
			for _, part := range rest {
				if len(bare) >= MinLength && strings.Contains(part, bare) {
					t.Errorf("%q holds %q", want, bare)
				}
			}
		}
	})
}

func BenchmarkStream(b *testing.B) {
	set := New("ghp_4f9e2b71c0d84a3f", "a line\nof text\nthat is longer\n")
	text := []byte(strings.Repeat("a line of output of a build, with a path/to/file.go:12:3 in it\n", 1000))
	s := NewStream(set)
	var out []byte
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		out = s.Append(out[:0], text)
	}
}
