package config

import (
	"bytes"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// linesOf returns the line of each key and of each table's header, for messages
// alone: a key that is not found has no line, and nothing else depends on it. The
// parser's own interface is not promised to stay, so it is used for no more.
func linesOf(data []byte) map[string]int {
	lines := lineTable{}
	p := unstable.Parser{}
	p.Reset(data)
	var table []string
	for p.NextExpression() {
		e := p.Expression()
		parts, offset := keyOf(e)
		line := 1 + bytes.Count(data[:offset], []byte{'\n'})
		if e.Kind == unstable.KeyValue {
			parts = slices.Concat(table, parts)
			lines.inline(parts, e.Value(), line)
		} else {
			table = parts // a header
		}
		lines.note(parts, line)
	}
	return lines
}

type lineTable map[string]int

// note enters a key and the tables that it lies in, where they first appear.
func (l lineTable) note(parts []string, line int) {
	for i := range parts {
		if key := strings.Join(parts[:i+1], "."); l[key] == 0 {
			l[key] = line
		}
	}
}

// inline notes the keys of an inline table, which in TOML 1.0 is on one line.
func (l lineTable) inline(key []string, value *unstable.Node, line int) {
	if value.Kind != unstable.InlineTable {
		return
	}
	for it := value.Children(); it.Next(); {
		if pair := it.Node(); pair.Kind == unstable.KeyValue {
			parts, _ := keyOf(pair)
			l.note(slices.Concat(key, parts), line)
		}
	}
}

// keyOf returns the key of an expression, and where it begins.
func keyOf(e *unstable.Node) (parts []string, offset int) {
	for it := e.Key(); it.Next(); {
		node := it.Node()
		if parts == nil {
			offset = int(node.Raw.Offset)
		}
		parts = append(parts, part(string(node.Data)))
	}
	return parts, offset
}
