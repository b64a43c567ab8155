package api

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxNameLength is the longest workspace name and label value, in characters.
const MaxNameLength = 120

const (
	idLength   = 12
	keyLength  = 64
	maxLabels  = 64
	keyPattern = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
)

// CheckID refuses what cannot be a workspace id: 12 lower-case hex digits. Ids
// become parts of paths, so nothing else may pass.
func CheckID(id string) error {
	if len(id) == idLength && strings.Trim(id, "0123456789abcdef") == "" {
		return nil
	}
	return &Error{
		Kind: Invalid, Hint: "`pyro workspace list` shows the ids",
		Err: fmt.Errorf("workspace id %q is not 12 lower-case hex digits", clip(id)),
	}
}

// CheckName refuses a workspace name over MaxNameLength characters or with control
// characters. The empty name means none.
func CheckName(name string) error {
	if n := utf8.RuneCountInString(name); n > MaxNameLength {
		return invalid("name", fmt.Sprintf("has %d characters, allowed are %d", n, MaxNameLength), "shorten it")
	}
	if strings.ContainsFunc(name, unicode.IsControl) || !utf8.ValidString(name) {
		return invalid("name", "holds a control character or is not UTF-8", "use printable text")
	}
	return nil
}

// CheckLabels refuses more than 64 labels, keys outside [A-Za-z0-9][A-Za-z0-9._-]{0,63} and values that
// are empty, over MaxNameLength characters, or hold control characters.
func CheckLabels(labels map[string]string) error {
	if len(labels) > maxLabels {
		return invalid("labels", fmt.Sprintf("are %d, allowed are %d", len(labels), maxLabels), "leave some out")
	}
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		value := labels[key]
		if !isKey(key) {
			return invalid("label key", fmt.Sprintf("%q does not match %s", clip(key), keyPattern), "use letters, digits, dot, dash and underscore")
		}
		n := utf8.RuneCountInString(value)
		if n == 0 || n > MaxNameLength || !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) {
			return invalid("label "+key, fmt.Sprintf("has a value of %d characters, allowed are 1 to %d printable ones", n, MaxNameLength), "use such a value")
		}
	}
	return nil
}

// isKey reports whether key matches keyPattern. There are no regular
// expressions here because compiling one takes every program that imports this
// package a fifth of a millisecond, the guest's agent too.
func isKey(key string) bool {
	if key == "" || len(key) > keyLength || strings.ContainsRune("._-", rune(key[0])) {
		return false
	}
	return strings.IndexFunc(key, func(r rune) bool { return !isWord(r) && r != '.' && r != '-' }) < 0
}

// isWord reports whether r is an ASCII letter, a digit or an underscore.
func isWord(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_'
}

func clip(s string) string {
	if len(s) > 64 {
		return s[:61] + "…"
	}
	return s
}
