package programs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// contents are the programs of the bundle that the tests unpack.
var contents = map[string]string{"pyro-agent": "the agent", "pyro-runsc": strings.Repeat("a longer one ", 1000)}

func pack(t *testing.T, version string) *Bundle {
	t.Helper()
	packer, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{}
	index := Index{Version: version}
	for _, name := range []string{"pyro-agent", "pyro-runsc"} {
		sum := sha256.Sum256([]byte(contents[name]))
		index.Programs = append(index.Programs, Program{Name: name, Size: int64(len(contents[name])), SHA256: hex.EncodeToString(sum[:])})
		files[name+Packed] = &fstest.MapFile{Data: packer.EncodeAll([]byte(contents[name]), nil)}
	}
	data, err := json.Marshal(index)
	if err != nil {
		t.Fatal(err)
	}
	files[IndexName] = &fstest.MapFile{Data: data}
	b, err := Open(files)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// place is a directory that only we can change, as a cache is.
func place(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "made", "here")
}

func unpack(t *testing.T, b *Bundle, base string) string {
	t.Helper()
	dir, err := b.Unpack(t.Context(), base, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	whole(t, dir)
	return dir
}

// whole wants the programs in dir as they were packed.
func whole(t *testing.T, dir string) {
	t.Helper()
	for name, want := range contents {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(data) != want {
			t.Errorf("%s reads %.20q, %v", name, data, err)
		}
		if err := Check(filepath.Join(dir, name), int64(len(want))); err != nil {
			t.Error(err)
		}
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

// only wants nothing in base but the lock and these.
func only(t *testing.T, base string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(base)
	if err != nil || len(entries) != 1+len(want) {
		t.Errorf("in %s are %v, %v; want %v and the lock", base, entries, err, want)
	}
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return sys.Inode(info)
}

func TestUnpackOnce(t *testing.T) {
	old := sys.Umask(0o077)
	defer sys.Umask(old)
	b, base := pack(t, "1"), place(t)
	dir := unpack(t, b, base)
	before := inode(t, filepath.Join(dir, "pyro-runsc"))
	if again := unpack(t, b, base); again != dir || inode(t, filepath.Join(dir, "pyro-runsc")) != before {
		t.Errorf("it was unpacked again, into %s after %s", again, dir)
	}
	only(t, base, dir)
}

func TestUnpackBesideAnotherVersion(t *testing.T) {
	base := place(t)
	first, second := unpack(t, pack(t, "1"), base), unpack(t, pack(t, "2"), base)
	if first == second {
		t.Fatalf("two bundles lie in %s", first)
	}
	whole(t, first)
	only(t, base, first, second)
}

func TestUnpackRemovesWhatIsLongOutdated(t *testing.T) {
	base := place(t)
	old, recent := unpack(t, pack(t, "1"), base), unpack(t, pack(t, "2"), base)
	long := time.Now().Add(-2 * keepTime)
	if err := os.Chtimes(old, long, long); err != nil {
		t.Fatal(err)
	}
	only(t, base, recent, unpack(t, pack(t, "3"), base))
}

func TestUnpackAtTheSameTime(t *testing.T) {
	b, base := pack(t, "1"), place(t)
	const many = 16
	var all sync.WaitGroup
	errs := make([]error, many)
	start := make(chan struct{})
	for i := range many {
		all.Go(func() { // ends with the call
			<-start
			_, errs[i] = b.Unpack(t.Context(), base, 0o755)
		})
	}
	close(start)
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	only(t, base, unpack(t, b, base))
}

// What a process that was killed left in the middle is in nobody's way.
func TestUnpackAfterAKill(t *testing.T) {
	b, base := pack(t, "1"), place(t)
	if err := os.MkdirAll(filepath.Join(base, Unfinished+"123", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(base, Unfinished+"old", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	only(t, base, unpack(t, b, base))
}

func TestUnpackReplacesWhatIsDamaged(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"another byte":     func(path string) error { return os.WriteFile(path, []byte("THE agent"), 0o755) },
		"cut":              func(path string) error { return os.Truncate(path, 3) },
		"gone":             os.Remove,
		"for all to write": func(path string) error { return os.Chmod(path, 0o757) },
		"not executable":   func(path string) error { return os.Chmod(path, 0o600) },
		"a link":           func(path string) error { return errors.Join(os.Remove(path), os.Symlink("/bin/true", path)) },
		"a directory":      func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o755)) },
	} {
		t.Run(name, func(t *testing.T) {
			b, base := pack(t, "1"), place(t)
			dir := unpack(t, b, base)
			if err := damage(filepath.Join(dir, "pyro-agent")); err != nil {
				t.Fatal(err)
			}
			unpack(t, b, base)
			only(t, base, dir)
			if err := b.matches(dir); err != nil {
				t.Errorf("and then: %v", err)
			}
		})
	}
}

// A backup that was restored, or a file system that was moved, has other inodes and
// times, and the right content.
func TestUnpackKeepsWhatOnlyLooksOther(t *testing.T) {
	b, base := pack(t, "1"), place(t)
	dir := unpack(t, b, base)
	path := filepath.Join(dir, "pyro-agent")
	if err := errors.Join(os.Remove(path), os.WriteFile(path, []byte(contents["pyro-agent"]), 0o755)); err != nil {
		t.Fatal(err)
	}
	if err := b.matches(dir); !errors.Is(err, errDoubt) {
		t.Fatalf("another file raises no doubt: %v", err)
	}
	before := inode(t, path)
	unpack(t, b, base)
	if inode(t, path) != before {
		t.Error("it was unpacked again")
	}
	if err := b.matches(dir); err != nil {
		t.Errorf("the stamp was not made anew: %v", err)
	}
}

func TestUnpackWithoutAStamp(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"gone":    os.Remove,
		"empty":   func(path string) error { return os.Truncate(path, 0) },
		"a link":  func(path string) error { return errors.Join(os.Remove(path), os.Symlink("pyro-agent", path)) },
		"foreign": func(path string) error { return os.Chmod(path, 0o666) },
	} {
		t.Run(name, func(t *testing.T) {
			b, base := pack(t, "1"), place(t)
			dir := unpack(t, b, base)
			if err := spoil(filepath.Join(dir, stampName)); err != nil {
				t.Fatal(err)
			}
			unpack(t, b, base)
			if err := b.matches(dir); err != nil {
				t.Error(err)
			}
		})
	}
}

// A change that leaves no trace in what the stamp knows is found by reading.
func TestVerifyReads(t *testing.T) {
	b, base := pack(t, "1"), place(t)
	dir := unpack(t, b, base)
	if err := os.WriteFile(filepath.Join(dir, "pyro-agent"), []byte("THE agent"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := b.stamp(dir); err != nil {
		t.Fatal(err)
	}
	if err := b.matches(dir); err != nil {
		t.Fatalf("the stamp does not hide it: %v", err)
	}
	if _, err := b.Verify(t.Context(), base, 0o755); err != nil {
		t.Fatal(err)
	}
	whole(t, dir)
}

func TestUnpackRefusesWhatWasPlanted(t *testing.T) {
	for name, plant := range map[string]func(base, dir string) error{
		"base for all to write": func(base, _ string) error { return os.Chmod(base, 0o777) },
		"base for a group":      func(base, _ string) error { return os.Chmod(base, 0o775) },
		"base by another user":  func(base, _ string) error { return os.Chown(base, 1234567, 0) },
		"base by way of a link": func(base, _ string) error { return moved(base) },
		"directory for all":     func(_, dir string) error { return os.Chmod(dir, 0o777) },
		"directory by another":  func(_, dir string) error { return os.Chown(dir, 1234567, 0) },
		"directory is a link":   func(_, dir string) error { return moved(dir) },
		"directory is a file":   func(_, dir string) error { return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o644)) },
		"lock is a link": func(base, dir string) error {
			return errors.Join(os.Remove(filepath.Join(base, lockName)), os.Symlink("/etc/passwd", filepath.Join(base, lockName)), os.RemoveAll(dir))
		},
		"above it all may write": func(base, _ string) error { return os.Chmod(filepath.Dir(base), 0o777) },
	} {
		t.Run(name, func(t *testing.T) {
			b, base := pack(t, "1"), place(t)
			if err := plant(base, unpack(t, b, base)); err != nil {
				if os.Geteuid() != 0 && strings.Contains(name, "another") {
					return // only root can give a file away; there is nothing to refuse
				}
				t.Fatal(err)
			}
			dir, err := b.Unpack(t.Context(), base, 0o755)
			if err == nil || api.HintOf(err) == "" && !strings.Contains(name, "lock") {
				t.Errorf("got %s, %v; want a refusal with a hint", dir, err)
			}
		})
	}
}

// moved renames a directory and leaves a link in its place.
func moved(dir string) error {
	return errors.Join(os.Rename(dir, dir+".away"), os.Symlink(filepath.Base(dir)+".away", dir))
}

func TestUnpackOfADamagedBundle(t *testing.T) {
	b, base := pack(t, "1"), place(t)
	b.Programs[0].SHA256 = strings.Repeat("0", 64)
	if dir, err := b.Unpack(t.Context(), base, 0o755); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("got %s, %v", dir, err)
	}
	only(t, base)
}

func TestUnpackWaitsNoLongerThanItsCaller(t *testing.T) {
	b, base := pack(t, "1"), place(t)
	if err := os.MkdirAll(base, 0o755); err != nil {
		t.Fatal(err)
	}
	held, err := lockIn(t.Context(), base)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = held.Unlock() }()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Unpack(ctx, base, 0o755); api.KindOf(err) != api.Timeout || api.HintOf(err) == "" {
		t.Errorf("got %v", err)
	}
}

func TestOrdinaryBuildCarriesNothing(t *testing.T) {
	if b, err := Carried(); (b != nil) != AreCarried || err != nil {
		t.Errorf("got %v, %v", b, err)
	}
}
