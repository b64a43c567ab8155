package stage

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Run does what the stage file says, in the calling process's mount namespace,
// which must belong to a user namespace other than the machine's. An error names
// the step that failed; what was done until then stays, so the process should end.
func Run(file string) error {
	s, err := Read(file)
	if err != nil {
		return err
	}
	if err := privateMounts(); err != nil {
		return fmt.Errorf("private mounts: %w", err)
	}
	if s.Root == "" {
		return nil
	}
	// The modes that are written here are meant, whatever the caller's mask is.
	defer unix.Umask(unix.Umask(0))
	return s.assemble()
}

func (s *Stage) assemble() error {
	// The mode matters: a tmpfs is 01777 otherwise, and this is the guest's /.
	if err := mountTmpfs(s.Root, "mode=0755,size=4m"); err != nil {
		return fmt.Errorf("tmpfs on /: %w", err)
	}
	root, err := os.OpenRoot(s.Root)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	// Links come last, so that nothing can be made through one.
	for _, step := range []func(*os.Root) error{s.makeTmpfs, s.makeDirs, s.makeFiles, s.makeBinds, s.makeLinks} {
		if err := step(root); err != nil {
			return err
		}
	}
	// The assembled tree is the lower layer of the guest's overlay: nobody writes
	// to it again.
	if err := readOnly(unix.AT_FDCWD, s.Root, 0); err != nil {
		return fmt.Errorf("read-only /: %w", err)
	}
	return nil
}

// makeTmpfs goes in sorted order: an outer one comes before, and does not cover,
// an inner one.
func (s *Stage) makeTmpfs(root *os.Root) error {
	for _, name := range sortedKeys(s.Tmpfs) {
		if err := root.MkdirAll(name, 0o755); err != nil {
			return fmt.Errorf("tmpfs on /%s: %w", name, err)
		}
		if err := mountTmpfs(filepath.Join(s.Root, name), s.Tmpfs[name]); err != nil {
			return fmt.Errorf("tmpfs on /%s: %w", name, err)
		}
	}
	return nil
}

func (s *Stage) makeDirs(root *os.Root) error {
	for _, name := range s.Dirs {
		if err := root.MkdirAll(name, 0o755); err != nil {
			return fmt.Errorf("directory /%s: %w", name, err)
		}
	}
	for _, name := range s.Public {
		if err := root.MkdirAll(name, 0o755); err != nil {
			return fmt.Errorf("public directory /%s: %w", name, err)
		}
		if err := root.Chmod(name, fs.ModeSticky|0o777); err != nil {
			return fmt.Errorf("public directory /%s: %w", name, err)
		}
	}
	return nil
}

func (s *Stage) makeFiles(root *os.Root) error {
	for _, name := range sortedKeys(s.Files) {
		if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return fmt.Errorf("file /%s: %w", name, err)
		}
		if err := root.WriteFile(name, []byte(s.Files[name]), 0o644); err != nil {
			return fmt.Errorf("file /%s: %w", name, err)
		}
	}
	return nil
}

func (s *Stage) makeBinds(root *os.Root) error {
	for _, name := range sortedKeys(s.Binds) {
		if err := s.bind(root, name); err != nil {
			return fmt.Errorf("bind /%s: %w", name, err)
		}
	}
	return nil
}

func (s *Stage) makeLinks(root *os.Root) error {
	for _, name := range sortedKeys(s.Links) {
		if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return fmt.Errorf("link /%s: %w", name, err)
		}
		if err := root.Symlink(s.Links[name], name); err != nil {
			return fmt.Errorf("link /%s: %w", name, err)
		}
	}
	return nil
}
