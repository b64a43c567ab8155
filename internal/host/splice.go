package host

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/tailscale/hujson"
)

// setJSON sets what keys lead to, and leaves every other byte. Objects on the way are made.
func setJSON(data []byte, keys []string, value any) ([]byte, error) {
	root, err := hujson.Parse(data)
	if err != nil {
		return nil, err
	}
	s := newStyle(data, &root)
	v := &root
	for i, key := range keys {
		o, ok := v.Value.(*hujson.Object)
		if !ok {
			return nil, errShape
		}
		found := membersOf(o, key)
		if len(found) > 0 {
			v = &o.Members[found[0]].Value
			continue
		}
		for _, inner := range slices.Backward(keys[i+1:]) {
			value = object{{inner, value}}
		}
		return s.insert(data, v, o, member{key, value}), nil
	}
	text := s.render(value, s.indentAt(data, v.StartOffset), s.flat(data[v.StartOffset:v.EndOffset]))
	return slices.Concat(data[:v.StartOffset], []byte(text), data[v.EndOffset:]), nil
}

// style is how a file is laid out.
type style struct {
	newline string
	unit    string // one step of indentation
	oneLine bool   // the file has but one line
}

func newStyle(data []byte, root *hujson.Value) style {
	s := style{newline: "\n", unit: "  "}
	if bytes.Contains(data, []byte("\r\n")) {
		s.newline = "\r\n"
	}
	body := data[root.StartOffset:root.EndOffset]
	s.oneLine = !bytes.ContainsRune(body, '\n') && len(body) > len("{}")
	if o, ok := root.Value.(*hujson.Object); ok && len(o.Members) > 0 {
		if unit := s.indentAt(data, o.Members[0].Name.StartOffset); unit != "" {
			s.unit = unit
		}
	}
	return s
}

// indentAt is the blanks that the line of an offset begins with.
func (s style) indentAt(data []byte, offset int) string {
	line := data[bytes.LastIndexByte(data[:offset], '\n')+1:]
	return string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
}

// flat reports whether what replaces old belongs on one line.
func (s style) flat(old []byte) bool {
	return s.oneLine || len(old) > len("{}") && old[0] == '{' && !bytes.ContainsRune(old, '\n')
}

// insert puts a member at the end of an object.
func (s style) insert(data []byte, v *hujson.Value, o *hujson.Object, m member) []byte {
	end := v.EndOffset - 1 // of what is inside the braces
	flat := s.flat(data[v.StartOffset:v.EndOffset])
	outer := s.indentAt(data, v.StartOffset)
	inner := outer + s.unit
	if n := len(o.Members); n > 0 && !flat {
		if indent := s.indentAt(data, o.Members[0].Name.StartOffset); indent != "" {
			inner = indent
		}
	}
	text := quoted(m.key) + ": " + s.render(m.value, inner, flat)
	comma, where := s.comma(o)
	if where < 0 {
		where = end
	}
	if flat {
		if len(o.Members) > 0 {
			text = " " + text
		}
		at := v.StartOffset + 1 + len(bytes.TrimRight(data[v.StartOffset+1:end], " \t"))
		return slices.Concat(data[:where:where], []byte(comma), data[where:max(at, where)], []byte(text), data[max(at, where):])
	}
	text = s.newline + inner + text
	if len(o.Members) > 0 && comma == "" {
		text += ","
	}
	at := len(bytes.TrimRight(data[:end], " \t"))
	if at > 0 && data[at-1] == '\n' { // the brace stands on a line of its own
		at = len(bytes.TrimSuffix(data[:at-1], []byte{'\r'}))
	} else {
		at = end
		text += s.newline + outer
	}
	where = min(where, at)
	return slices.Concat(data[:where:where], []byte(comma), data[where:at], []byte(text), data[at:])
}

// comma is what the last member needs to be followed by another, and where; -1 if it has
// one or there is no member.
func (s style) comma(o *hujson.Object) (string, int) {
	n := len(o.Members)
	if n == 0 || o.Members[n-1].Value.AfterExtra != nil {
		return "", -1
	}
	return ",", o.Members[n-1].Value.EndOffset
}

func (s style) render(value any, indent string, flat bool) string {
	switch v := value.(type) {
	case string:
		return quoted(v)
	case []string:
		words := make([]string, len(v))
		for i, word := range v {
			words[i] = quoted(word)
		}
		return "[" + strings.Join(words, ", ") + "]"
	}
	o, _ := value.(object)
	lines := make([]string, len(o))
	for i, m := range o {
		lines[i] = quoted(m.key) + ": " + s.render(m.value, indent+s.unit, flat)
	}
	if flat {
		return "{" + strings.Join(lines, ", ") + "}"
	}
	step := s.newline + indent + s.unit
	return "{" + step + strings.Join(lines, ","+step) + s.newline + indent + "}"
}

// quoted is a string of JSON, and of TOML: what one of them must not have plain in it is
// escaped in a way that both know.
func quoted(text string) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // a string is always one
	return strings.ReplaceAll(strings.TrimSpace(b.String()), "\x7f", `\u007f`)
}

// dropJSON takes the member that keys lead to out, with its line where it has one of its
// own, and the comma that is then too many.
func dropJSON(data []byte, keys []string) ([]byte, error) {
	root, err := hujson.Parse(data)
	if err != nil {
		return nil, err
	}
	last := len(keys) - 1
	o, ok := find(&root, keys[:last])
	if !ok {
		return nil, errShape
	}
	found := membersOf(o, keys[last])
	if len(found) != 1 {
		return nil, errShape
	}
	i := found[0]
	m, final := o.Members[i], i == len(o.Members)-1
	from, to := m.Name.StartOffset, m.Value.EndOffset
	if !final || m.Value.AfterExtra != nil { // a comma follows
		to += len(m.Value.AfterExtra) + 1
	}
	head, before := data[:from], len(bytes.TrimRight(data[:from], " \t"))
	after := to + len(data[to:]) - len(bytes.TrimLeft(data[to:], " \t\r"))
	ownLine := before > 0 && data[before-1] == '\n' && after < len(data) && data[after] == '\n'
	switch {
	case ownLine:
		head = bytes.TrimSuffix(data[:before-1], []byte{'\r'})
	case final:
		head = data[:before]
	default:
		to = after
	}
	if final && m.Value.AfterExtra == nil && i > 0 { // the comma before it is the last one now
		prev := o.Members[i-1].Value
		comma := prev.EndOffset + len(prev.AfterExtra)
		head = slices.Concat(head[:comma:comma], head[comma+1:])
	}
	return slices.Concat(head[:len(head):len(head)], data[to:]), nil
}
