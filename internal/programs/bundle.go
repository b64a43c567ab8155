package programs

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"

	"github.com/klauspost/compress/zstd"
)

// Index says what a bundle holds. It lies beside the programs as index.json.
type Index struct {
	Version  string    `json:"version"` // of pyro, for all of them
	GVisor   string    `json:"gvisor"`  // the version of the module gvisor.dev/gvisor in pyro-runsc
	Programs []Program `json:"programs"`
}

// Program is one program of a bundle.
type Program struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`   // in bytes, unpacked
	SHA256 string `json:"sha256"` // of what is unpacked, in hex
}

// Names in the directory of a bundle.
const (
	IndexName = "index.json"
	Packed    = ".zst" // ends the name of a compressed program
)

// maxProgram bounds one program, unpacked.
const maxProgram = 512 << 20

// nameBytes are as many of a digest as name a directory.
const nameBytes = 16

// Bundle is a set of programs, compressed.
type Bundle struct {
	Index

	files fs.FS
	name  string // of the directory it is unpacked to: the digest of the index
}

// Carried returns what this pyro carries, nil if it was built without.
func Carried() (*Bundle, error) {
	if !AreCarried {
		return nil, nil
	}
	dir, err := fs.Sub(embedded, carriedDir)
	if err != nil {
		return nil, err
	}
	return Open(dir)
}

// Open reads the index of a bundle.
func Open(files fs.FS) (*Bundle, error) {
	data, err := fs.ReadFile(files, IndexName)
	if err != nil {
		return nil, err
	}
	b := &Bundle{files: files}
	if err := json.Unmarshal(data, &b.Index); err != nil {
		return nil, fmt.Errorf("%s: %w", IndexName, err)
	}
	sum := sha256.Sum256(data)
	b.name = hex.EncodeToString(sum[:nameBytes])
	return b, nil
}

// unpack writes one program, and fails if what came out is not what the index says.
func (b *Bundle) unpack(p Program, path string) error {
	packed, err := b.files.Open(p.Name + Packed)
	if err != nil {
		return err
	}
	defer func() { _ = packed.Close() }()
	plain, err := zstd.NewReader(packed, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return err
	}
	defer plain.Close()
	sum := sha256.New()
	if err := Write(path, io.TeeReader(io.LimitReader(plain, maxProgram), sum)); err != nil {
		return fmt.Errorf("unpack %s: %w", p.Name, err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != p.SHA256 {
		return fmt.Errorf("unpack %s: its SHA-256 is %s, not %s: this pyro is damaged", p.Name, got, p.SHA256)
	}
	return nil
}
