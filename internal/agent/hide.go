package agent

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/redact"
)

// hideSecrets hides the secrets in a directory of the run directory, in the shells and
// services that run and in those that come. They are taken out before anything is kept, so
// that no cursor and no count of lines can show a part of one.
func (a *agent) hideSecrets(dir string) {
	set := a.hidden.Use(secretValues(filepath.Join(a.cfg.RunDir, dir)))
	for _, s := range a.sessions.list() {
		s.hide(a.hidden.Set(s.own...))
	}
	for _, s := range a.services.list() {
		s.hide(set)
	}
}

// hide says what is taken out of what a service prints.
func (s *service) hide(set *redact.Set) {
	s.stdout.hide(set)
	s.stderr.hide(set)
}

// secretValues are the values in a directory of secrets. What the guest has made of it
// meanwhile is its own affair; it costs no more than real ones.
func secretValues(path string) (values []string) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil
	}
	defer func() { _ = root.Close() }()
	dir, err := root.Open(".")
	if err != nil {
		return nil
	}
	defer func() { _ = dir.Close() }()
	entries, _ := dir.ReadDir(api.MaxSecrets)
	for _, e := range entries {
		if value := readSecret(root, e); value != "" {
			values = append(values, value)
		}
	}
	slices.Sort(values)
	return slices.Compact(values)
}

func readSecret(root *os.Root, e fs.DirEntry) string {
	if !e.Type().IsRegular() {
		return ""
	}
	f, err := root.OpenFile(e.Name(), os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	value, err := io.ReadAll(io.LimitReader(f, api.MaxSecretBytes))
	if err != nil {
		return ""
	}
	return string(value)
}
