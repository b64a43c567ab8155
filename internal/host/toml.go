package host

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// tomlDocument is a file of Codex. No library edits TOML and keeps comments, so tables are
// put in and taken out as text, line by line, and the result is read again.
type tomlDocument struct {
	data  []byte
	means map[string]any
	keys  []string
	lines []statement
}

// statement is a header of a table, or a key with its value.
type statement struct {
	path     []string // from the root of the document
	header   bool
	from, to int // of its lines, the line feed included
	key, end int // of key and value alone
}

// parseTOML reads a document. Errors begin with the number of a line.
func parseTOML(data []byte, keys []string) (*tomlDocument, error) {
	d := &tomlDocument{data: data, keys: keys, means: map[string]any{}}
	if err := toml.Unmarshal(data, &d.means); err != nil {
		line := 1
		if wrong, ok := errors.AsType[*toml.DecodeError](err); ok {
			line, _ = wrong.Position()
		}
		return nil, fmt.Errorf("%d: %s", line, strings.TrimPrefix(err.Error(), "toml: "))
	}
	return d, d.scan()
}

// scan finds where statements stand.
func (d *tomlDocument) scan() error {
	var p unstable.Parser
	p.Reset(d.data)
	var table []string
	for p.NextExpression() {
		node := p.Expression()
		var key []string
		first, last := -1, 0
		for it := node.Key(); it.Next(); {
			raw := it.Node().Raw
			if first < 0 {
				first = int(raw.Offset)
			}
			last = int(raw.Offset + raw.Length)
			key = append(key, string(it.Node().Data))
		}
		s := statement{header: node.Kind != unstable.KeyValue}
		if s.header {
			table = key
			s.path = key
		} else {
			s.path = slices.Concat(table, key)
			last = int(node.Raw.Offset + node.Raw.Length)
		}
		s.key, s.end = first, last
		s.from = bytes.LastIndexByte(d.data[:first], '\n') + 1
		s.to = len(d.data)
		if n := bytes.IndexByte(d.data[last:], '\n'); n >= 0 {
			s.to = last + n + 1
		}
		d.lines = append(d.lines, s)
	}
	if err := p.Error(); err != nil {
		return fmt.Errorf("1: %w", err)
	}
	return nil
}

func (d *tomlDocument) path(more ...string) []string {
	return slices.Concat(d.keys, []string{name}, more)
}

func (d *tomlDocument) tree() map[string]any { return without(d.means, d.path()...) }

func (d *tomlDocument) others() bool { return len(at(d.means, d.keys...)) > 0 }

func (d *tomlDocument) get() (*entry, error) {
	value, ok := at(d.means, d.keys...)[name]
	if !ok {
		return nil, nil
	}
	have, _ := value.(map[string]any)
	e := &entry{env: texts(have["env"])}
	if program, ok := have["command"].(string); ok {
		e.command = append([]string{program}, list(have["args"])...)
	}
	enabled, told := have["enabled"].(bool)
	e.disabled = told && !enabled
	return e, nil
}

func (d *tomlDocument) newline() string {
	if bytes.Contains(d.data, []byte("\r\n")) {
		return "\r\n"
	}
	return "\n"
}

func tomlLines(e entry) map[string]string {
	args := make([]string, 0, len(e.command))
	for _, word := range e.command[1:] {
		args = append(args, quoted(word))
	}
	lines := map[string]string{
		"command": "command = " + quoted(e.command[0]),
		"args":    "args = [" + strings.Join(args, ", ") + "]",
	}
	if len(e.env) > 0 {
		var pairs []string
		for _, key := range slices.Sorted(maps.Keys(e.env)) {
			pairs = append(pairs, key+" = "+quoted(e.env[key]))
		}
		lines["env"] = "env = { " + strings.Join(pairs, ", ") + " }"
	}
	return lines
}

// tomlOrder is that in which new lines are written.
var tomlOrder = []string{"command", "args", "env"}

func (d *tomlDocument) add(e entry) ([]byte, error) {
	nl := d.newline()
	text := bytes.Clone(d.data)
	if len(text) > 0 && !bytes.HasSuffix(text, []byte{'\n'}) {
		text = append(text, nl...)
	}
	if len(text) > 0 {
		text = append(text, nl...)
	}
	text = append(text, "["+strings.Join(d.path(), ".")+"]"+nl...)
	lines := tomlLines(e)
	for _, key := range tomlOrder {
		if line, ok := lines[key]; ok {
			text = append(text, line+nl...)
		}
	}
	return text, nil
}

// setting is a line that the entry should have.
type setting struct {
	path, table []string // table: behind whose header it belongs
	line        string
}

// settings are the lines that e needs in this document. Variables that it has beside ours
// stay.
func (d *tomlDocument) settings(e entry) []setting {
	var needed []setting
	inTable := slices.ContainsFunc(d.lines, func(s statement) bool { return s.header && slices.Equal(s.path, d.path("env")) })
	if have, err := d.get(); err == nil && !inTable && len(e.env) > 0 {
		env := maps.Clone(have.env)
		maps.Copy(env, e.env)
		e.env = env
	}
	lines := tomlLines(e)
	for _, key := range tomlOrder {
		if line, ok := lines[key]; ok && (key != "env" || !inTable) {
			needed = append(needed, setting{d.path(key), d.path(), line})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(e.env)) {
		if inTable {
			needed = append(needed, setting{d.path("env", key), d.path("env"), key + " = " + quoted(e.env[key])})
		}
	}
	return needed
}

// update replaces statements of the entry, and puts those that are missing behind the
// header of their table.
func (d *tomlDocument) update(e entry) ([]byte, error) {
	needed := d.settings(e)
	var out []byte
	done := 0
	for _, s := range d.lines {
		for i := 0; i < len(needed); i++ {
			n := needed[i]
			switch {
			case !s.header && slices.Equal(s.path, n.path):
				out = append(append(out, d.data[done:s.key]...), n.line...)
				done = s.end
			case s.header && slices.Equal(s.path, n.table) && !d.has(n.path):
				if done < s.to {
					out = append(out, d.data[done:s.to]...)
					done = s.to
				}
				out = append(out, n.line+d.newline()...)
			default:
				continue
			}
			needed = slices.Delete(needed, i, i+1)
			i--
		}
	}
	if len(needed) > 0 {
		return nil, errShape
	}
	return append(out, d.data[done:]...), nil
}

func (d *tomlDocument) has(path []string) bool {
	return slices.ContainsFunc(d.lines, func(s statement) bool { return !s.header && slices.Equal(s.path, path) })
}

// drop takes all statements of the entry out, and the comments between them.
func (d *tomlDocument) drop() ([]byte, error) {
	var out []byte
	done, mine := 0, false // mine: the statement before was one
	for _, s := range d.lines {
		prefix := d.path()
		is := len(s.path) >= len(prefix) && slices.Equal(s.path[:len(prefix)], prefix)
		if is {
			between := d.data[done:s.from]
			if !mine || s.header && len(bytes.TrimSpace(between)) > 0 {
				out = append(out, between...)
			}
			done = s.to
		}
		mine = is
	}
	rest := d.data[done:]
	if len(rest) == 0 { // it stood at the end, behind a blank line
		nl := []byte(d.newline())
		out = bytes.TrimSuffix(out, nl)
		if len(out) > 0 && !bytes.HasSuffix(out, []byte{'\n'}) {
			out = append(out, nl...)
		}
	}
	return append(out, rest...), nil
}
