package archive_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/testgate"
)

// swap exchanges root/d with a link to outside until stop is closed.
func swap(a *arena, stop <-chan struct{}) error {
	d, spare := a.path("d"), a.path("spare")
	if err := errors.Join(os.MkdirAll(d, 0o755), os.Symlink(a.outside, spare)); err != nil {
		return err
	}
	for {
		select {
		case <-stop:
			return nil
		default:
			if err := unix.Renameat2(unix.AT_FDCWD, d, unix.AT_FDCWD, spare, unix.RENAME_EXCHANGE); err != nil {
				return err
			}
		}
	}
}

// kernelFollows tells whether the kernel itself fails at what these tests are about:
// gVisor's, in its 2026 versions, follows a link that takes the place of a directory
// while it is opened with O_NOFOLLOW.
func kernelFollows(t *testing.T) error {
	t.Helper()
	a := newArena(t)
	write(t, filepath.Join(a.outside, "f"), "outside")
	stop := make(chan struct{})
	var swapping sync.WaitGroup
	swapping.Go(func() { _ = swap(a, stop) }) // ends when stop is closed
	defer swapping.Wait()
	defer close(stop)
	root, err := unix.Open(a.root, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(root) }()
	for range 3000 {
		fd, err := unix.Openat(root, "d", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		var st unix.Stat_t
		err = unix.Fstatat(fd, "f", &st, 0)
		_ = unix.Close(fd)
		if err == nil {
			return errors.New("openat with O_NOFOLLOW followed a link")
		}
	}
	return nil
}

// enough reports whether a race has been run often enough: so many rounds, and more
// for as long as the two have not met, but not for ever.
func enough(round int, met bool) bool {
	least := 1000
	if testing.Short() {
		least = 100
	}
	return round >= least && (met || round >= 1000*least)
}

func TestUnpackWhileParentsAreSwapped(t *testing.T) {
	testgate.Require(t, testgate.NoFollow, kernelFollows(t))
	a := newArena(t)
	root := a.open(t)
	data := tarball(t, directory("d"), file("d/canary", "changed"), symlink("d/l", "x"), directory("d/e"), file("d/e/f", ""), hardLink("d/h", "d/canary"))
	stop := make(chan struct{})
	var swapping sync.WaitGroup
	var swapErr error
	swapping.Go(func() { swapErr = swap(a, stop) }) // ends when stop is closed
	made, refused := 0, 0
	for i := 0; !enough(i, refused > 0); i++ {
		switch _, err := archive.Unpack(t.Context(), bytes.NewReader(data), root, everything); {
		case err == nil:
			made++
		default:
			refused++
		}
	}
	close(stop)
	swapping.Wait()
	must(t, swapErr)
	t.Logf("%d made, %d refused", made, refused)
	if refused == 0 {
		t.Error("the swap was never met, so nothing was tested")
	}
	a.check(t)
}

func TestPackWhileDirectoriesAreSwapped(t *testing.T) {
	testgate.Require(t, testgate.NoFollow, kernelFollows(t))
	a := newArena(t)
	root := a.open(t)
	stop := make(chan struct{})
	var swapping sync.WaitGroup
	var swapErr error
	swapping.Go(func() { swapErr = swap(a, stop) }) // ends when stop is closed
	links, dirs := 0, 0
	for i := 0; !enough(i, links > 0 && dirs > 0); i++ {
		var out bytes.Buffer
		_, _, _ = archive.Pack(t.Context(), &out, root, "", archive.PackOptions{})
		if bytes.Contains(out.Bytes(), []byte(secret)) {
			t.Fatal("it holds a file from outside")
		}
		if hdr, err := tar.NewReader(&out).Next(); err == nil && hdr.Typeflag == tar.TypeSymlink {
			links++
		} else {
			dirs++
		}
	}
	close(stop)
	swapping.Wait()
	must(t, swapErr)
	if links == 0 || dirs == 0 {
		t.Errorf("%d links and %d directories were seen, so no swap was met", links, dirs)
	}
	a.check(t)
}

func TestUnpackOnFullDisk(t *testing.T) {
	a := newArena(t)
	if err := syscall.Mount("tmpfs", a.root, "tmpfs", 0, "size=256k"); err != nil {
		testgate.Require(t, testgate.Root, err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(a.root, syscall.MNT_DETACH)) })
	write(t, a.path("x"), "old")
	_, err := a.unpack(t, tarball(t, file("x", strings.Repeat("n", 1<<20))), everything)
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("got %v, want ENOSPC", err)
	}
	if content, _ := os.ReadFile(a.path("x")); string(content) != "old" {
		t.Errorf("the old file is gone: %q", content)
	}
}
