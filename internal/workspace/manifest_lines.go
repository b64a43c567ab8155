package workspace

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"

	"github.com/pyro-sandbox/pyro/internal/archive"
)

// manifestLine is an entry of a manifest of lines.
type manifestLine struct {
	Path   []byte `json:"p"`
	Kind   string `json:"k"`
	Mode   uint32 `json:"m"`
	Size   int64  `json:"s,omitempty"`
	MTime  int64  `json:"t"`
	Target []byte `json:"l,omitempty"`
	LinkTo []byte `json:"h,omitempty"`
	SHA256 string `json:"d,omitempty"`
}

// lineWriter writes a manifest of lines, which Verify compares.
func lineWriter(out io.Writer) func(archive.Entry) error {
	lines := json.NewEncoder(out)
	return func(e archive.Entry) error {
		l := manifestLine{
			Path: []byte(e.Path), Kind: string(e.Kind), Mode: e.Mode, Size: e.Size, MTime: e.ModTime,
			Target: []byte(e.Target), LinkTo: []byte(e.LinkTo),
		}
		if e.Kind == archive.KindFile {
			l.SHA256 = hex.EncodeToString(e.SHA256[:])
		}
		return lines.Encode(l)
	}
}

// maxManifestLine bounds a line of a manifest, in bytes: a name and two targets of 4 KiB
// each in base64, and the rest.
const maxManifestLine = 32 << 10

// eachLine reads a manifest of lines, to the end.
func eachLine(r io.Reader, each func(*ManifestEntry) error) error {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 64<<10), maxManifestLine)
	for in.Scan() {
		var l manifestLine
		if err := json.Unmarshal(in.Bytes(), &l); err != nil {
			return damagedManifest(err)
		}
		e := &ManifestEntry{Path: l.Path, Kind: l.Kind, Mode: l.Mode, Size: l.Size, MTime: l.MTime, Target: l.Target, LinkTo: l.LinkTo}
		if l.Kind == string(archive.KindFile) {
			digest, err := hex.DecodeString(l.SHA256)
			if err != nil || len(digest) != len(e.SHA256) {
				return damagedManifest(errors.New("it has a digest that is none"))
			}
			e.SHA256 = [32]byte(digest)
		}
		if err := each(e); err != nil {
			return err
		}
	}
	if err := in.Err(); err != nil {
		return damagedManifest(err)
	}
	return nil
}
