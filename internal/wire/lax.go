package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// LaxInt is an integer that may also come as a float (cut towards zero), as a
// boolean, or as a string of decimal digits with a sign and blanks around it. Null
// leaves the value alone.
type LaxInt int64

// UnmarshalJSON implements json.Unmarshaler.
func (i *LaxInt) UnmarshalJSON(raw []byte) error {
	switch kindOf(raw) {
	case 'n':
		return nil
	case 't':
		*i = 1
		return nil
	case 'f':
		*i = 0
		return nil
	case '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return err
		}
		v, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
		if err != nil {
			return fmt.Errorf("%q is no integer of 64 bits", clip(s, 64))
		}
		*i = LaxInt(v)
		return nil
	case '0':
		return i.parseNumber(string(raw))
	}
	return errors.New("is no integer")
}

func (i *LaxInt) parseNumber(s string) error {
	if v, err := strconv.ParseInt(s, 10, 64); err == nil {
		*i = LaxInt(v)
		return nil
	}
	f, err := strconv.ParseFloat(s, 64)
	// A float64 holds 2^63 exactly, and every float below it in size fits.
	if err != nil || math.Abs(f) >= 1<<63 {
		return fmt.Errorf("%s is no integer of 64 bits", clip(s, 64))
	}
	*i = LaxInt(f)
	return nil
}

// LaxString is a text that may also come as any other JSON value: numbers, lists
// and objects count as their JSON, booleans as True and False. Null leaves the
// value alone.
type LaxString string

// UnmarshalJSON implements json.Unmarshaler.
func (s *LaxString) UnmarshalJSON(raw []byte) error {
	switch kindOf(raw) {
	case 'n':
	case 't':
		*s = "True"
	case 'f':
		*s = "False"
	case '"':
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return err
		}
		*s = LaxString(text)
	default:
		*s = LaxString(raw)
	}
	return nil
}

// LaxBool is a boolean that may also come as any other JSON value: zero and what
// is empty is false, all else is true, the text "false" included. Null leaves the
// value alone.
type LaxBool bool

// UnmarshalJSON implements json.Unmarshaler.
func (b *LaxBool) UnmarshalJSON(raw []byte) error {
	switch kindOf(raw) {
	case 'n':
	case 't':
		*b = true
	case 'f':
		*b = false
	case '0':
		// Too large for a float is an error and no zero.
		v, err := strconv.ParseFloat(string(raw), 64)
		*b = err != nil || v != 0
	case '"':
		*b = len(raw) > len(`""`)
	default:
		inside := raw[1 : len(raw)-1]
		*b = len(bytes.TrimSpace(inside)) > 0
	}
	return nil
}

// LaxEnv is an object whose values are taken as LaxString does; a null value is
// left out. Whether the names are allowed is not checked here. Null leaves it alone.
type LaxEnv map[string]string

// UnmarshalJSON implements json.Unmarshaler.
func (e *LaxEnv) UnmarshalJSON(raw []byte) error {
	if kindOf(raw) == 'n' {
		return nil
	}
	if kindOf(raw) != '{' {
		return errors.New("is no object")
	}
	var values map[string]*LaxString
	if err := json.Unmarshal(raw, &values); err != nil {
		return err
	}
	*e = make(LaxEnv, len(values))
	for name, value := range values {
		if value != nil {
			(*e)[name] = string(*value)
		}
	}
	return nil
}

// LaxStrings is a list whose values are taken as LaxString does. Null leaves it
// alone.
type LaxStrings []string

// UnmarshalJSON implements json.Unmarshaler.
func (l *LaxStrings) UnmarshalJSON(raw []byte) error {
	if kindOf(raw) == 'n' {
		return nil
	}
	if kindOf(raw) != '[' {
		return errors.New("is no list")
	}
	var values []LaxString
	if err := json.Unmarshal(raw, &values); err != nil {
		return err
	}
	*l = make(LaxStrings, len(values))
	for i, value := range values {
		(*l)[i] = string(value)
	}
	return nil
}

// kindOf tells a JSON value by its first byte: n, t, f, ", { or [, and 0 for every
// number. It says n for no value at all.
func kindOf(raw []byte) byte {
	if len(raw) == 0 {
		return 'n'
	}
	if c := raw[0]; c != '-' && (c < '0' || c > '9') {
		return c
	}
	return '0'
}
