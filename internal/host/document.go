package host

import (
	"errors"
	"fmt"
	"maps"
	"reflect"

	"github.com/pyro-sandbox/pyro/api"
)

// document is a file of settings that makes sense. What changes it returns the bytes of
// another and leaves everything but the one entry alone.
type document interface {
	// get returns the entry, nil if there is none.
	get() (*entry, error)
	// others reports whether the table of servers has any entry.
	others() bool
	// add puts an entry where there is none.
	add(e entry) ([]byte, error)
	// update sets command and variables of the entry and leaves the rest of it.
	update(e entry) ([]byte, error)
	// drop takes the entry out.
	drop() ([]byte, error)
	// tree is what the document means without the entry.
	tree() map[string]any
}

// open reads a document out of data. Errors name the file and the line.
func (p place) open(h *row, path string, data []byte) (document, error) {
	var d document
	var err error
	if p.toml {
		d, err = parseTOML(data, p.keys)
	} else {
		d, err = parseJSON(data, p.keys, h.shape)
	}
	if err != nil {
		return nil, &api.Error{
			Kind: api.Invalid, Err: fmt.Errorf("%s:%w", path, err),
			Hint: "correct the file; it was left as it is",
		}
	}
	return d, nil
}

func (p place) format() string {
	if p.toml {
		return "toml"
	}
	return "json"
}

// errShape is a file in which the entry is written in a way that is not edited.
var errShape = errors.New("the servers are written in a form that pyro does not edit")

// edit makes a change and proves it: what comes out is a document in which the entry is as
// it should be, and all else means what it meant.
func (p place) edit(h *row, path string, from document, change func(document) ([]byte, error), want *entry) ([]byte, error) {
	data, err := change(from)
	if err != nil {
		return nil, p.refuse(path, err)
	}
	to, err := p.open(h, path, data)
	if err != nil {
		return nil, p.refuse(path, errShape)
	}
	have, err := to.get()
	if err != nil || (have == nil) != (want == nil) || want != nil && have.drift(*want) != "" || !sameTree(from.tree(), to.tree()) {
		return nil, p.refuse(path, errShape)
	}
	return data, nil
}

func (p place) refuse(path string, err error) error {
	return &api.Error{
		Kind: api.Unsupported, Hint: "`pyro host print-config` shows what to write by hand; nothing was changed",
		Err: fmt.Errorf("%s: %w", path, err),
	}
}

// sameTree compares what two documents mean. An empty table is none.
func sameTree(a, b map[string]any) bool { return reflect.DeepEqual(prune(a), prune(b)) }

func prune(tree map[string]any) map[string]any {
	tree = maps.Clone(tree)
	for key, value := range tree {
		if sub, ok := value.(map[string]any); ok {
			if sub = prune(sub); len(sub) == 0 {
				delete(tree, key)
				continue
			}
			tree[key] = sub
		}
	}
	return tree
}

// without takes an entry out of a tree, in a copy.
func without(tree map[string]any, keys ...string) map[string]any {
	tree = maps.Clone(tree)
	if len(keys) == 1 {
		delete(tree, keys[0])
		return tree
	}
	if sub, ok := tree[keys[0]].(map[string]any); ok {
		tree[keys[0]] = without(sub, keys[1:]...)
	}
	return tree
}

// at follows keys through a tree; nil if they lead nowhere.
func at(tree map[string]any, keys ...string) map[string]any {
	for _, key := range keys {
		tree, _ = tree[key].(map[string]any)
	}
	return tree
}
