package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"znkr.io/diff"
	"znkr.io/diff/textdiff"

	"github.com/pyro-sandbox/pyro/api"
)

// The actions that change something.
const (
	Connect    = "connect"
	Disconnect = "disconnect"
	Repair     = "repair"
)

// sight is what was found in one place.
type sight struct {
	row  *row
	at   *place
	file *file
	doc  document
	have *entry // nil: no server of this name
}

// look reads a place: of several files the one that names pyro.
func look(h *row, p *place) (*sight, error) {
	var first *sight
	for _, path := range p.paths {
		f, err := read(path)
		if err == nil && p.root != "" {
			err = f.within(p.root)
		}
		if err != nil {
			return nil, err
		}
		s := &sight{row: h, at: p, file: f}
		if s.doc, err = p.open(h, path, f.data); err != nil {
			return nil, err
		}
		if s.have, err = s.doc.get(); err != nil {
			return nil, err
		}
		if s.have != nil {
			return s, nil
		}
		if first == nil || first.file.absent && !f.absent {
			first = s
		}
	}
	return first, nil
}

// Plan finds out what an action would change, and returns that with the way to do it. The
// way is nil if nothing is to be done; it fills in what only doing it shows. Nothing was
// changed if Plan fails.
func (m Machine) Plan(action string, req api.HostRequest) (*api.HostChange, func(context.Context) error, error) {
	h, err := pick(req.Host)
	if err != nil {
		return nil, nil, err
	}
	p, err := m.place(h, req.Scope)
	if err != nil {
		return nil, nil, api.About(action, h.name, err)
	}
	s, err := look(h, p)
	if err != nil {
		return nil, nil, api.About(action, h.name, err)
	}
	w := &work{Machine: m, sight: s, change: &api.HostChange{Host: h.name, Action: action, Scope: p.scope, Path: s.file.path, Run: []string{}}}
	switch action {
	case Connect:
		err = w.connect(req)
	case Disconnect:
		err = w.disconnect()
	case Repair:
		err = w.repair(req)
	}
	if err != nil {
		return nil, nil, api.About(action, h.name, err)
	}
	if w.apply == nil {
		return w.change, nil, nil
	}
	w.change.Changed = true
	if action != Disconnect {
		w.change.Note = h.note
	}
	return w.change, func(ctx context.Context) error { return api.About(action, h.name, w.apply(ctx)) }, nil
}

// work is a change in the making.
type work struct {
	Machine
	*sight
	change *api.HostChange
	apply  func(context.Context) error // nil: nothing is to be done
}

func (w *work) connect(req api.HostRequest) error {
	if w.have != nil && w.have.serving() < 0 {
		return &api.Error{
			Kind: api.Exists, Hint: fmt.Sprintf("`pyro host repair %s` puts pyro in its place", w.row.name),
			Err: fmt.Errorf("%s names another server %s", w.file.path, name),
		}
	}
	return w.put(w.wanted(w.row, w.at.scope, req, w.have))
}

func (w *work) repair(req api.HostRequest) error {
	if w.have != nil && len(req.Serve) == 0 {
		req.Serve = w.have.kept()
	}
	return w.put(w.wanted(w.row, w.at.scope, req, w.have))
}

// put brings the entry about.
func (w *work) put(want entry) error {
	w.change.Entry = want.shown()
	change := func(d document) ([]byte, error) { return d.add(want) }
	switch {
	case w.have == nil:
		if words := w.row.own.toAdd(w.at.scope, want); words != nil && w.find(words[0]) != "" && (!w.row.own.firstOnly || !w.doc.others()) {
			return w.tell(words, &want)
		}
	case w.have.serving() < 0:
		change = func(d document) ([]byte, error) { return w.exchange(d, want) }
	case w.have.drift(want) == "":
		w.change.Entry = w.have.shown()
		if w.have.disabled {
			w.change.Note = "it is there, but disabled: enable it in " + w.file.path
		}
		return nil
	default:
		change = func(d document) ([]byte, error) { return d.update(want) }
	}
	data, err := w.at.edit(w.row, w.file.path, w.doc, change, &want)
	if err != nil {
		return err
	}
	return w.write(data, true)
}

// exchange puts an entry in the place of a foreign one, of which nothing stays.
func (w *work) exchange(d document, want entry) ([]byte, error) {
	data, err := d.drop()
	if err != nil {
		return nil, err
	}
	rest, err := w.at.open(w.row, w.file.path, data)
	if err != nil {
		return nil, err
	}
	return rest.add(want)
}

func (w *work) disconnect() error {
	switch {
	case w.have == nil:
		return nil
	case w.have.serving() < 0:
		return &api.Error{
			Kind: api.Conflict, Hint: "take it out by hand if it is to go",
			Err: fmt.Errorf("%s names another server %s", w.file.path, name),
		}
	}
	if words := w.row.own.toRemove(w.at.scope); words != nil && w.find(words[0]) != "" {
		return w.tell(words, nil)
	}
	if copied, data := w.original(); copied != "" {
		if err := w.write(data, false); err != nil {
			return err
		}
		replace := w.apply
		w.apply = func(ctx context.Context) error {
			if err := replace(ctx); err != nil {
				return err
			}
			_ = os.Remove(copied) // the file is the copy now
			return nil
		}
		return nil
	}
	data, err := w.at.edit(w.row, w.file.path, w.doc, document.drop, nil)
	switch {
	case err != nil:
		return err
	case isBlank(data) && len(w.file.backups()) == 0: // there was no file before connect
		return w.vanish()
	}
	return w.write(data, true)
}

// isBlank reports whether a file says nothing, in any format.
func isBlank(data []byte) bool {
	words := string(bytes.Join(bytes.Fields(data), nil))
	return words == "" || words == "{}"
}

// vanish plans to remove the file.
func (w *work) vanish() error {
	if err := w.file.writable(); err != nil {
		return err
	}
	w.showDiff(nil)
	w.apply = func(context.Context) error { return w.remove() }
	return nil
}

// from is what connect makes of data.
func (w *work) from(data []byte) ([]byte, error) {
	d, err := w.at.open(w.row, w.file.path, data)
	if err != nil {
		return nil, err
	}
	if have, err := d.get(); err != nil || have != nil {
		return nil, errors.Join(err, errShape)
	}
	return d.add(*w.have)
}

// original finds the copy from which connect made the file as it is, with what is in it.
// To put it back undoes connect to the byte.
func (w *work) original() (string, []byte) {
	for _, path := range w.file.backups() {
		f, err := read(path)
		if err != nil || f.absent {
			continue
		}
		if made, err := w.from(f.data); err == nil && bytes.Equal(made, w.file.data) {
			return path, f.data
		}
	}
	return "", nil
}

// tell lets the host make the change by its own command.
func (w *work) tell(words []string, want *entry) error {
	w.change.Run = words
	w.apply = func(ctx context.Context) error {
		if !w.file.absent {
			if err := w.copyFile(); err != nil {
				return err
			}
		}
		if err := w.run(ctx, words); err != nil {
			return err
		}
		now, err := look(w.row, w.at)
		if err != nil {
			return err
		}
		if (now.have == nil) != (want == nil) || want != nil && now.have.drift(*want) != "" {
			return &api.Error{
				Kind: api.Unavailable, Hint: "look into the file, or take the host's command out of PATH: pyro then writes the file itself",
				Err: fmt.Errorf("%s went well, but %s does not show it", api.Quote(words[:3]), w.file.path),
			}
		}
		return nil
	}
	return nil
}

// write plans the new content of the file.
func (w *work) write(data []byte, backup bool) error {
	if err := w.file.writable(); err != nil {
		return err
	}
	w.showDiff(data)
	w.apply = func(context.Context) error {
		if err := w.file.same(); err != nil {
			return err
		}
		if backup && !w.file.absent {
			if err := w.copyFile(); err != nil {
				return err
			}
		}
		return w.file.replace(data)
	}
	return nil
}

func (w *work) copyFile() error {
	path, err := w.file.backup()
	if err == nil {
		w.change.Backup = &path
	}
	return err
}

func (w *work) remove() error {
	if err := w.file.same(); err != nil {
		return err
	}
	if err := os.Remove(w.file.target); err != nil {
		return failed(w.file.path, err)
	}
	return nil
}

// showDiff has one line of context: what stands near may be secret.
func (w *work) showDiff(data []byte) {
	before, after := w.file.path, w.file.path
	if w.file.absent {
		before = os.DevNull
	}
	if data == nil {
		after = os.DevNull
	}
	w.change.Diff = "--- " + before + "\n+++ " + after + "\n" + string(textdiff.Unified(w.file.data, data, diff.Context(1)))
}

// Config says what to write into the settings of a host by hand.
func (m Machine) Config(req api.HostRequest) (*api.HostConfig, error) {
	h, err := pick(req.Host)
	if err != nil {
		return nil, err
	}
	p, err := m.place(h, req.Scope)
	if err != nil {
		return nil, api.About("print", h.name, err)
	}
	path := p.paths[0]
	for _, other := range p.paths[1:] {
		if !exists(path) && exists(other) {
			path = other
		}
	}
	e := m.wanted(h, p.scope, req, nil)
	d, err := p.open(h, path, nil)
	if err != nil {
		return nil, err
	}
	text, err := d.add(e)
	if err != nil {
		return nil, err
	}
	run := h.own.toAdd(p.scope, e)
	if run == nil {
		run = []string{}
	}
	return &api.HostConfig{Host: h.name, Scope: p.scope, Path: path, Format: p.format(), Snippet: string(text), Run: run}, nil
}
