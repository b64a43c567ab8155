package api

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxNameLength is the longest workspace name and label value, in characters.
const MaxNameLength = 120

var (
	workspaceID = regexp.MustCompile(`^[0-9a-f]{12}$`)
	labelKey    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
)

// CheckID refuses what cannot be a workspace id: 12 lower-case hex digits. Ids
// become parts of paths, so nothing else may pass.
func CheckID(id string) error {
	if workspaceID.MatchString(id) {
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

// CheckLabels refuses keys outside [A-Za-z0-9][A-Za-z0-9._-]{0,63} and values that
// are empty, over MaxNameLength characters, or hold control characters.
func CheckLabels(labels map[string]string) error {
	for key, value := range labels {
		if !labelKey.MatchString(key) {
			return invalid("label key", fmt.Sprintf("%q does not match %s", clip(key), labelKey), "use letters, digits, dot, dash and underscore")
		}
		n := utf8.RuneCountInString(value)
		if n == 0 || n > MaxNameLength || !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) {
			return invalid("label "+key, fmt.Sprintf("has a value of %d characters, allowed are 1 to %d printable ones", n, MaxNameLength), "shorten it")
		}
	}
	return nil
}

func clip(s string) string {
	if len(s) > 64 {
		return s[:61] + "…"
	}
	return s
}
