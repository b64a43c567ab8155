package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/fault"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

const (
	recordName = "record.json"
	layout     = 1       // of the file around the record
	maxRecord  = 1 << 20 // bytes, of the whole file
	usualSize  = 2 << 10 // bytes, more than most files here have
)

// envelope is record.json. SHA256 is that of sealed, the same without it.
type envelope struct {
	Layout int             `json:"layout"`
	SHA256 string          `json:"sha256"`
	Record json.RawMessage `json:"record"`
}

type sealed struct {
	Layout int             `json:"layout"`
	Record json.RawMessage `json:"record"`
}

// isForeign reports whether another version of pyro wrote the file. Where the sum
// is right for our layout, the number itself was damaged.
func (e *envelope) isForeign() bool {
	if e.Layout == layout || e.SHA256 == "" {
		return false
	}
	sum, err := digest(e.Record)
	return err != nil || sum != e.SHA256
}

// errLayout marks a record of another version of pyro, which is not broken.
var errLayout = errors.New("unknown layout")

func digest(record json.RawMessage) (string, error) {
	data, err := json.Marshal(sealed{Layout: layout, Record: record})
	return fmt.Sprintf("%x", sha256.Sum256(data)), err
}

// encodeRecord wraps a JSON object into what record.json holds.
func encodeRecord(payload []byte) ([]byte, error) {
	if trimmed := bytes.TrimSpace(payload); len(trimmed) == 0 || trimmed[0] != '{' {
		return nil, errors.New("record is no JSON object")
	}
	sum, err := digest(payload)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(envelope{Layout: layout, SHA256: sum, Record: payload})
	if err != nil {
		return nil, err
	}
	if len(data) >= maxRecord {
		return nil, fmt.Errorf("record has %d bytes, allowed are %d", len(data), maxRecord)
	}
	return append(data, '\n'), nil
}

// decodeRecord returns the record that encodeRecord wrapped, as a part of data. It
// accepts no other form of the same JSON, so that no byte of the file can change
// unseen, and parses nothing: whoever lists workspaces reads a thousand of them.
func decodeRecord(data []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(data, []byte(beforeSum))
	record, ok1 := bytes.CutPrefix(rest[min(len(rest), sumLength):], []byte(beforeRecord))
	record, ok2 := bytes.CutSuffix(record, []byte(afterRecord))
	if !ok || !ok1 || !ok2 {
		return nil, whyNoRecord(data)
	}
	h := sha256.New()
	h.Write([]byte(sealedBefore))
	h.Write(record)
	h.Write([]byte(sealedAfter))
	if fmt.Sprintf("%x", h.Sum(nil)) != string(rest[:sumLength]) {
		return nil, whyNoRecord(data)
	}
	return record, nil
}

// The parts of record.json, and of what its sum is made from, around sum and record.
var (
	beforeSum    = fmt.Sprintf(`{"layout":%d,"sha256":"`, layout)
	beforeRecord = `","record":`
	afterRecord  = "}\n"
	sealedBefore = fmt.Sprintf(`{"layout":%d,"record":`, layout)
	sealedAfter  = "}"
)

const sumLength = 2 * sha256.Size

// whyNoRecord says what is wrong with a file that is no record.
func whyNoRecord(data []byte) error {
	var e envelope
	if err := json.Unmarshal(data, &e); err != nil {
		return fmt.Errorf("%d bytes that are no record: %w", len(data), err)
	}
	if e.isForeign() {
		return fmt.Errorf("%w %d, this version knows %d", errLayout, e.Layout, layout)
	}
	return errors.New("checksum does not match")
}

// Read returns the record of a workspace as it was last written, whether it runs or
// not. A workspace that does not exist, or whose record was never written, is
// api.NotFound; a record of another version of pyro api.Unsupported; one that is
// empty, cut, changed or too long api.Internal with the id.
func (s *Store) Read(id string) ([]byte, error) {
	if err := api.CheckID(id); err != nil {
		return nil, err
	}
	data, err := readBounded(filepath.Join(s.Path(id), recordName), maxRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, notFound(id)
	}
	var payload []byte
	if err == nil {
		payload, err = decodeRecord(data)
	}
	switch {
	case errors.Is(err, errLayout):
		return nil, &api.Error{Kind: api.Unsupported, Op: "read record", ID: id, Hint: "use the version of pyro that made the workspace", Err: err}
	case sys.IsDenied(err):
		return nil, sys.Explain("read record "+id, err)
	case err != nil:
		return nil, &api.Error{Kind: api.Internal, Op: "read record", ID: id, Hint: "`pyro workspace delete " + id + "` removes it", Err: err}
	}
	return payload, nil
}

// readBounded reads a regular file of at most limit bytes.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|sys.NoFollow, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var data bytes.Buffer
	data.Grow(usualSize) // one read(2) for nearly all of them
	_, err = data.ReadFrom(io.LimitReader(f, limit+1))
	if err == nil && int64(data.Len()) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", filepath.Base(path), limit)
	}
	return data.Bytes(), err
}

// WriteRecord replaces the record by payload, a JSON object below 1 MiB. When it
// returns nil the record survives a power cut, in a volatile workspace the death of
// the process; when it fails the old record is still there. A record of another
// version of pyro is not replaced.
func (w *Workspace) WriteRecord(payload []byte) error {
	data, err := encodeRecord(payload)
	if err == nil && w.trash != "" {
		err = errors.New("the workspace was removed")
	}
	if err != nil {
		return &api.Error{Kind: api.Internal, Op: "write record", ID: w.id, Err: err}
	}
	if _, err := w.store.Read(w.id); errors.Is(err, api.Unsupported) {
		return err
	}
	return sys.Explain("write record "+w.id, replace(w.store.disk, filepath.Join(w.Path(), recordName), data, w.survive))
}

// replace gives a file new contents: all of them or none. After an error nothing of
// the new ones is left, such as on a full disk, where the room is wanted.
func replace(d disk, path string, data []byte, survive durability) error {
	tmp := path + ".tmp" // one writer: the lock's holder
	fault.Hit("record-before-write")
	if err := fault.Error("record-write"); err != nil {
		return err
	}
	if err := write(d, tmp, os.O_TRUNC, data, survive); err != nil {
		if info, statErr := os.Lstat(tmp); statErr == nil && info.Mode().IsRegular() { // anything else is not ours
			_ = os.Remove(tmp) // or it is overwritten, or swept
		}
		return err
	}
	fault.Hit("record-before-rename")
	if err := d.Rename(tmp, path); err != nil {
		return err
	}
	fault.Hit("record-after-rename")
	if survive != powerCut {
		return nil
	}
	return d.SyncDir(filepath.Dir(path))
}
