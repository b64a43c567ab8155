package gvisor

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
)

// form is one of the two ways to save a sandbox.
type form struct {
	what    string   // for errors
	command []string // of pyro-runsc
	files   []string // what it writes, sorted by name
}

var (
	// A saved disk is the manifest; a tar of names and metadata; where in the last one
	// the content of files lies; and that content.
	diskForm = form{
		what: "disk", command: []string{"fscheckpoint"},
		files: []string{"fscheckpoint.pb", "multitar.img", "pages.img", "pages_meta.img"},
	}
	// A saved memory is the state of the Sentry and, as above, the pages. Not compressed:
	// that costs seconds, and an image lives for one fork.
	memoryForm = form{
		what: "memory", command: []string{"checkpoint", "-compression=none"},
		files: []string{"checkpoint.img", "pages.img", "pages_meta.img"},
	}
)

// Modes of a saved disk. The next sandbox has another uid than the one that was saved,
// and what keeps others out is a directory above.
const (
	imageDirMode  = 0o711
	imageFileMode = 0o644
)

// lend opens the caller's empty directory and gives it to the sandbox's uid.
func lend(path string, uid int) (*os.File, error) {
	dir, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if _, err = dir.Readdirnames(1); err == nil {
		err = fmt.Errorf("%s is not empty", path)
	} else if errors.Is(err, io.EOF) {
		err = errors.Join(own(dir, uid), dir.Chmod(0o700))
	}
	if err != nil {
		_ = dir.Close()
		return nil, err
	}
	return dir, nil
}

// own changes the owner where that is possible and needed, which is for root.
func own(f *os.File, uid int) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return f.Chown(uid, uid)
}

// takeBack makes the directory the caller's again and, where it is whole, everything
// in it. Until then processes of the sandbox's uid could put there what they like.
func (f form) takeBack(dir *os.File, uid int, whole bool) error {
	err := errors.Join(own(dir, os.Geteuid()), dir.Chmod(imageDirMode))
	if err != nil || !whole {
		return err
	}
	if _, err := dir.Seek(0, io.SeekStart); err != nil {
		return err
	}
	names, err := dir.Readdirnames(len(f.files) + 1)
	if err != nil {
		return err
	}
	if slices.Sort(names); !slices.Equal(names, f.files) {
		return fmt.Errorf("pyro-runsc wrote %q, expected were %q", names, f.files)
	}
	for _, name := range names {
		if err := takeFile(dir, name, uid); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func takeFile(dir *os.File, name string, uid int) error {
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(fd), name)
	defer func() { _ = file.Close() }()
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return err
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFREG || stat.Nlink != 1 || int(stat.Uid) != uid {
		return fmt.Errorf("unsafe: mode %o, %d links, owner %d", stat.Mode, stat.Nlink, stat.Uid)
	}
	return errors.Join(own(file, os.Geteuid()), file.Chmod(imageFileMode))
}

// image is a saved disk or memory that a sandbox starts from. The nil one is none.
type image struct {
	form
	dir   *os.File
	state int64 // bytes of what is not pages
	pages int64 // bytes of pages.img
}

// openImage opens what spec.Disk or spec.Memory names. It looks at names, kinds and
// modes alone; an image that was cut is for the caller's digests to find, or for the
// Sentry.
func openImage(spec engine.Spec) (*image, error) {
	path, form, room := spec.Disk, diskForm, int64(spec.DiskMiB)<<20
	switch {
	case spec.Memory != "" && spec.Disk != "":
		return nil, errors.New("both a saved disk and a saved memory")
	case spec.Memory != "":
		path, form, room = spec.Memory, memoryForm, int64(spec.DiskMiB+spec.MemMiB)<<20
	case spec.Disk == "":
		return nil, nil
	}
	dir, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, form.damaged(path, err)
	}
	img := &image{form: form, dir: dir}
	err = img.look()
	if err == nil && img.pages > room {
		err = fmt.Errorf("it holds %d MiB, more than the %d MiB of its place", img.pages>>20, room>>20)
	}
	if err != nil {
		img.close()
		return nil, form.damaged(path, err)
	}
	return img, nil
}

func (i *image) look() error {
	if info, err := i.dir.Stat(); err != nil {
		return err
	} else if os.Geteuid() == 0 && info.Mode()&0o001 == 0 {
		return fmt.Errorf("mode %s: the sandbox's user cannot search it", info.Mode())
	}
	for _, name := range i.files {
		var stat unix.Stat_t
		switch err := unix.Fstatat(int(i.dir.Fd()), name, &stat, unix.AT_SYMLINK_NOFOLLOW); {
		case err != nil:
			return fmt.Errorf("%s: %w", name, err)
		case stat.Mode&unix.S_IFMT != unix.S_IFREG:
			return fmt.Errorf("%s is no regular file", name)
		case os.Geteuid() == 0 && stat.Mode&0o004 == 0:
			return fmt.Errorf("%s: mode %s: the sandbox's user cannot read it", name, fs.FileMode(stat.Mode&0o777))
		}
		if name == "pages.img" {
			i.pages = stat.Size
		} else {
			i.state += stat.Size
		}
	}
	return nil
}

func (i *image) close() {
	if i != nil {
		_ = i.dir.Close()
	}
}

func (i *image) directory() *os.File {
	if i == nil {
		return nil
	}
	return i.dir
}

// loadTime is what a boot may take longer for the image: a second for each MiB of
// names, which are a thousand files, and for each 10 MiB of content. On a busy machine it
// takes a tenth of that.
func (i *image) loadTime() time.Duration {
	if i == nil {
		return 0
	}
	return time.Duration(i.state>>20+i.pages>>20/10) * time.Second
}

func (f form) damaged(path string, err error) error {
	return &api.Error{Kind: api.Invalid, Hint: hintDamaged, Err: fmt.Errorf("saved %s %s: %w", f.what, path, err)}
}

const hintDamaged = "it is damaged, or not for this engine and size: start from another one or with a larger disk"

// What runsc says when it could not load an image.
const (
	mountFailed = "mounting root with overlay: "
	sentryDied  = `"containerManager.StartRoot" failed: EOF`
)

// maxWhy is how much of runsc's own words an error repeats, in bytes.
const maxWhy = 300

// damagedBy returns what runsc found wrong with the image that it was to restore, and
// nil where the boot failed for another reason.
func damagedBy(said string) error {
	if strings.Contains(said, sentryDied) {
		return errors.New("the sandbox died while it was loaded: a larger disk may be needed")
	}
	_, why, ok := strings.Cut(said, mountFailed)
	if !ok {
		return nil
	}
	if i := strings.LastIndex(why, "}: "); i >= 0 { // behind a dump of its state
		why = why[i+len("}: "):]
	}
	return errors.New(strings.Map(printable, why[:min(len(why), maxWhy)]))
}

// printable keeps control characters out of an error; an image may be anybody's.
func printable(r rune) rune {
	if unicode.IsControl(r) {
		return '?'
	}
	return r
}
