package agent

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/api"
)

// shell runs command lines, and what is no program: builtins and misspelt names.
const shell = "/bin/sh"

// What a shell says of a program that it cannot run (POSIX.1-2017, Shell Command
// Language, 2.8.2), and timeout(1) of one that ran too long.
const (
	codeTimeout       = 124
	codeNotExecutable = 126
	codeNotFound      = 127
	codeOOM           = 128 + 9 // as if by SIGKILL, which it was
)

// defaultEnv is there in every command unless the agent's own environment or the
// request says otherwise.
var defaultEnv = map[string]string{
	"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"HOME": "/root",
	"LANG": "C.UTF-8",
}

// command is what is to be run, all of it in terms of the guest.
type command struct {
	argv     []string // not empty
	dir      string   // empty: the agent's own
	env      map[string]string
	timeout  time.Duration     // 0: none
	stdin    bool              // a pipe; else /dev/null
	terminal *api.TerminalSize // it runs on one; nil: on pipes
}

// unstartable says why a program did not start, in the way a shell does.
type unstartable struct {
	code int
	err  error
}

func (u *unstartable) Error() string { return u.err.Error() }
func (u *unstartable) Unwrap() error { return u.err }

// unstarted ends a command that has not run in the words and with the code of a shell,
// where err is unstartable; other errors it returns.
func unstarted(err error, errs io.Writer) (ending, error) {
	var not *unstartable
	if !errors.As(err, &not) {
		return ending{}, err
	}
	_, err = errs.Write([]byte("pyro: " + not.Error() + "\n"))
	return ending{code: not.code}, err
}

// environment merges what a request asks for over the agent's own variables and
// those over the defaults.
func (a *agent) environment(asked map[string]string) (map[string]string, error) {
	env := maps.Clone(defaultEnv)
	for _, pair := range a.cfg.Env {
		if name, value, ok := strings.Cut(pair, "="); ok && name != "PWD" && name != "OLDPWD" {
			env[name] = value
		}
	}
	for name, value := range asked {
		if !isEnvName(name) {
			return nil, &api.Error{
				Kind: api.Invalid, Hint: "use letters, digits and underscore, at most 64 characters, no digit in front",
				Err: fmt.Errorf("environment variable name %q is not allowed", name),
			}
		}
		if strings.ContainsRune(value, 0) {
			return nil, &api.Error{Kind: api.Invalid, Err: fmt.Errorf("environment variable %s holds a NUL", name)}
		}
		env[name] = value
	}
	return env, nil
}

func isEnvName(name string) bool {
	for i, r := range name {
		letter := r == '_' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return len(name) >= 1 && len(name) <= 64
}

// pairs is env in the form that exec wants.
func pairs(env map[string]string) []string {
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}

// directory turns the cwd of a request into a directory that exists. What lies in
// the workspace is made if it is missing; the rest of the guest is left as it is.
func (a *agent) directory(cwd string) (string, error) {
	if !strings.HasPrefix(cwd, "/") {
		return "", &api.Error{Kind: api.Invalid, Err: fmt.Errorf("cwd %q is not absolute", cwd)}
	}
	dir := cwd
	if p, err := parsePath(cwd); err == nil {
		dir = filepath.Join(a.cfg.Workspace, p.rel)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", &api.Error{Kind: api.Invalid, Err: fmt.Errorf("cwd %s: %w", cwd, err)}
		}
	}
	switch info, err := os.Stat(dir); {
	case errors.Is(err, os.ErrNotExist):
		return "", &api.Error{Kind: api.NotFound, Err: fmt.Errorf("cwd %s does not exist", cwd)}
	case err != nil:
		return "", &api.Error{Kind: api.Invalid, Err: fmt.Errorf("cwd %s: %w", cwd, err)}
	case !info.IsDir():
		return "", &api.Error{Kind: api.Invalid, Err: fmt.Errorf("cwd %s is no directory", cwd)}
	}
	return dir, nil
}

// resolve finds the program of c. A bare name that PATH does not have goes to the
// shell, which knows builtins and has the words for what it does not know.
func resolve(c command) (path string, argv []string, err error) {
	name := c.argv[0]
	if strings.ContainsRune(name, '/') {
		path = name
		if !filepath.IsAbs(name) {
			path = filepath.Join(c.dir, name)
		}
		return path, c.argv, checkProgram(name, path)
	}
	for _, dir := range filepath.SplitList(c.env["PATH"]) {
		if !filepath.IsAbs(dir) { // an empty one is the current directory too
			dir = filepath.Join(c.dir, dir)
		}
		path = filepath.Join(dir, name)
		if checkProgram(name, path) == nil {
			return path, c.argv, nil
		}
	}
	return shell, []string{shell, "-lc", api.Quote(c.argv)}, checkProgram(shell, shell)
}

// checkProgram reports why path cannot be run; name is how the user called it.
func checkProgram(name, path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return &unstartable{codeNotFound, fmt.Errorf("%s: not found", name)}
	case err != nil:
		return &unstartable{codeNotExecutable, fmt.Errorf("%s: %w", name, errnoOf(err))}
	case info.IsDir():
		return &unstartable{codeNotExecutable, fmt.Errorf("%s: is a directory", name)}
	case unix.Access(path, unix.X_OK) != nil:
		return &unstartable{codeNotExecutable, fmt.Errorf("%s: permission denied", name)}
	}
	return nil
}

// startError tells failures of the program asked for from those of the agent.
func startError(name string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOENT): // it is there, so its interpreter is not
		return &unstartable{codeNotFound, fmt.Errorf("%s: interpreter not found", name)}
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.ENOEXEC), errors.Is(err, syscall.E2BIG),
		errors.Is(err, syscall.ELIBBAD), errors.Is(err, syscall.ETXTBSY), errors.Is(err, syscall.EPERM):
		return &unstartable{codeNotExecutable, fmt.Errorf("%s: %w", name, err)}
	case errors.Is(err, syscall.EINVAL):
		return &api.Error{Kind: api.Invalid, Err: fmt.Errorf("start %s: %w", name, err)}
	}
	return &api.Error{Kind: api.Unavailable, Err: fmt.Errorf("start %s: %w", name, err)}
}

// errnoOf drops the words that packages put around what the kernel said.
func errnoOf(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}
