package source

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/testgate"
)

func TestOpenTakesDirectoriesAndArchives(t *testing.T) {
	home, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	for _, name := range []string{"a.tar", "b.tar.gz", "c.TGZ", "d.Tar.Zst", "e.tar.xz", "f.tbz2", "blob", "~"} {
		write(t, filepath.Join(home, name), "")
	}
	for _, dir := range []string{"dir", "dir.tar", "-rf", "~user"} {
		must(t, os.Mkdir(filepath.Join(home, dir), 0o755))
	}
	must(t, os.Symlink("dir", filepath.Join(home, "link")))
	must(t, os.Symlink("blob", filepath.Join(home, "named.tar")))
	t.Chdir(home)
	tests := []struct{ path, mode, want string }{
		{"dir", api.SeedDirectory, "dir"},
		{".", api.SeedDirectory, "."},
		{"dir/..", api.SeedDirectory, "."},
		{"~", api.SeedDirectory, "."},
		{"~/dir/", api.SeedDirectory, "dir"},
		{"~user", api.SeedDirectory, "~user"},
		{"link", api.SeedDirectory, "dir"},
		{"dir.tar", api.SeedDirectory, "dir.tar"},
		{"-rf", api.SeedDirectory, "-rf"},
		{"a.tar", api.SeedTarArchive, "a.tar"},
		{"b.tar.gz", api.SeedTarArchive, "b.tar.gz"},
		{"c.TGZ", api.SeedTarArchive, "c.TGZ"},
		{"d.Tar.Zst", api.SeedTarArchive, "d.Tar.Zst"},
		{"e.tar.xz", api.SeedTarArchive, "e.tar.xz"},
		{"f.tbz2", api.SeedTarArchive, "f.tbz2"},
		{"named.tar", api.SeedTarArchive, "blob"},
	}
	for _, test := range tests {
		s, err := Open(test.path, Options{Home: home})
		if err != nil {
			t.Errorf("%q: %v", test.path, err)
			continue
		}
		got := []string{s.Mode(), s.Path()}
		if diff := cmp.Diff([]string{test.mode, filepath.Join(home, test.want)}, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.path, diff)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.zip"), "")
	write(t, filepath.Join(dir, "a.tar"), "")
	write(t, filepath.Join(dir, ".tar"), "")
	must(t, os.Symlink("loop", filepath.Join(dir, "loop")))
	fifo(t, filepath.Join(dir, "fifo.tar"))
	tests := []struct {
		name, path string
		o          Options
		kind       api.Kind
		says, hint string
	}{
		{"what is missing", dir + "/missing", Options{}, api.NotFound, "/missing: file does not exist", "check"},
		{"below a file", dir + "/a.zip/x", Options{}, api.Invalid, "not a directory", "name a directory"},
		{"another kind of file", dir + "/a.zip", Options{}, api.Invalid, "*.tar, *.tar.gz, *.tgz, *.tar.zst", "unpack it, or put it into a tar archive"},
		{"nothing but an end", dir + "/.tar", Options{}, api.Invalid, "neither", "unpack"},
		{"a FIFO, whatever its name", dir + "/fifo.tar", Options{}, api.Invalid, "neither", "unpack"},
		{"a loop of links", dir + "/loop", Options{}, api.Invalid, "too many links", ""},
		{"no path", "", Options{}, api.Invalid, "empty", "name a directory"},
		{"a home that nobody knows", "~/x", Options{}, api.Invalid, "home", "in full"},
		{"a pattern that says nothing", dir, Options{Exclude: []string{"a", "#b"}}, api.Invalid, `"#b"`, ".gitignore"},
		{"git's rules for an archive", dir + "/a.tar", Options{Gitignore: true}, api.Invalid, "no git work tree", "--exclude"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Open(test.path, test.o)
			if !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.says) || !strings.Contains(api.HintOf(err), test.hint) {
				t.Errorf("got %q (%s, hint %q)", err, api.KindOf(err), api.HintOf(err))
			}
		})
	}
}

func TestOpenOfAClosedDirectoryOrBelowIsDenied(t *testing.T) {
	testgate.Require(t, testgate.NonRoot, ordinaryUser())
	dir := t.TempDir()
	must(t, os.MkdirAll(dir+"/closed/in", 0o755))
	must(t, os.Chmod(dir+"/closed", 0))
	t.Cleanup(func() { must(t, os.Chmod(dir+"/closed", 0o755)) })
	for _, path := range []string{"/closed/in", "/closed"} {
		if _, err := Open(dir+path, Options{}); !errors.Is(err, api.Denied) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v", path, err)
		}
	}
}

func ordinaryUser() error {
	if os.Geteuid() == 0 {
		return errors.New("root may read everything")
	}
	return nil
}
