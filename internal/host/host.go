// Package host puts pyro into the settings of chat hosts, takes it out, and finds out
// whether it works there. Chat hosts are programs such as Claude Code, Codex or VS Code,
// which start the MCP servers that a file of theirs names.
//
// A host is a row of a table: where its files lie, how they name a server, which program
// it is. What the package changes it first shows as a plan; the plan is carried out only
// if the file is still the one that was looked at. All of a file but one entry stays as
// it is to the byte: comments, order, blanks. The file is copied before, replaced in one
// step, and a link to it stays a link. Files that make no sense are left alone.
//
// It knows nothing of workspaces, and of the server only the words `mcp serve`.
package host

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
)

// name is what pyro goes by in the settings of a host.
const name = "pyro"

// Machine is where the hosts are.
type Machine struct {
	Environ    []string // as os.Environ
	Dir        string   // the current directory, absolute
	OS         string   // as runtime.GOOS
	Executable string   // the program that hosts are to start, absolute
}

// Names are the short names of all hosts.
func Names() []string {
	var names []string
	for _, h := range table() {
		names = append(names, h.name)
	}
	return names
}

// Executable returns a path of the running program that is good for years: the one that
// PATH leads to if it is the same file, since the file behind it may move with an upgrade.
func Executable(environ []string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	m := Machine{Environ: environ}
	if found := m.find(name); found != "" && sameFile(found, self) {
		return found, nil
	}
	return self, nil
}

// env looks a variable up; "" is unset. As for the system, the last one counts.
func (m Machine) env(key string) string {
	for _, item := range slices.Backward(m.Environ) {
		if value, ok := strings.CutPrefix(item, key+"="); ok {
			return value
		}
	}
	return ""
}

// home is the user's directory, with more words below it.
func (m Machine) home(below ...string) string {
	return filepath.Join(append([]string{m.env("HOME")}, below...)...)
}

// config is where programs that keep to the XDG directories have their settings.
func (m Machine) config(below ...string) string {
	dir := m.env("XDG_CONFIG_HOME")
	if !filepath.IsAbs(dir) {
		dir = m.home(".config")
	}
	return filepath.Join(append([]string{dir}, below...)...)
}

// app is where desktop programs have their settings.
func (m Machine) app(below ...string) string {
	if m.OS == "darwin" {
		return m.home(append([]string{"Library", "Application Support"}, below...)...)
	}
	return m.config(below...)
}

// find looks a program up in PATH, "" if it is not there. A relative directory in PATH
// counts for nothing: what it leads to depends on where somebody stands.
func (m Machine) find(program string) string {
	for _, dir := range filepath.SplitList(m.env("PATH")) {
		path := filepath.Join(dir, program)
		if filepath.IsAbs(dir) && isProgram(path) {
			return path
		}
	}
	return ""
}

// resolve returns where the command of a host leads, "" if nowhere. Hosts take a word
// without a slash from PATH.
func (m Machine) resolve(command string) string {
	switch {
	case !strings.ContainsRune(command, filepath.Separator):
		return m.find(command)
	case filepath.IsAbs(command) && isProgram(command):
		return command
	}
	return ""
}

// checkout is the root of the git checkout around the current directory, of linked ones the
// one that they are linked to; without git the directory itself. Links are followed. It is
// what Claude Code takes for the project.
func (m Machine) checkout() string {
	here, err := filepath.EvalSymlinks(m.Dir)
	if err != nil {
		return m.Dir
	}
	for dir := here; ; dir = filepath.Dir(dir) {
		git := filepath.Join(dir, ".git")
		if info, err := os.Lstat(git); err == nil {
			if info.Mode().IsRegular() {
				return linkedTo(dir, git)
			}
			return dir
		}
		if dir == filepath.Dir(dir) {
			return here
		}
	}
}

// linkedTo follows the file .git of a linked checkout, see gitrepository-layout(5). What is
// none, such as a submodule, is its own.
func linkedTo(dir, git string) string {
	text, err := os.ReadFile(git)
	private, ok := strings.CutPrefix(strings.TrimSpace(string(text)), "gitdir: ")
	if err != nil || !ok {
		return dir
	}
	if !filepath.IsAbs(private) {
		private = filepath.Join(dir, private)
	}
	common, err := os.ReadFile(filepath.Join(private, "commondir"))
	if err != nil {
		return dir
	}
	path := strings.TrimSpace(string(common))
	if !filepath.IsAbs(path) {
		path = filepath.Join(private, path)
	}
	return filepath.Dir(path)
}

func isProgram(path string) bool {
	_, err := exec.LookPath(path) // with a slash in it, it looks at this file alone
	return err == nil
}

func sameFile(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// pick returns the host that is meant.
func pick(host string) (*row, error) {
	rows := table()
	i := slices.IndexFunc(rows, func(h row) bool { return h.name == host })
	if i < 0 {
		return nil, &api.Error{
			Kind: api.NotFound, Hint: "known are " + strings.Join(Names(), ", "),
			Err: fmt.Errorf("no host %q", host),
		}
	}
	return &rows[i], nil
}

// place returns where a host has its settings for a scope.
func (m Machine) place(h *row, scope string) (*place, error) {
	if scope == "" {
		scope = api.HostScopeUser
	}
	if m.env("HOME") == "" {
		return nil, &api.Error{Kind: api.Invalid, Hint: "set HOME", Err: errors.New("the home directory is not known")}
	}
	places := m.places(h)
	i := slices.IndexFunc(places, func(p place) bool { return p.scope == scope })
	if i < 0 {
		var have []string
		for _, p := range places {
			have = append(have, p.scope)
		}
		return nil, &api.Error{
			Kind: api.Invalid, Hint: "it has " + strings.Join(have, ", "),
			Err: fmt.Errorf("%s has no scope %s", h.title, scope),
		}
	}
	return &places[i], nil
}
