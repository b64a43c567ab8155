package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func encode(t *testing.T, v any) string {
	t.Helper()
	var b strings.Builder
	if err := Encode(&b, v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestEncode(t *testing.T) {
	type pair struct {
		B int    `json:"b"`
		A string `json:"a"`
	}
	for name, test := range map[string]struct {
		value any
		want  string
	}{
		"null":                       {nil, "null\n"},
		"nil pointer":                {(*pair)(nil), "null\n"},
		"true":                       {true, "true\n"},
		"false":                      {false, "false\n"},
		"number":                     {-12, "-12\n"},
		"number beyond a float":      {json.RawMessage("9007199254740993"), "9007199254740993\n"},
		"number with its exponent":   {json.RawMessage("1.50e+3"), "1.50e+3\n"},
		"float":                      {0.25, "0.25\n"},
		"empty text":                 {"", "\"\"\n"},
		"empty list":                 {[]int{}, "[]\n"},
		"nil list":                   {[]int(nil), "null\n"},
		"empty map":                  {map[string]int{}, "{}\n"},
		"list keeps its order":       {[]int{3, 1, 2}, "[\n  3,\n  1,\n  2\n]\n"},
		"keys of a struct sorted":    {pair{1, "x"}, "{\n  \"a\": \"x\",\n  \"b\": 1\n}\n"},
		"keys of a map sorted":       {map[string]int{"b": 1, "B": 2, "a": 3, "": 4}, "{\n  \"\": 4,\n  \"B\": 2,\n  \"a\": 3,\n  \"b\": 1\n}\n"},
		"key with escapes":           {map[string]int{"ü\n": 1}, "{\n  \"\\u00fc\\n\": 1\n}\n"},
		"nesting":                    {map[string]any{"a": []any{map[string]any{"b": []int{}}, "x"}}, "{\n  \"a\": [\n    {\n      \"b\": []\n    },\n    \"x\"\n  ]\n}\n"},
		"escapes that have a letter": {"\"\\\b\f\n\r\t", `"\"\\\b\f\n\r\t"` + "\n"},
		"solidus stays":              {"a/b", "\"a/b\"\n"},
		"markup stays":               {"<a>&</a>", "\"<a>&</a>\"\n"},
		"control bytes":              {"\x00\x01\x1b\x1f\x7f", `"\u0000\u0001\u001b\u001f\u007f"` + "\n"},
		"last of ASCII":              {"~", "\"~\"\n"},
		"beyond ASCII":               {"\u0080ä\u2028\uffff", `"\u0080\u00e4\u2028\uffff"` + "\n"},
		"first astral":               {"\U00010000", `"\ud800\udc00"` + "\n"},
		"astral":                     {"😀", `"\ud83d\ude00"` + "\n"},
		"last astral":                {"\U0010ffff", `"\udbff\udfff"` + "\n"},
		"not UTF-8":                  {"a\xffb", `"a\ufffdb"` + "\n"},
		"whole timestamp":            {Timestamp(1700000000), "1700000000.0\n"},
		"timestamp":                  {Timestamp(1700000000.25), "1700000000.25\n"},
		"early timestamp":            {Timestamp(0), "0.0\n"},
		"timestamp without exponent": {Timestamp(1e21), "1000000000000000000000.0\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, encode(t, test.value)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestEncodeRefuses(t *testing.T) {
	for name, value := range map[string]any{
		"a channel":             make(chan int),
		"a number that is none": math.NaN(),
		"a moment that is none": Timestamp(math.NaN()),
		"an endless moment":     Timestamp(math.Inf(1)),
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := Encode(&b, value); err == nil || b.Len() > 0 {
				t.Errorf("error %v, written %q; want an error and nothing", err, b.String())
			}
		})
	}
}

type brokenWriter struct{ calls int }

func (w *brokenWriter) Write([]byte) (int, error) {
	w.calls++
	return 0, errFull
}

var errFull = errors.New("disk full")

func TestEncodeWritesOnceAndReportsIt(t *testing.T) {
	w := &brokenWriter{}
	if err := Encode(w, []int{1, 2, 3}); !errors.Is(err, errFull) || w.calls != 1 {
		t.Errorf("got %v after %d writes, want %v after 1", err, w.calls, errFull)
	}
}

// FuzzEncode checks that what comes out is the same value as what went in, and in
// the form that is promised.
func FuzzEncode(f *testing.F) {
	for _, seed := range []string{
		`null`, `{}`, `[]`, `[[[]]]`, `{"b":1,"a":[1.0,-0,1e400,true,null]}`, `{"a":{"b":{"c":[{}]}}}`,
		`"\u0000\ud83d\ude00\u007f\u0080"`, `"\ud800"`, `{"ü":"\\\"/"}`, `123456789012345678901234567890`, `{"a":1,"a":2}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) {
			return
		}
		out := encode(t, json.RawMessage(raw))
		if diff := cmp.Diff(tree(t, raw), tree(t, []byte(out))); diff != "" {
			t.Errorf("another value came out (-in +out):\n%s", diff)
		}
		for i := range len(out) {
			if c := out[i]; c >= utf8.RuneSelf || c == 0x7f || c < ' ' && c != '\n' {
				t.Fatalf("byte %#x at %d of %q", c, i, out)
			}
		}
		if again := encode(t, json.RawMessage(out)); again != out {
			t.Errorf("encoded again it is\n%s\nnot\n%s", again, out)
		}
	})
}

func tree(t *testing.T, raw []byte) any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return v
}

func TestTimestamp(t *testing.T) {
	for name, test := range map[string]struct {
		moment time.Time
		want   string
	}{
		"epoch":        {time.Unix(0, 0), "0.0"},
		"whole":        {time.Unix(1700000000, 0), "1700000000.0"},
		"microseconds": {time.Unix(1700000000, 123456000), "1700000000.123456"},
		"nanoseconds":  {time.Unix(1700000000, 123456789), "1700000000.123456"},
		"before epoch": {time.Unix(-1, 500000000), "-0.5"},
		"far away":     {time.Date(2100, 1, 1, 0, 0, 0, 1000, time.UTC), "4102444800.000001"},
	} {
		t.Run(name, func(t *testing.T) {
			ts := At(test.moment)
			if got := ts.String(); got != test.want {
				t.Errorf("String() = %s, want %s", got, test.want)
			}
			if got, want := ts.Time(), test.moment.Truncate(time.Microsecond); !got.Equal(want) {
				t.Errorf("Time() = %v, want %v", got, want)
			}
			raw, err := json.Marshal(ts)
			if err != nil {
				t.Fatal(err)
			}
			var back Timestamp
			if err := json.Unmarshal(raw, &back); err != nil || back != ts {
				t.Errorf("read back: %v, %v; want %v", back, err, ts)
			}
		})
	}
}
