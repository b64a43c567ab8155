package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"
)

// forms are the ways in which a value is usually printed: as it is; with the line ends
// of a terminal; as a JSON string; as base64 in both alphabets, also in the middle of
// something that is encoded with it; in hexadecimal; and in a URL.
//
// White space around a value is not looked for, since what is left would tell nothing.
func forms(value string) []string {
	bare := strings.TrimSpace(value)
	if len(bare) < MinLength {
		bare = value
	}
	if len(bare) < MinLength {
		return nil
	}
	unix := strings.ReplaceAll(bare, "\r\n", "\n")
	var all []string
	for _, text := range []string{bare, unix, strings.ReplaceAll(unix, "\n", "\r\n")} {
		query := url.QueryEscape(text)
		all = append(all, text, quoted(text, true), quoted(text, false),
			query, strings.ReplaceAll(query, "+", "%20"), url.PathEscape(text))
	}
	for _, text := range []string{bare, value, unix} {
		digits := hex.EncodeToString([]byte(text))
		all = append(all, digits, strings.ToUpper(digits))
		for _, alphabet := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
			all = append(all, encoded(text, alphabet)...)
		}
	}
	return all
}

// quoted is text as a JSON string, without the quotation marks.
func quoted(text string, html bool) string {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(html)
	if enc.Encode(text) != nil {
		return ""
	}
	line := strings.TrimSuffix(out.String(), "\n")
	return line[1 : len(line)-1]
}

// minEncoded is the shortest piece of base64 that is looked for: five bytes of a value.
const minEncoded = 8

// encoded is text in base64: alone, and as it is with one or two other bytes before it
// and any after it, but for the characters at both ends that those have a share in.
func encoded(text string, alphabet *base64.Encoding) (all []string) {
	all = append(all, alphabet.EncodeToString([]byte(text)), alphabet.WithPadding(base64.NoPadding).EncodeToString([]byte(text)))
	for before := range 3 {
		whole := alphabet.EncodeToString(append(make([]byte, before), text...))
		first := (before*8 + 5) / 6
		last := (before + len(text)) * 8 / 6
		if last-first >= minEncoded {
			all = append(all, whole[first:last])
		}
	}
	return all
}
