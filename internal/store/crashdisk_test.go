package store

import (
	"bytes"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// crashDisk does what is asked and remembers each step, so that it can say what a
// power cut after any of them may leave. What was written is safe only after a sync
// of the file, a name only after a sync of its directory; names become safe in the
// order in which they changed, data in sectors of 512 bytes in any order.
type crashDisk struct {
	osDisk
	steps []func(*platter)
}

// platter is the disk as it is replayed.
type platter struct {
	names   map[string]*blob // as programs see them
	safe    map[string]*blob
	pending []change // that safe does not have yet, in order
}

// change is what the names are after a change in some directories.
type change struct {
	names map[string]*blob
	dirs  []string
}

// blob is the contents of a file, or a directory.
type blob struct {
	seen, safe []byte
	dir        bool
}

type crashFile struct {
	file
	disk *crashDisk
	path string
}

func newPlatter() *platter { return &platter{names: map[string]*blob{}, safe: map[string]*blob{}} }

func (d *crashDisk) do(step func(*platter)) { d.steps = append(d.steps, step) }

// rename changes the entries of directories.
func (p *platter) rename(edit func(map[string]*blob), dirs ...string) {
	p.names = maps.Clone(p.names)
	edit(p.names)
	p.pending = append(p.pending, change{p.names, dirs})
}

func (d *crashDisk) Open(path string, flag int) (file, error) {
	f, err := d.osDisk.Open(path, flag)
	if err != nil {
		return nil, err
	}
	d.do(func(p *platter) {
		if p.names[path] == nil {
			p.rename(func(names map[string]*blob) { names[path] = new(blob) }, filepath.Dir(path))
		}
		if flag&os.O_TRUNC != 0 {
			p.names[path].seen = nil
		}
	})
	return crashFile{f, d, path}, nil
}

func (f crashFile) Write(data []byte) (int, error) {
	data = bytes.Clone(data)
	f.disk.do(func(p *platter) {
		b := p.names[f.path]
		b.seen = slices.Concat(b.seen, data)
	})
	return f.file.Write(data)
}

func (f crashFile) Sync() error {
	f.disk.do(func(p *platter) { b := p.names[f.path]; b.safe = b.seen })
	return nil // nobody cuts the power of the real one
}

func (d *crashDisk) Mkdir(path string) error {
	d.do(func(p *platter) {
		p.rename(func(names map[string]*blob) { names[path] = &blob{dir: true} }, filepath.Dir(path))
	})
	return d.osDisk.Mkdir(path)
}

// Rename is atomic, also between directories and for one with all that is in it.
func (d *crashDisk) Rename(from, to string) error {
	d.do(func(p *platter) {
		p.rename(func(names map[string]*blob) {
			for path, b := range maps.Clone(names) {
				if rest, ok := strings.CutPrefix(path, from); ok && (rest == "" || rest[0] == '/') {
					delete(names, path)
					names[to+rest] = b
				}
			}
		}, filepath.Dir(from), filepath.Dir(to))
	})
	return d.osDisk.Rename(from, to)
}

// RemoveTree takes a step for each name.
func (d *crashDisk) RemoveTree(base, name string) error {
	root := filepath.Join(base, name)
	var paths []string
	_ = filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		paths = append(paths, path)
		return err
	})
	for _, path := range slices.Backward(paths) { // what is in a directory before it
		d.do(func(p *platter) {
			p.rename(func(names map[string]*blob) { delete(names, path) }, filepath.Dir(path))
		})
	}
	return d.osDisk.RemoveTree(base, name)
}

// SyncDir makes the changes in a directory safe, and those before them.
func (d *crashDisk) SyncDir(path string) error {
	d.do(func(p *platter) {
		for i, c := range slices.Backward(p.pending) {
			if slices.Contains(c.dirs, path) {
				p.safe, p.pending = c.names, p.pending[i+1:]
				return
			}
		}
	})
	return nil
}

// views are what the names may be after a power cut.
func (p *platter) views() []map[string]*blob {
	list := []map[string]*blob{p.safe}
	for _, c := range p.pending {
		list = append(list, c.names)
	}
	return list
}

// images yields what path may hold after a power cut behind each number of steps; nil
// is no file.
func (d *crashDisk) images(path string) iter.Seq2[int, []byte] {
	p := newPlatter()
	return func(yield func(int, []byte) bool) {
		for n := range len(d.steps) + 1 {
			if n > 0 {
				d.steps[n-1](p)
			}
			for image := range p.images(path) {
				if !yield(n, image) {
					return
				}
			}
		}
	}
}

func (p *platter) images(path string) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, names := range p.views() {
			if names[path] == nil {
				if !yield(nil) {
					return
				}
				continue
			}
			for image := range names[path].images() {
				if !yield(image) {
					return
				}
			}
		}
	}
}

func (b *blob) images() iter.Seq[[]byte] {
	const sector = 512
	keep := len(b.safe)
	if !bytes.HasPrefix(b.seen, b.safe) {
		keep = 0
	}
	zeros := make([]byte, len(b.seen))
	return func(yield func([]byte) bool) {
		if !yield(nonNil(b.safe)) || bytes.Equal(b.safe, b.seen) {
			return
		}
		list := [][]byte{b.seen, b.seen[:(keep+len(b.seen))/2], slices.Concat(b.seen[:keep], zeros[keep:])}
		for cut := (keep/sector + 1) * sector; cut < len(b.seen); cut += sector {
			list = append(list,
				b.seen[:cut],
				slices.Concat(b.seen[:cut], zeros[cut:]),
				slices.Concat(b.seen[:keep], zeros[keep:cut], b.seen[cut:]),
				slices.Concat(b.seen[:max(keep, cut-sector)], zeros[max(keep, cut-sector):cut], b.seen[cut:]))
		}
		for _, image := range list {
			if !yield(nonNil(image)) {
				return
			}
		}
	}
}

func nonNil(b []byte) []byte { return append([]byte{}, b...) }
