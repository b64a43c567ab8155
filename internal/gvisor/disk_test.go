package gvisor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/enginetest"
	"github.com/pyro-sandbox/pyro/internal/programs"
	"github.com/pyro-sandbox/pyro/internal/testgate"
)

func (b *bench) subject() enginetest.Subject {
	return enginetest.Subject{Engine: b.engine, Spec: b.spec, Isolated: true}
}

// aDirectory is one that whoever runs the test owns, with these files in it.
func aDirectory(t *testing.T, files ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "image")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		put(t, filepath.Join(dir, name), "x")
	}
	return dir
}

// TestDiskFormatIsThatOfTheRunningHelper upgrades the helper under a sandbox.
func TestDiskFormatIsThatOfTheRunningHelper(t *testing.T) {
	helper := filepath.Join(t.TempDir(), "helper")
	install := func(version string) {
		t.Helper()
		put(t, helper+".new", "#!/bin/sh\necho pyro-runsc "+version+"\n")
		chmod(t, helper+".new", 0o755)
		if err := os.Rename(helper+".new", helper); err != nil {
			t.Fatal(err)
		}
	}
	format := func(e *Engine) string {
		t.Helper()
		got, err := e.DiskFormat(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	install("v1")
	old := New(helper, "")
	if _, err := old.helper.open(); err != nil { // as the first Start does
		t.Fatal(err)
	}
	install("v2")
	got := []string{format(old), format(New(helper, "")), format(old)}
	if diff := cmp.Diff([]string{"gvisor-fscheckpoint/v1", "gvisor-fscheckpoint/v2", "gvisor-fscheckpoint/v1"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLendWantsAnEmptyDirectory(t *testing.T) {
	file := filepath.Join(aDirectory(t, "f"), "f")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(aDirectory(t), link); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"full": aDirectory(t, "f"), "file": file, "link": link, "missing": file + "x",
	} {
		if dir, err := lend(path, testUID()); err == nil {
			_ = dir.Close()
			t.Errorf("%s: lent", name)
		}
	}
}

func TestTakeBack(t *testing.T) {
	for name, test := range map[string]struct {
		files []string
		spoil func(dir string) error
		says  string
	}{
		"whole":     {diskForm.files, nil, ""},
		"one short": {diskForm.files[1:], nil, "expected were"},
		"one more":  {append([]string{"extra"}, diskForm.files...), nil, "expected were"},
		"symlink": {diskForm.files[1:], func(dir string) error {
			return os.Symlink("/etc/passwd", filepath.Join(dir, diskForm.files[0]))
		}, "fscheckpoint.pb: "},
		"hard link": {diskForm.files, func(dir string) error {
			return os.Link(filepath.Join(dir, diskForm.files[0]), dir+".elsewhere")
		}, "2 links"},
		"directory": {diskForm.files[1:], func(dir string) error {
			return os.Mkdir(filepath.Join(dir, diskForm.files[0]), 0o755)
		}, "unsafe"},
	} {
		t.Run(name, func(t *testing.T) {
			path := aDirectory(t)
			dir, err := lend(path, testUID())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = dir.Close() }()
			for _, f := range test.files {
				put(t, filepath.Join(path, f), "x")
				if err := os.Lchown(filepath.Join(path, f), testUID(), -1); err != nil {
					t.Fatal(err)
				}
			}
			if test.spoil != nil {
				if err := test.spoil(path); err != nil {
					t.Fatal(err)
				}
			}
			err = diskForm.takeBack(dir, testUID(), true)
			if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want %q", err, test.says)
			}
			if err == nil {
				ours(t, path, fs.ModeDir|imageDirMode)
				ours(t, filepath.Join(path, diskForm.files[2]), imageFileMode)
			}
		})
	}
}

func ours(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := programs.Check(path, info.Size()); info.Mode().IsRegular() && err != nil || info.Mode() != mode {
		t.Errorf("%s has mode %s, want %s; %v", path, info.Mode(), mode, err)
	}
}

func TestOpenImageRefuses(t *testing.T) {
	closed := func(name string, mode fs.FileMode) func(dir string) error {
		return func(dir string) error { return os.Chmod(filepath.Join(dir, name), mode) }
	}
	for name, test := range map[string]struct {
		spoil func(dir string) error
		root  bool // only for root, whose sandboxes are other users
		says  string
	}{
		"as it should be":  {nil, false, ""},
		"a file missing":   {func(dir string) error { return os.Remove(filepath.Join(dir, "multitar.img")) }, false, "multitar.img: no such file"},
		"larger than disk": {func(dir string) error { return os.Truncate(filepath.Join(dir, "pages.img"), 2049<<20) }, false, "it holds 2049 MiB"},
		"directory closed": {closed("", 0o700), true, "cannot search"},
		"file closed":      {closed("pages_meta.img", 0o600), true, "pages_meta.img: mode -rw-------"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.root && os.Geteuid() != 0 {
				test.says = ""
			}
			spec := aSpec()
			spec.Disk = aDirectory(t, diskForm.files...)
			chmod(t, spec.Disk, imageDirMode)
			if test.spoil != nil {
				if err := test.spoil(spec.Disk); err != nil {
					t.Fatal(err)
				}
			}
			img, err := openImage(spec)
			img.close()
			if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Fatalf("got %v, want %q", err, test.says)
			}
			if err != nil && (!errors.Is(err, api.Invalid) || api.HintOf(err) == "" || !strings.HasPrefix(err.Error(), "saved disk "+spec.Disk)) {
				t.Errorf("%v of kind %s with hint %q", err, api.KindOf(err), api.HintOf(err))
			}
		})
	}
}

func TestExplainDamagedDisk(t *testing.T) {
	const mounting = "running container: starting sandbox: failed to setupFS: mounting root with overlay: "
	for name, test := range map[string]struct{ disk, said, want string }{
		"manifest":    {"/d", mounting + "failed to decode proto manifest", "saved disk /d: failed to decode proto manifest"},
		"with a dump": {"/d", mounting + "opts: {A:{B}\n C:{}}: bad\x1btar", "saved disk /d: bad?tar"},
		"much":        {"/d", mounting + strings.Repeat("x", 1000), "saved disk /d: " + strings.Repeat("x", maxWhy)},
		"sentry died": {"/d", `urpc method "containerManager.StartRoot" failed: EOF`, "saved disk /d: the sandbox died while it was loaded: a larger disk may be needed"},
		"other":       {"/d", "no such device", "pyro-runsc ended before the agent answered: no such device"},
		"no disk":     {"", mounting + "no space", "pyro-runsc ended before the agent answered: " + mounting + "no space"},
	} {
		t.Run(name, func(t *testing.T) {
			failed := hello(128, test.said, errors.New("EOF"))
			failed.disk = test.disk
			if diff := cmp.Diff(test.want, explain(failed).Error()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSaveFailed(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		said string
		kind api.Kind
		text string
	}{
		"disk full": {errors.New("exit status 128"), "write: no space left on device", api.Unavailable, "save disk: exit status 128: write: no space left on device"},
		"canceled":  {errors.Join(context.Canceled, errors.New("signal: killed")), "", api.Canceled, "save disk: context canceled"},
		"too slow":  {fmt.Errorf("run: %w", context.DeadlineExceeded), "", api.Timeout, "save disk: context deadline exceeded"},
		"other":     {errors.New("exit status 128"), "", api.Internal, "save disk: exit status 128"},
	} {
		t.Run(name, func(t *testing.T) {
			err := diskForm.failed(test.err, test.said)
			if api.KindOf(err) != test.kind || err.Error() != test.text {
				t.Errorf("%v of kind %s", err, api.KindOf(err))
			}
		})
	}
}

// TestSavedDiskGoesByDescriptor keeps a disk where the sandbox's user cannot go, and
// looks at what the sandbox's processes have open of it.
func TestSavedDiskGoesByDescriptor(t *testing.T) {
	b := newBench(t)
	dir := aDirectory(t)
	if err := os.Chmod(filepath.Dir(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := enginetest.Start(t, b.subject()).(engine.DiskSnapshotter).SaveDisk(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	box := enginetest.StartFrom(t, b.subject(), dir).(*sandbox)
	seen := 0
	for _, p := range box.adopt() {
		fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.PID))
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range fds {
			target, err := os.Readlink(fd)
			if err != nil {
				continue // closed meanwhile
			}
			seen++
			if strings.HasPrefix(target, filepath.Dir(dir)) && target != filepath.Join(dir, "pages.img") {
				t.Errorf("process %d has %s open", p.PID, target)
			}
		}
	}
	if seen < 10 {
		t.Errorf("only %d descriptors were seen", seen)
	}
}

// TestStampSeesMappedPages writes to one page again and again through a mapping, of
// which the kernel notes the first time only.
func TestStampSeesMappedPages(t *testing.T) {
	_, err := os.Stat("/usr/bin/python3")
	testgate.Require(t, testgate.Tool, err)
	box := enginetest.Start(t, newBench(t).subject())
	enginetest.Shell(t, box, "mkfifo /run/turn /run/done")
	go func() { // ends with the sandbox
		_, _ = enginetest.TryShell(t.Context(), box, `cd /workspace; head -c 8192 /dev/zero >f; exec python3 -c '
import mmap, os
m = mmap.mmap(os.open("f", os.O_RDWR), 8192)
for turn in range(4):
	open("/run/turn").read()
	m[0] = turn + 1
	open("/run/done", "w").write("x")'`)
	}()
	last := ""
	for turn := range 4 {
		enginetest.Shell(t, box, "echo >/run/turn; cat /run/done")
		now, err := box.(engine.DiskSnapshotter).DiskStamp()
		if err != nil || now == last {
			t.Errorf("turn %d: %q after %q, %v", turn, now, last, err)
		}
		last = now
	}
}
