package agent

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/api"
)

// secretValues are the values of the secrets that are installed. What the guest has made
// of their directory meanwhile is its own affair; it costs no more than real ones.
func (a *agent) secretValues() (values []string) {
	a.secrets.Lock()
	defer a.secrets.Unlock()
	root, err := os.OpenRoot(filepath.Join(a.cfg.RunDir, secretsName))
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
	return values
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

// hideSecrets makes the shells that are open look for the secrets that are there now.
func (a *agent) hideSecrets() {
	open := a.sessions.list()
	if len(open) == 0 {
		return
	}
	values := a.secretValues()
	for _, s := range open {
		s.look(values)
	}
}
