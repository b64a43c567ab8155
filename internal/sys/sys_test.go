//go:build linux

package sys_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

func TestSocketpair(t *testing.T) {
	ours, theirs, err := sys.Socketpair()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ours.Close() }()
	if uid, err := sys.PeerUID(ours); err != nil || uid != os.Geteuid() {
		t.Errorf("PeerUID = %d, %v, want %d", uid, err, os.Geteuid())
	}
	// A deadline works only with the runtime's poller.
	if err := ours.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := ours.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("Read = %v, want a deadline", err)
	}
	_ = ours.SetReadDeadline(time.Time{})

	cmd, err := startHelper("echo", func(cmd *exec.Cmd) { cmd.ExtraFiles = []*os.File{theirs} })
	_ = theirs.Close()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(ours, "hello"); err != nil {
		t.Fatal(err)
	}
	if err := ours.(*net.UnixConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	// End of file comes only if the child's end was not inherited by anybody else.
	if got, err := io.ReadAll(ours); err != nil || string(got) != "hello" {
		t.Fatalf("echo = %q, %v", got, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
}

func TestPeerUIDOfNoUnixSocket(t *testing.T) {
	one, two := net.Pipe()
	defer func() { _, _ = one.Close(), two.Close() }()
	if uid, err := sys.PeerUID(one); err == nil {
		t.Fatalf("PeerUID of a pipe = %d", uid)
	}
}

func TestErrno(t *testing.T) {
	for name, c := range map[string]struct {
		is    func(error) bool
		yes   []error
		never []error
	}{
		"no space":  {sys.IsNoSpace, []error{syscall.ENOSPC, syscall.EDQUOT}, []error{syscall.EIO, nil}},
		"denied":    {sys.IsDenied, []error{syscall.EACCES, syscall.EPERM}, []error{syscall.EROFS, nil}},
		"busy":      {sys.IsBusy, []error{syscall.EBUSY}, []error{syscall.EAGAIN, nil}},
		"not empty": {sys.IsNotEmpty, []error{syscall.ENOTEMPTY, syscall.EEXIST}, []error{syscall.ENOENT, nil}},
		"no device": {sys.IsNoDevice, []error{syscall.ENODEV}, []error{syscall.ENOENT, nil}},
		"hang-up":   {sys.IsHangup, []error{syscall.EPIPE, syscall.ECONNRESET}, []error{io.EOF, nil}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, err := range c.yes {
				if !c.is(fmt.Errorf("wrapped: %w", &os.PathError{Err: err})) {
					t.Errorf("%v: no", err)
				}
			}
			for _, err := range c.never {
				if c.is(err) {
					t.Errorf("%v: yes", err)
				}
			}
		})
	}
}

func TestExplain(t *testing.T) {
	taken := &api.Error{Kind: api.Exists, Hint: "choose another", Err: fs.ErrExist}
	for name, c := range map[string]struct {
		err  error
		kind api.Kind
		hint bool
	}{
		"disk full":  {syscall.ENOSPC, api.Unavailable, true},
		"denied":     {syscall.EPERM, api.Denied, true},
		"read-only":  {syscall.EROFS, api.Denied, true},
		"descriptor": {syscall.EMFILE, api.Unavailable, true},
		"memory":     {syscall.ENOMEM, api.Unavailable, true},
		"other":      {io.ErrUnexpectedEOF, api.Internal, false},
		"ours":       {fmt.Errorf("deep: %w", taken), api.Exists, true},
	} {
		t.Run(name, func(t *testing.T) {
			err := sys.Explain("write record", c.err)
			if api.KindOf(err) != c.kind || (api.HintOf(err) != "") != c.hint || !errors.Is(err, c.err) {
				t.Fatalf("Explain = %v, kind %v, hint %q", err, api.KindOf(err), api.HintOf(err))
			}
		})
	}
	if err := sys.Explain("x", nil); err != nil {
		t.Fatalf("Explain(nil) = %v", err)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	if err := sys.SyncDir(dir); err != nil {
		t.Errorf("SyncDir: %v", err)
	}
	if err := sys.SyncDir(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("SyncDir of nothing = %v", err)
	}
	if n, err := sys.FreeBytes(dir); err != nil || n == 0 {
		t.Errorf("FreeBytes = %d, %v", n, err)
	}
	if _, err := sys.FreeBytes(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("FreeBytes of nothing = %v", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := sys.Owner(info); got != os.Geteuid() {
		t.Errorf("Owner = %d, want %d", got, os.Geteuid())
	}
	if got, want := sys.Inode(info), info.Sys().(*syscall.Stat_t).Ino; got != want {
		t.Errorf("Inode = %d, want %d", got, want)
	}
}

func TestUmask(t *testing.T) {
	before := sys.Umask(0o077)
	defer sys.Umask(before)
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode = %v, %v, want 0600", info.Mode(), err)
	}
	if got := sys.Umask(before); got != 0o077 {
		t.Fatalf("Umask returned %v, want 0077", got)
	}
}
