package host

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tailscale/hujson"
)

// shape is how a host writes a server in JSON.
type shape struct {
	kind   string // its "type"; empty: it needs none
	joined bool   // "command" is a list of the program and its arguments; else those are "args"
	env    string // the name of the variables, "env" if empty
}

func (s shape) envKey() string {
	if s.env != "" {
		return s.env
	}
	return "env"
}

// object is a JSON object whose members have an order.
type object []member

type member struct {
	key   string
	value any // object, []string or string
}

// members are those that a server needs.
func (s shape) members(e entry) object {
	var o object
	if s.kind != "" {
		o = append(o, member{"type", s.kind})
	}
	if s.joined {
		o = append(o, member{"command", e.command})
	} else {
		o = append(o, member{"command", e.command[0]}, member{"args", e.command[1:]})
	}
	if len(e.env) > 0 {
		o = append(o, member{s.envKey(), variables(e.env)})
	}
	return o
}

func variables(env map[string]string) object {
	var o object
	for _, key := range slices.Sorted(maps.Keys(env)) {
		o = append(o, member{key, env[key]})
	}
	return o
}

// jsonDocument is JSON with comments and commas at the end, which is what editors and most
// hosts read.
type jsonDocument struct {
	data  []byte
	root  *hujson.Value
	means map[string]any
	keys  []string // to the table of servers
	shape shape
}

// parseJSON reads a document; nothing, and nothing but blanks, is an empty one. Errors
// begin with the number of a line.
func parseJSON(data []byte, keys []string, s shape) (*jsonDocument, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		data = []byte("{}\n")
	}
	root, err := hujson.Parse(data)
	if err != nil {
		line, what := 0, strings.TrimPrefix(err.Error(), "hujson: ")
		if n, _ := fmt.Sscanf(what, "line %d, column", &line); n == 1 {
			_, what, _ = strings.Cut(what, ": ")
		}
		return nil, fmt.Errorf("%d: %s", line, what)
	}
	d := &jsonDocument{data: data, root: &root, keys: keys, shape: s}
	plain, err := hujson.Standardize(bytes.Clone(data)) // it works in place
	if err == nil {
		decoder := json.NewDecoder(bytes.NewReader(plain))
		decoder.UseNumber()
		err = decoder.Decode(&d.means)
	}
	if err != nil || d.means == nil {
		return nil, fmt.Errorf("1: this is no JSON object")
	}
	return d, d.check()
}

// check refuses what a change could not be made in: another value on the way to the
// servers, and a name that is there twice, of which hosts take either.
func (d *jsonDocument) check() error {
	v := d.root
	for _, key := range append(slices.Clone(d.keys), name) {
		o, ok := v.Value.(*hujson.Object)
		if !ok {
			return fmt.Errorf("%d: an object was expected here", d.line(v.StartOffset))
		}
		found := membersOf(o, key)
		switch len(found) {
		case 0:
			return nil
		case 1:
			v = &o.Members[found[0]].Value
		default:
			return fmt.Errorf("%d: %q is there twice", d.line(o.Members[found[1]].Name.StartOffset), key)
		}
	}
	return nil
}

func (d *jsonDocument) line(offset int) int { return 1 + bytes.Count(d.data[:offset], []byte{'\n'}) }

func membersOf(o *hujson.Object, key string) []int {
	var found []int
	for i, m := range o.Members {
		if literal, ok := m.Name.Value.(hujson.Literal); ok && literal.String() == key {
			found = append(found, i)
		}
	}
	return found
}

func (d *jsonDocument) tree() map[string]any { return without(d.means, d.path()...) }

func (d *jsonDocument) path(more ...string) []string {
	return slices.Concat(d.keys, []string{name}, more)
}

func (d *jsonDocument) others() bool { return len(at(d.means, d.keys...)) > 0 }

func (d *jsonDocument) get() (*entry, error) {
	value, ok := at(d.means, d.keys...)[name]
	if !ok {
		return nil, nil
	}
	have, _ := value.(map[string]any)
	e := &entry{env: texts(have[d.shape.envKey()])}
	if program, ok := have["command"].(string); ok {
		e.command = []string{program}
	}
	e.command = append(e.command, list(have["command"])...)
	e.command = append(e.command, list(have["args"])...)
	enabled, told := have["enabled"].(bool)
	e.disabled = told && !enabled
	return e, nil
}

func list(value any) []string {
	items, _ := value.([]any)
	var words []string
	for _, item := range items {
		words = append(words, fmt.Sprint(item))
	}
	return words
}

func texts(value any) map[string]string {
	from, _ := value.(map[string]any)
	to := map[string]string{}
	for key, item := range from {
		to[key] = fmt.Sprint(item)
	}
	return to
}

func (d *jsonDocument) add(e entry) ([]byte, error) {
	return setJSON(d.data, d.path(), d.shape.members(e))
}

func (d *jsonDocument) update(e entry) ([]byte, error) {
	data := d.data
	for _, m := range d.shape.members(e) {
		var err error
		if vars, ok := m.value.(object); ok {
			for _, v := range vars {
				if data, err = setJSON(data, d.path(m.key, v.key), v.value); err != nil {
					return nil, err
				}
			}
			continue
		}
		if data, err = setJSON(data, d.path(m.key), m.value); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// drop also takes a table out that has nothing left in it.
func (d *jsonDocument) drop() ([]byte, error) {
	data, err := dropJSON(d.data, d.path())
	if err != nil {
		return nil, err
	}
	rest, err := parseJSON(data, d.keys, d.shape)
	if err != nil {
		return nil, err
	}
	o, ok := find(rest.root, d.keys)
	if ok && len(o.Members) == 0 && len(bytes.TrimSpace(o.AfterExtra)) == 0 {
		return dropJSON(data, d.keys)
	}
	return data, nil
}

// find follows keys to an object.
func find(v *hujson.Value, keys []string) (*hujson.Object, bool) {
	o, ok := v.Value.(*hujson.Object)
	for _, key := range keys {
		if !ok {
			return nil, false
		}
		found := membersOf(o, key)
		if len(found) == 0 {
			return nil, false
		}
		o, ok = o.Members[found[0]].Value.Value.(*hujson.Object)
	}
	return o, ok
}
