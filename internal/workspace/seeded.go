package workspace

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/pyro-sandbox/pyro/api"
)

// maxManifestLine bounds a line of a manifest, in bytes: a name and two targets of 4 KiB
// each in base64, and the rest.
const maxManifestLine = 32 << 10

// Each calls each for what the workspace was seeded with, in the order of the archive, in
// which a path may come twice: then the last counts. That the manifest is whole is known
// at the end: until nil is returned, nothing counts. An error of each ends it. A nil
// baseline holds nothing.
func (b *Baseline) Each(workspace string, each func(*ManifestEntry) error) error {
	if b == nil {
		return nil
	}
	damaged := func(err error) error {
		return &api.Error{
			Kind: api.Conflict, Hint: "create a workspace anew from the project",
			Err: fmt.Errorf("the list of what it was seeded with is damaged: %w", err),
		}
	}
	dir := filepath.Join(workspace, baselineName)
	if err := isDir(dir); err != nil {
		return damaged(err)
	}
	f, err := openRegular(filepath.Join(dir, manifestName))
	if err != nil {
		return damaged(err)
	}
	defer func() { _ = f.Close() }()
	sum := sha256.New()
	in := bufio.NewScanner(io.TeeReader(f, sum))
	in.Buffer(make([]byte, 64<<10), maxManifestLine)
	for in.Scan() {
		var e ManifestEntry
		if err := json.Unmarshal(in.Bytes(), &e); err != nil {
			return damaged(err)
		}
		if err := each(&e); err != nil {
			return err
		}
	}
	if err := in.Err(); err != nil {
		return damaged(err)
	}
	if hex.EncodeToString(sum.Sum(nil)) != b.Manifest {
		return damaged(errors.New("its digest is another"))
	}
	return nil
}
