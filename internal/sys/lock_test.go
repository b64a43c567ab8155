//go:build linux

package sys_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/pyro-sandbox/pyro/internal/sys"
)

func lockFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lock")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func tryLock(t *testing.T, path string) *sys.Lock {
	t.Helper()
	l, err := sys.TryLock(path)
	if err != nil {
		t.Fatalf("TryLock: %v", err)
	}
	t.Cleanup(func() { _ = l.Unlock() })
	return l
}

func checkLocked(t *testing.T, path string, want bool) {
	t.Helper()
	if got, err := sys.Locked(path); err != nil || got != want {
		t.Fatalf("Locked = %v, %v, want %v", got, err, want)
	}
}

func TestLockExcludes(t *testing.T) {
	path := lockFile(t)
	checkLocked(t, path, false)
	l := tryLock(t, path)
	checkLocked(t, path, true)
	if _, err := sys.TryLock(path); !errors.Is(err, sys.ErrLocked) {
		t.Fatalf("second TryLock = %v, want ErrLocked", err)
	}
	// The older kind of lock would have ended when Locked closed its descriptor.
	checkLocked(t, path, true)
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
	if err := l.Unlock(); err != nil {
		t.Fatalf("second Unlock: %v", err)
	}
	checkLocked(t, path, false)
	tryLock(t, path)
}

func TestLockDiesWithItsHolder(t *testing.T) {
	path := lockFile(t)
	holder := helper(t, "lock:"+path, nil)
	checkLocked(t, path, true)
	if _, err := sys.TryLock(path); !errors.Is(err, sys.ErrLocked) {
		t.Fatalf("TryLock = %v, want ErrLocked", err)
	}
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = holder.Wait()
	checkLocked(t, path, false)
	tryLock(t, path)
}

func TestLockIsNotInherited(t *testing.T) {
	path := lockFile(t)
	l := tryLock(t, path)
	helper(t, "wait", nil)
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
	checkLocked(t, path, false)
}

func TestReadersNeverDisturb(t *testing.T) {
	path := lockFile(t)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() { // ends when stop is closed
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := sys.Locked(path); err != nil {
					t.Errorf("Locked: %v", err)
					return
				}
			}
		})
	}
	for i := range 2000 {
		l, err := sys.TryLock(path)
		if err != nil {
			t.Errorf("TryLock %d: %v", i, err)
			break
		}
		_ = l.Unlock()
	}
	close(stop)
	readers.Wait()
}

func TestLockOfAnotherFile(t *testing.T) {
	replace := func(t *testing.T, path string) {
		other := path + ".new"
		if err := errors.Join(os.WriteFile(other, nil, 0o600), os.Rename(other, path)); err != nil {
			t.Fatal(err)
		}
	}
	for name, change := range map[string]func(*testing.T, string){
		"replaced": replace,
		"removed": func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := lockFile(t)
			l := tryLock(t, path)
			if err := l.Check(path); err != nil {
				t.Fatalf("Check before: %v", err)
			}
			change(t, path)
			if err := l.Check(path); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("Check = %v, want ErrNotExist", err)
			}
		})
	}
	t.Run("missing", func(t *testing.T) {
		if _, err := sys.TryLock(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("TryLock = %v, want ErrNotExist", err)
		}
	})
	t.Run("symbolic link", func(t *testing.T) {
		path := lockFile(t)
		link := path + ".link"
		if err := os.Symlink(path, link); err != nil {
			t.Fatal(err)
		}
		if _, err := sys.TryLock(link); err == nil {
			t.Fatal("TryLock followed a symbolic link")
		}
		if _, err := sys.Locked(link); err == nil {
			t.Fatal("Locked followed a symbolic link")
		}
	})
}
