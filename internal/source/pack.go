package source

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
)

// Entry is one member of a directory, as it is here.
type Entry struct {
	Path   string // below the source; bytes, as names are
	Kind   archive.Kind
	Mode   uint32    // twelve bits
	Size   int64     // of a file, else 0
	MTime  int64     // seconds since 1970
	Target string    // of a symlink
	CTime  time.Time // when the inode was last changed, which no user can set
}

// Pack writes all that is wanted of the source to w as an uncompressed pax archive,
// and tells what that was. It holds no file in memory. After an error, which names
// what it is about and has a kind, w has got a broken archive; errors of w come as
// they are.
func (s *Source) Pack(ctx context.Context, w io.Writer) (archive.Counts, error) {
	return s.PackOnly(ctx, w, nil)
}

// PackOnly is Pack of those members of a directory that needed says, by their path;
// those of a directory that is not needed may be. Of an archive all is packed.
func (s *Source) PackOnly(ctx context.Context, w io.Writer, needed func(path string) bool) (archive.Counts, error) {
	m := &meter{to: w, told: s.opts.Progress}
	var counts archive.Counts
	var err error
	if s.mode == api.SeedTarArchive {
		counts, err = s.repack(ctx, m)
	} else {
		counts, err = s.packDirectory(ctx, m, needed)
	}
	return counts, explain(err)
}

// Entries lists a directory's members in the order of Pack, or returns false for an
// archive, whose members nothing is known about before it is read. What would make
// Pack fail by its name or kind makes it fail too.
func (s *Source) Entries(ctx context.Context) ([]Entry, bool, error) {
	if s.mode == api.SeedTarArchive {
		return nil, false, nil
	}
	list := &lister{ctx: ctx}
	err := s.choose(ctx, func(c *choice) sink {
		list.opts = s.packOptions(c)
		return list
	})
	if err != nil {
		return nil, true, explain(err)
	}
	return list.entries, true, nil
}

func (s *Source) packDirectory(ctx context.Context, m *meter, needed func(string) bool) (archive.Counts, error) {
	var out *packer
	err := s.choose(ctx, func(c *choice) sink {
		opts := s.packOptions(c)
		opts.Seen = m.seen
		if needed != nil {
			opts.Only = func(path string, _ archive.Info) bool { return needed(path) }
		}
		out = &packer{Writer: archive.NewWriter(ctx, m, opts), needed: needed}
		return out
	})
	if err != nil {
		// The archive is not closed: a part of it must not look like all of it.
		return m.counts, err
	}
	return out.Close()
}

func (s *Source) repack(ctx context.Context, m *meter) (archive.Counts, error) {
	from := s.stream
	if from == nil {
		dir, err := archive.OpenRoot(filepath.Dir(s.path))
		if err != nil {
			return archive.Counts{}, err
		}
		defer dir.Close()
		f, err := dir.Open(filepath.Base(s.path), os.O_RDONLY, 0)
		if err != nil {
			return archive.Counts{}, err
		}
		defer f.Close()
		from = f
	}
	counts, err := archive.Repack(ctx, m, from, archive.RepackOptions{
		Formats: archive.TarCompressed, Specials: s.specials(), Limits: s.opts.Limits,
		Skip: s.excluded.excludesBelow, Seen: m.seen,
	})
	if err == nil && s.opts.Skipped != nil {
		counts.Skipped += s.opts.Skipped()
	}
	return counts, err
}

func (s *Source) packOptions(c *choice) archive.PackOptions {
	return archive.PackOptions{Specials: s.specials(), Limits: s.opts.Limits, Skip: c.skip}
}

func (s *Source) specials() archive.Specials {
	if s.opts.SkipSpecial {
		return archive.SpecialsSkipped
	}
	return archive.SpecialsRefused
}

// packer is the sink of Pack.
type packer struct {
	*archive.Writer
	needed func(path string) bool
}

func (p *packer) dir(name string, info archive.Info) error {
	if p.needed != nil && !p.needed(name) {
		return nil
	}
	return p.AddDir(name, info.Bits, info.ModTime)
}

func (p *packer) file(name string, info archive.Info, content []byte) error {
	if p.needed != nil && !p.needed(name) {
		return nil
	}
	return p.AddFile(name, info.Bits, info.ModTime, content)
}

func (p *packer) tree(root *archive.Root, path, prefix string) error {
	_, err := p.Add(root, path, prefix)
	return err
}

// lister is the sink of Entries.
type lister struct {
	ctx     context.Context
	opts    archive.PackOptions
	entries []Entry
}

func (l *lister) dir(name string, info archive.Info) error {
	l.entries = append(l.entries, entry(name, info))
	return nil
}

func (l *lister) file(name string, info archive.Info, content []byte) error {
	info.Size = int64(len(content))
	return l.dir(name, info)
}

func (l *lister) tree(root *archive.Root, path, prefix string) error {
	opts := l.opts
	opts.Skip = func(name string, info archive.Info) bool { return l.opts.Skip(join(prefix, name), info) }
	return archive.Walk(l.ctx, root, path, opts, func(name string, info archive.Info) error {
		return l.dir(join(prefix, name), info)
	})
}

func entry(name string, info archive.Info) Entry {
	e := Entry{
		Path: name, Kind: info.Kind, Mode: info.Bits, MTime: info.ModTime.Unix(),
		Target: info.Target, CTime: time.Unix(0, info.ChangeTimeNS),
	}
	if info.Kind == archive.KindFile {
		e.Size = info.Size
	}
	return e
}

// meter tells how much has been written.
type meter struct {
	to     io.Writer
	told   func(entries int, bytes int64)
	counts archive.Counts
	bytes  int64
}

func (m *meter) seen(c archive.Counts) { m.counts = c }

func (m *meter) Write(p []byte) (int, error) {
	n, err := m.to.Write(p)
	m.bytes += int64(n)
	if m.told != nil && err == nil {
		m.told(m.counts.Entries, m.bytes)
	}
	return n, err
}
