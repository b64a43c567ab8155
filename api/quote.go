package api

import "strings"

// Quote joins words into one POSIX shell line that the shell splits into the same
// words again. It is the form in which a command is shown and stored.
func Quote(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quoteWord(w)
	}
	return strings.Join(quoted, " ")
}

func quoteWord(w string) string {
	plain := func(r rune) bool { return isWord(r) || strings.ContainsRune("@%+=:,./-", r) }
	if w != "" && strings.IndexFunc(w, func(r rune) bool { return !plain(r) }) < 0 {
		return w
	}
	return "'" + strings.ReplaceAll(w, "'", `'"'"'`) + "'"
}
