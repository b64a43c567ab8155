package programs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

const (
	lockName = "lock"

	// lockTime bounds the wait for another process that unpacks, which takes a
	// second on a slow machine.
	lockTime  = 30 * time.Second
	lockPause = 10 * time.Millisecond
)

// errDoubt is in the chain where files have to be read before they are believed.
var errDoubt = errors.New("not as it was unpacked")

// Unpack makes sure that the programs are in a directory below base, and returns it.
// It takes some system calls if they are, and a tenth of a second and 40 MB if they
// are not; of many processes at once one does it, and the others wait. base is made
// with this mode, or must be a directory that no other user can change, else the
// error is api.Denied.
func (b *Bundle) Unpack(ctx context.Context, base string, mode fs.FileMode) (string, error) {
	return b.ensure(ctx, base, mode, b.matches)
}

// Verify is Unpack that reads all that is there and compares digests.
func (b *Bundle) Verify(ctx context.Context, base string, mode fs.FileMode) (string, error) {
	return b.ensure(ctx, base, mode, b.compare)
}

// ensure believes what passes, and settles any doubt while it holds the lock.
func (b *Bundle) ensure(ctx context.Context, base string, mode fs.FileMode, believe func(dir string) error) (string, error) {
	if err := store.MakeCacheDir(base, mode); err != nil {
		return "", err
	}
	dir := filepath.Join(base, b.name)
	if err := believe(dir); !isDoubt(err) {
		return dir, err
	}
	lock, err := lockIn(ctx, base)
	if err != nil {
		return "", err
	}
	defer func() { _ = lock.Unlock() }()
	return dir, sys.Explain("unpack pyro's programs", b.settle(base, dir, believe))
}

func isDoubt(err error) bool { return errors.Is(err, errDoubt) || errors.Is(err, fs.ErrNotExist) }

// settle is called by one process at a time.
func (b *Bundle) settle(base, dir string, believe func(dir string) error) error {
	if err := believe(dir); !isDoubt(err) {
		return err // another was quicker
	}
	err := b.compare(dir)
	if err == nil {
		return b.stamp(dir)
	}
	if !isDoubt(err) {
		return err
	}
	if err := b.discard(base, dir); err != nil {
		return err
	}
	return Place(base, b.name, func(temp string) error {
		for _, p := range b.Programs {
			if err := b.unpack(p, filepath.Join(temp, p.Name)); err != nil {
				return err
			}
		}
		return b.stamp(temp)
	})
}

// discard takes away what is damaged, what killed processes have left, and what
// upgrades did. Programs that run keep their files.
func (b *Bundle) discard(base, dir string) error {
	entries, err := os.ReadDir(base)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), Unfinished) || isOutdated(e) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(base, e.Name())))
		}
	}
	old := filepath.Join(base, Unfinished+"old")
	switch renamed := os.Rename(dir, old); {
	case errors.Is(renamed, fs.ErrNotExist):
		return err
	case renamed != nil:
		return errors.Join(err, renamed)
	}
	return errors.Join(err, os.RemoveAll(old))
}

// keepTime is how long the programs of another version are kept. Whoever still starts
// that version unpacks them again.
const keepTime = 30 * 24 * time.Hour

func isOutdated(e fs.DirEntry) bool {
	info, err := e.Info()
	name, notHex := hex.DecodeString(e.Name())
	return err == nil && notHex == nil && len(name) == nameBytes && time.Since(info.ModTime()) > keepTime
}

// matches compares the files with the stamp. It reads none of them.
func (b *Bundle) matches(dir string) error {
	if err := owned(dir); err != nil {
		return err
	}
	now, err := b.look(dir)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, stampName)
	info, err := os.Lstat(file)
	if err != nil {
		return err
	}
	if err := check(file, info, info.Size()); err != nil {
		return fmt.Errorf("%w: %w", errDoubt, err)
	}
	then, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if string(then) != now {
		return errDoubt
	}
	return nil
}

// compare reads the files and compares their digests.
func (b *Bundle) compare(dir string) error {
	if err := owned(dir); err != nil {
		return err
	}
	if _, err := b.look(dir); err != nil {
		return err
	}
	for _, p := range b.Programs {
		got, err := digest(filepath.Join(dir, p.Name))
		if err != nil {
			return err
		}
		if got != p.SHA256 {
			return fmt.Errorf("%s: %w", p.Name, errDoubt)
		}
	}
	return nil
}

func digest(path string) (string, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|sys.NoFollow, 0)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// owned refuses a directory that is not ours alone, and a link in its place.
func owned(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if info.IsDir() && sys.Owner(info) == os.Geteuid() && info.Mode().Perm()&0o022 == 0 {
		return nil
	}
	return &api.Error{
		Kind: api.Denied, Op: "unpack pyro's programs", Hint: "find out who made it, and remove it",
		Err: fmt.Errorf("unsafe owner or mode on %s: %v of uid %d", dir, info.Mode(), sys.Owner(info)),
	}
}

// stampName is the file that says how the programs looked when they were believed.
const stampName = "stamp"

func (b *Bundle) stamp(dir string) error {
	text, err := b.look(dir)
	if err != nil {
		return err
	}
	temp := filepath.Join(dir, Unfinished+stampName)
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.WriteString(file, text)
	if err := errors.Join(err, file.Chmod(0o644), file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(temp, filepath.Join(dir, stampName))
}

// look describes the files by what changes whenever they do.
func (b *Bundle) look(dir string) (string, error) {
	var text strings.Builder
	for _, p := range b.Programs {
		path := filepath.Join(dir, p.Name)
		info, err := os.Lstat(path)
		if err != nil {
			return "", err
		}
		if err := check(path, info, p.Size); err != nil {
			return "", fmt.Errorf("%w: %w", errDoubt, err)
		}
		if info.Mode().Perm() != 0o755 {
			return "", fmt.Errorf("%s has mode %s: %w", path, info.Mode(), errDoubt)
		}
		_, _ = fmt.Fprintf(&text, "%s %s %d %d %d\n", p.Name, info.Mode(), sys.Inode(info), info.Size(), sys.Changed(info).UnixNano())
	}
	return text.String(), nil
}

// lockIn waits for the lock that whoever changes base holds. It is private, since
// every user who can open a file can keep others out of it.
func lockIn(ctx context.Context, base string) (*sys.Lock, error) {
	path := filepath.Join(base, lockName)
	ctx, cancel := context.WithTimeout(ctx, lockTime)
	defer cancel()
	tick := time.NewTicker(lockPause)
	defer tick.Stop()
	for {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|sys.NoFollow, 0o600)
		if err != nil {
			return nil, err
		}
		_ = file.Close()
		lock, err := sys.TryLock(path)
		if err == nil || !errors.Is(err, sys.ErrLocked) && !errors.Is(err, fs.ErrNotExist) {
			return lock, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, &api.Error{
				Kind: api.Timeout, Op: "unpack pyro's programs", Hint: "another pyro is unpacking them: try again",
				Err: fmt.Errorf("lock %s: %w", path, context.Cause(ctx)),
			}
		}
	}
}
