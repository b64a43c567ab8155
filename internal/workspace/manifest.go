package workspace

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"path/filepath"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
)

// ManifestEntry is a member of a seed, as the manifest has it. Its fields are those of
// archive.Entry; names are bytes.
type ManifestEntry struct {
	Path   []byte
	Kind   string
	Mode   uint32
	Size   int64
	MTime  int64
	Target []byte
	LinkTo []byte
	SHA256 [sha256.Size]byte

	// From is where in the archive the content begins, 0 where that was not noted. It says
	// where to look, and not what is there.
	From int64
}

// A manifest is a file of records beside the archive. manifestRecords has them as a
// recordWriter writes them. manifestLines has lines of JSON, without From: so pyro kept
// seeds before, and it is still read.
const (
	manifestLines   = 0
	manifestRecords = 1
)

// manifestName is the manifest's file.
func (b *Baseline) manifestName() string {
	if b.Format == manifestLines {
		return "manifest.jsonl"
	}
	return "manifest"
}

// manifestSize is how much of a manifest is read or written at once, in bytes.
const manifestSize = 256 << 10

// writeManifest reads an archive and writes a manifest of that format.
func writeManifest(ctx context.Context, r io.Reader, w io.Writer, format int) indexed {
	sum := sha256.New()
	out := bufio.NewWriterSize(io.MultiWriter(w, sum), manifestSize)
	add := (&recordWriter{out: out}).add
	if format == manifestLines {
		add = lineWriter(out)
	}
	counts, err := archive.Index(ctx, r, archive.TreeLimits, add)
	return indexed{digest: hexOf(sum, out), counts: counts, err: err}
}

func hexOf(sum hash.Hash, out *bufio.Writer) string {
	_ = out.Flush() // an error comes again when the file is closed or compared
	return hex.EncodeToString(sum.Sum(nil))
}

// Each calls each for what the workspace was seeded with, in the order of the archive, in
// which a path may come twice: then the last counts. That the manifest is whole is known
// at the end: until nil is returned, nothing counts. An error of each ends it. The entry is
// the callee's to keep. A nil baseline holds nothing.
func (b *Baseline) Each(workspace string, each func(*ManifestEntry) error) error {
	if b == nil {
		return nil
	}
	dir := filepath.Join(workspace, baselineName)
	if err := isDir(dir); err != nil {
		return damagedManifest(err)
	}
	f, err := openRegular(filepath.Join(dir, b.manifestName()))
	if err != nil {
		return damagedManifest(err)
	}
	defer func() { _ = f.Close() }()
	sum := sha256.New()
	in := io.TeeReader(f, sum)
	switch b.Format {
	case manifestRecords:
		err = eachRecord(in, each)
	case manifestLines:
		err = eachLine(in, each)
	default:
		err = damagedManifest(fmt.Errorf("its format is %d", b.Format))
	}
	if err == nil && hex.EncodeToString(sum.Sum(nil)) != b.Manifest {
		err = damagedManifest(errors.New("its digest is another"))
	}
	return err
}

func damagedManifest(err error) error {
	return &api.Error{
		Kind: api.Conflict, Hint: "create a workspace anew from the project",
		Err: fmt.Errorf("the list of what it was seeded with is damaged: %w", err),
	}
}

// recordWriter writes a record for each member: a letter (f for a file, h for a hard link, d
// for a directory, l for a symlink); how many bytes of the path are those of the record
// before, and the others; mode and time. Then of a file its size, where its content begins,
// and its digest; of a hard link that, and the path of the file; of a symlink its target.
// Numbers are varints, the time signed; bytes have their number before them, a digest has
// none.
type recordWriter struct {
	out    *bufio.Writer
	last   string
	record []byte
}

// add writes the record of a member.
func (w *recordWriter) add(e archive.Entry) error {
	shared := 0
	for most := min(len(w.last), len(e.Path)); shared < most && w.last[shared] == e.Path[shared]; {
		shared++
	}
	r := binary.AppendUvarint(append(w.record[:0], letterOf(&e)), uint64(shared))
	r = appendText(r, e.Path[shared:])
	r = binary.AppendUvarint(r, uint64(e.Mode))
	r = binary.AppendVarint(r, e.ModTime)
	switch e.Kind {
	case archive.KindFile:
		r = binary.AppendUvarint(r, uint64(e.Size))
		r = binary.AppendUvarint(r, uint64(e.From))
		r = append(r, e.SHA256[:]...)
		if e.LinkTo != "" {
			r = appendText(r, e.LinkTo)
		}
	case archive.KindSymlink:
		r = appendText(r, e.Target)
	}
	w.last, w.record = e.Path, r
	_, err := w.out.Write(r)
	return err
}

func letterOf(e *archive.Entry) byte {
	switch {
	case e.LinkTo != "":
		return 'h'
	case e.Kind == archive.KindFile:
		return 'f'
	case e.Kind == archive.KindSymlink:
		return 'l'
	}
	return 'd'
}

func appendText(to []byte, text string) []byte {
	return append(binary.AppendUvarint(to, uint64(len(text))), text...)
}

// eachRecord reads what a recordWriter wrote, to the end.
func eachRecord(r io.Reader, each func(*ManifestEntry) error) error {
	in := recordReader{r: bufio.NewReaderSize(r, manifestSize)}
	for {
		e, err := in.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return damagedManifest(err)
		}
		if err := each(e); err != nil {
			return err
		}
	}
}

// recordReader takes numbers and texts. After the first that is not there, all are zero,
// and err says why.
type recordReader struct {
	r    *bufio.Reader
	last []byte // path
	err  error
}

// maxManifestText bounds a path or target in a manifest, in bytes: twice what the archive
// may have.
const maxManifestText = 8 << 10

var errBadRecord = errors.New("it has a record that is none")

// next reads a record. At the end it returns io.EOF.
func (r *recordReader) next() (*ManifestEntry, error) {
	letter, err := r.r.ReadByte()
	if err != nil {
		return nil, err
	}
	e := new(ManifestEntry)
	shared := r.number()
	if shared > uint64(len(r.last)) {
		return nil, errBadRecord
	}
	e.Path = r.text(r.last[:shared])
	mode := r.number()
	e.MTime = r.signed()
	switch letter {
	case 'f', 'h':
		e.Kind = string(archive.KindFile)
		r.file(e)
		if letter == 'h' {
			e.LinkTo = r.text(nil)
			if len(e.LinkTo) == 0 {
				return nil, r.bad()
			}
		}
	case 'l':
		e.Kind = string(archive.KindSymlink)
		e.Target = r.text(nil)
	case 'd':
		e.Kind = string(archive.KindDirectory)
	default:
		return nil, errBadRecord
	}
	if r.err != nil || mode > 0o7777 {
		return nil, r.bad()
	}
	e.Mode, r.last = uint32(mode), e.Path
	return e, nil
}

// bad is why a record is none. Where the file ends in one that is no end.
func (r *recordReader) bad() error {
	if errors.Is(r.err, io.EOF) {
		r.err = io.ErrUnexpectedEOF
	}
	return errors.Join(errBadRecord, r.err)
}

func (r *recordReader) file(e *ManifestEntry) {
	size, from := r.number(), r.number()
	if size > 1<<62 || from > 1<<62 {
		r.err = errors.Join(r.err, errBadRecord)
	}
	e.Size, e.From = int64(size), int64(from)
	if r.err == nil {
		_, r.err = io.ReadFull(r.r, e.SHA256[:])
	}
}

func (r *recordReader) number() (n uint64) {
	if r.err == nil {
		n, r.err = binary.ReadUvarint(r.r)
	}
	return n
}

func (r *recordReader) signed() (n int64) {
	if r.err == nil {
		n, r.err = binary.ReadVarint(r.r)
	}
	return n
}

// text reads a text that begins with what is given.
func (r *recordReader) text(before []byte) []byte {
	n := r.number()
	if n > maxManifestText {
		r.err = errors.Join(r.err, errBadRecord)
	}
	if r.err != nil {
		return nil
	}
	text := make([]byte, len(before)+int(n))
	copy(text, before)
	_, r.err = io.ReadFull(r.r, text[len(before):])
	return text
}
