package mcpserver

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"
)

// maxAnswer is how many characters an answer has at most, as JSON text, unless its caller asks for
// more: hosts cut longer ones themselves, in the middle of the JSON.
const maxAnswer = 10_000

// maxAsked is how many characters may be asked for.
const maxAsked = 200_000

// size is how many characters a value has as JSON text, with a blank after each comma and
// colon: hosts write it anew in their own ways.
func size(v any) int {
	raw, err := json.Marshal(v)
	if err != nil {
		return 0 // whoever sends it finds out
	}
	n := utf8.RuneCount(raw)
	inString := false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case !inString && (c == ',' || c == ':'):
			n++
		}
	}
	return n
}

// cost is how many characters a text has inside a JSON string.
func cost(text string) int {
	n := 0
	for _, r := range text {
		n += runeCost(r)
	}
	return n
}

// runeCost is that of encoding/json, which also escapes what HTML would take for markup.
func runeCost(r rune) int {
	switch r {
	case '"', '\\', '\n', '\r', '\t', '\b', '\f':
		return 2
	case '<', '>', '&', '\u2028', '\u2029':
		return 6
	}
	if r < ' ' {
		return 6
	}
	return 1
}

// beginning is as much of the beginning of a text as costs so much at most.
func beginning(text string, room int) string {
	for i, r := range text {
		if room -= runeCost(r); room < 0 {
			return text[:i]
		}
	}
	return text
}

// ending is as much of the end of a text as costs so much at most.
func ending(text string, room int) string {
	at := len(text)
	for at > 0 {
		r, n := utf8.DecodeLastRuneInString(text[:at])
		if room -= runeCost(r); room < 0 {
			break
		}
		at -= n
	}
	return text[at:]
}

// beginningOfLines is beginning, up to the end of a line where that is not far away.
func beginningOfLines(text string, room int) string {
	part := beginning(text, room)
	if len(part) == len(text) {
		return text
	}
	if end := strings.LastIndexByte(part, '\n') + 1; end > len(part)/2 {
		return part[:end]
	}
	return part
}

// headAndTail shortens a text in its middle until it costs so much at most, and says there
// how many bytes are missing. text is what is left of total bytes: as much from the
// beginning as from the end, where it is not all of them. What is no UTF-8 becomes U+FFFD.
func headAndTail(text string, total int64, room int) (string, bool) {
	first, last := text, text
	if total > int64(len(text)) {
		first, last = text[:len(text)/2], text[len(text)/2:]
	} else if whole := strings.ToValidUTF8(text, "\uFFFD"); cost(whole) <= room {
		return whole, false
	}
	if room -= cost(leftOut(total)); room < 0 {
		return "", true
	}
	head := beginning(strings.ToValidUTF8(first, "\uFFFD"), room/3) // errors stand at the end
	tail := ending(strings.ToValidUTF8(last, "\uFFFD"), room-cost(head))
	return head + leftOut(max(0, total-int64(len(head)+len(tail)))) + tail, true
}

func leftOut(bytes int64) string { return fmt.Sprintf("\n[... %d bytes left out ...]\n", bytes) }

// brief is a text that costs little more than room, for what is named and not shown.
func brief(text string, room int) string {
	part := beginning(text, room)
	if len(part) < len(text) {
		return part + "…"
	}
	return text
}

// shares divides a room between two that want so much: what one does not need the other
// gets.
func shares(room, first, second int) (int, int) {
	room = max(0, room)
	half := room / 2
	switch {
	case first <= half:
		return first, room - first
	case second <= half:
		return room - second, second
	}
	return half, room - half
}

// fill returns the first of a list that fit into a room, and what is left of that.
func fill[T any](list []T, room int) (kept []T, left int) {
	for i, item := range list {
		n := size(item) + 2 // and a comma
		if n > room {
			return list[:i:i], room
		}
		room -= n
	}
	return list, room
}

// minText is the cost of texts that are never shortened: names, ids and the like.
const minText = 200

// squeeze shortens what is longest in a value, until that has so many characters at most
// as JSON text: texts in their middle, lists at their end. v points to a struct. It is for
// answers that are rarely long, and reports whether it has changed anything.
func squeeze(v any, most int) bool {
	changed := false
	for range 200 { // far more than any answer takes
		if size(v) <= most {
			break
		}
		part, _ := largest(reflect.ValueOf(v).Elem())
		if !part.IsValid() {
			break
		}
		lessen(part)
		changed = true
	}
	return changed
}

// largest finds what can be shortened and costs most: something in a list rather than the
// list, where it is more than half of that.
func largest(v reflect.Value) (part reflect.Value, worth int) {
	below := func(inner reflect.Value) {
		if p, n := largest(inner); n > worth {
			part, worth = p, n
		}
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			below(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() || v.Type().Field(i).Anonymous {
				below(v.Field(i))
			}
		}
	case reflect.String:
		if n := cost(v.String()); n > minText && v.CanSet() {
			return v, n
		}
	case reflect.Slice, reflect.Map:
		if v.Len() == 0 || !v.CanSet() {
			break
		}
		for i := range v.Len() {
			if v.Kind() == reflect.Slice {
				below(v.Index(i))
			}
		}
		if n := size(v.Interface()); 2*worth < n {
			return v, n
		}
	}
	return part, worth
}

func lessen(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		text, _ := headAndTail(v.String(), int64(v.Len()), max(minText, cost(v.String())*3/4))
		v.SetString(text)
	case reflect.Slice:
		v.SetLen(v.Len() * 7 / 8)
	case reflect.Map:
		kept := reflect.MakeMap(v.Type())
		for i, key := range v.MapKeys() {
			if i < v.Len()*7/8 {
				kept.SetMapIndex(key, v.MapIndex(key))
			}
		}
		v.Set(kept)
	}
}

// part says that an answer is not all there is. Answers embed it.
type part struct {
	Truncated bool `json:"truncated"` // some of it is left out
}

func (p *part) markCut() { p.Truncated = true }

// more is the call that gets what is left out of an answer, in the words of a model.
func more(tool string, arguments ...any) *string {
	var b strings.Builder
	b.WriteString(tool + " {")
	for i := 0; i+1 < len(arguments); i += 2 {
		if i > 0 {
			b.WriteByte(',')
		}
		raw, err := json.Marshal(arguments[i+1])
		if err != nil {
			continue
		}
		fmt.Fprintf(&b, "%q:%s", arguments[i], raw)
	}
	b.WriteByte('}')
	text := b.String()
	return &text
}
