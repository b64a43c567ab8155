package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"
)

// Bounds of a JSON object, beside its length. No message of the protocol comes near.
const (
	maxDepth = 32
	maxKeys  = 256
	maxQuote = 256 // bytes, of what an error quotes
)

// ErrProtocol is in the chain of every error that says the other side did not keep
// to the protocol.
var ErrProtocol = errors.New("protocol violated")

// repeats says what a repeated key of an object means.
type repeats int

const (
	lastWins repeats = iota // requests: so the replaced product has it
	refused                 // replies: two readers could see two different replies
)

// object is the first level of a JSON object; the values are slices of its text.
// It is used instead of decoding into structs at once because that would match
// keys regardless of case and hold the position of an error back.
type object map[string]json.RawMessage

// parseObject reads the one JSON object that data is. Its errors read as what comes
// after "reply" or "request".
func parseObject(data []byte, repeated repeats) (object, error) {
	data = bytes.TrimSpace(data)
	if len(data) == 0 {
		return nil, errors.New("is empty, expected a JSON object")
	}
	if data[0] != '{' {
		return nil, errors.New("is no JSON object")
	}
	if !shallow(data) {
		return nil, fmt.Errorf("is no JSON object of at most %d levels", maxDepth)
	}
	if !json.Valid(data) {
		return nil, errors.New("is not one valid JSON object")
	}
	fields := make(object)
	for rest := skipSpace(data[1:]); rest[0] != '}'; {
		key, value, next := cutMember(rest)
		rest = next
		var name string
		if err := json.Unmarshal(key, &name); err != nil {
			return nil, fmt.Errorf("has a bad key: %w", err)
		}
		if _, again := fields[name]; again && repeated == refused {
			return nil, fmt.Errorf("is a JSON object with the key %q twice", clip(name, 64))
		}
		if fields[name] = value; len(fields) > maxKeys {
			return nil, fmt.Errorf("is a JSON object of more than %d keys", maxKeys)
		}
	}
	return fields, nil
}

// decode decodes one field into the value that into points to. An absent or null
// field leaves it alone.
func (o object) decode(name string, into any) error {
	raw, ok := o[name]
	if !ok || string(raw) == "null" {
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		// The decoder quotes the value that it refuses, however long that is.
		return fmt.Errorf("field %s: %s", name, clip(err.Error(), maxQuote))
	}
	return nil
}

// decodeStruct decodes the fields that the struct behind into has, by the names in
// its tags and with their exact case, those of embedded structs included.
func (o object) decodeStruct(into any) error {
	v := reflect.ValueOf(into).Elem()
	for i := range v.NumField() {
		field := v.Type().Field(i)
		target := v.Field(i).Addr().Interface()
		if field.Anonymous {
			if err := o.decodeStruct(target); err != nil {
				return err
			}
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "-" { // no part of the message
			continue
		}
		if err := o.decode(name, target); err != nil {
			return err
		}
	}
	return nil
}

// shallow reports whether brackets nest at most maxDepth levels. It stops at the
// first one too many, before anything is allocated for them.
func shallow(data []byte) bool {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			i += stringLen(data[i:]) - 1
		case '{', '[':
			if depth++; depth > maxDepth {
				return false
			}
		case '}', ']':
			depth--
		}
	}
	return true
}

// stringLen is the length of the string literal that data starts with, quotes
// included, or all of data where it does not end.
func stringLen(data []byte) int {
	for i := 1; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(data)
}

// cutMember cuts `"key": value` off valid JSON, and the comma after it. What is
// left starts with the next key or the closing brace.
func cutMember(data []byte) (key, value, rest []byte) {
	n := stringLen(data)
	key, rest = data[:n], skipSpace(data[n:])
	value, rest = cutValue(skipSpace(rest[1:]))
	return key, value, skipComma(rest)
}

// cutValue cuts one value off valid JSON that goes on after it.
func cutValue(data []byte) (value, rest []byte) {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			i += stringLen(data[i:]) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return bytes.TrimRight(data[:i], " \t\r\n"), data[i:]
			}
			depth--
		case ',':
			if depth == 0 {
				return bytes.TrimRight(data[:i], " \t\r\n"), data[i:]
			}
		}
	}
	return data, nil
}

func skipComma(data []byte) []byte {
	data = skipSpace(data)
	if len(data) > 0 && data[0] == ',' {
		data = skipSpace(data[1:])
	}
	return data
}

func skipSpace(data []byte) []byte { return bytes.TrimLeft(data, " \t\r\n") }

// clip cuts s to at most n bytes of whole, valid UTF-8.
func clip(s string, n int) string {
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
