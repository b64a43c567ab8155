package store

import (
	"io"
	"os"

	"github.com/pyro-sandbox/pyro/internal/sys"
)

// disk is what workspaces are made, written and removed through; the tests have one
// that loses power.
type disk interface {
	// Open opens a file for writing, with the flags of os.OpenFile and mode 0600.
	Open(path string, flag int) (file, error)
	// Mkdir makes a directory of mode 0700.
	Mkdir(path string) error
	// RemoveTree removes base/name and all below it.
	RemoveTree(base, name string) error
	// Rename replaces to by from; it survives a power cut after SyncDir.
	Rename(from, to string) error
	// SyncDir makes names in a directory survive a power cut.
	SyncDir(path string) error
}

// file is an open file; what was written survives a power cut after Sync.
type file interface {
	io.WriteCloser
	Sync() error
}

type osDisk struct{}

func (osDisk) Open(path string, flag int) (file, error) {
	return os.OpenFile(path, flag|sys.NoFollow, 0o600)
}

func (osDisk) Mkdir(path string) error { return os.Mkdir(path, 0o700) }

func (osDisk) RemoveTree(base, name string) error { return RemoveTree(base, name) }

func (osDisk) Rename(from, to string) error { return os.Rename(from, to) }

func (osDisk) SyncDir(path string) error { return sys.SyncDir(path) }

// durability says what a write has to survive.
type durability int

const (
	powerCut     durability = iota // needs fsync
	processDeath                   // the kernel's memory is enough
)

// write writes data to a new or truncated or appended file, as flag says.
func write(d disk, path string, flag int, data []byte, survive durability) error {
	f, err := d.Open(path, flag|os.O_WRONLY|os.O_CREATE)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && survive == powerCut {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}
