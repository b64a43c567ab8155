package archive

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestRenameByClaim is what file systems get whose rename(2) cannot refuse to replace.
func TestRenameByClaim(t *testing.T) {
	make := map[string]func(path string) error{
		"nothing":   func(string) error { return nil },
		"file":      func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"symlink":   func(path string) error { return os.Symlink("nowhere", path) },
	}
	for what, from := range make {
		for over, old := range make {
			t.Run(what+" over "+over, func(t *testing.T) {
				path := t.TempDir()
				if err := errors.Join(from(filepath.Join(path, "a")), old(filepath.Join(path, "b"))); err != nil {
					t.Fatal(err)
				}
				root, err := OpenRoot(path)
				if err != nil {
					t.Fatal(err)
				}
				defer root.Close()
				before, _ := os.Lstat(filepath.Join(path, "b"))
				moving, _ := os.Lstat(filepath.Join(path, "a"))
				err = renameByClaim(root.dir(), "a", root.dir(), "b")
				after, _ := os.Lstat(filepath.Join(path, "b"))
				switch {
				case what == "nothing":
					if !errors.Is(err, fs.ErrNotExist) {
						t.Error(err)
					}
				case over == "nothing":
					if err != nil || !os.SameFile(moving, after) {
						t.Errorf("not moved: %v", err)
					}
				case !errors.Is(err, fs.ErrExist) || !os.SameFile(before, after):
					t.Errorf("replaced: %v", err)
				}
			})
		}
	}
}
