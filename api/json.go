package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// Timestamp is a moment in Unix seconds with a fraction. It prints as a JSON
// number that always has a decimal point, so that readers take it for a float.
type Timestamp float64

// At converts a time to a Timestamp, with a microsecond's precision.
func At(t time.Time) Timestamp { return Timestamp(float64(t.UnixMicro()) / 1e6) }

// Time converts back, with a microsecond's precision.
func (t Timestamp) Time() time.Time { return time.UnixMicro(int64(math.Round(float64(t) * 1e6))) }

// String prints the shortest decimal form; whole seconds end in ".0".
func (t Timestamp) String() string {
	s := strconv.FormatFloat(float64(t), 'f', -1, 64)
	if !bytes.ContainsRune([]byte(s), '.') {
		s += ".0"
	}
	return s
}

// MarshalJSON implements json.Marshaler. A moment that is no number is refused.
func (t Timestamp) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(t)) || math.IsInf(float64(t), 0) {
		return nil, fmt.Errorf("timestamp %v is no number", float64(t))
	}
	return []byte(t.String()), nil
}

// Encode writes v as the one JSON form of pyro: two blanks of indent, keys sorted,
// everything beyond ASCII as \uXXXX escapes, a final newline. Lists keep their order.
func Encode(w io.Writer, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber() // numbers pass through digit by digit
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	out := appendValue(nil, tree, "\n")
	_, err = w.Write(append(out, '\n'))
	return err
}

// appendValue appends v; newline is the line break with the indent of v's own level.
func appendValue(out []byte, v any, newline string) []byte {
	switch v := v.(type) {
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		return appendList(out, '{', '}', len(keys), newline, func(out []byte, i int, inner string) []byte {
			out = append(appendString(out, keys[i]), ": "...)
			return appendValue(out, v[keys[i]], inner)
		})
	case []any:
		return appendList(out, '[', ']', len(v), newline, func(out []byte, i int, inner string) []byte {
			return appendValue(out, v[i], inner)
		})
	case string:
		return appendString(out, v)
	case json.Number:
		return append(out, v...)
	case bool:
		return strconv.AppendBool(out, v)
	default:
		return append(out, "null"...)
	}
}

func appendList(out []byte, open, end byte, n int, newline string, item func([]byte, int, string) []byte) []byte {
	out = append(out, open)
	inner := newline + "  "
	for i := range n {
		if i > 0 {
			out = append(out, ',')
		}
		out = item(append(out, inner...), i, inner)
	}
	if n > 0 {
		out = append(out, newline...)
	}
	return append(out, end)
}

// shortEscapes are those of RFC 8259 §7 that have a letter.
var shortEscapes = map[rune]string{
	'"': `\"`, '\\': `\\`, '\b': `\b`, '\f': `\f`, '\n': `\n`, '\r': `\r`, '\t': `\t`,
}

func appendString(out []byte, s string) []byte {
	out = append(out, '"')
	for _, r := range s {
		switch short, ok := shortEscapes[r]; {
		case ok:
			out = append(out, short...)
		case r < 0x20 || r >= 0x7f && r < 0x10000:
			out = fmt.Appendf(out, `\u%04x`, r)
		case r >= 0x10000:
			r -= 0x10000
			out = fmt.Appendf(out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			out = utf8.AppendRune(out, r)
		}
	}
	return append(out, '"')
}
