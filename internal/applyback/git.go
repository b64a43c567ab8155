package applyback

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

const (
	gitTime  = 2 * time.Minute // of one call
	gitBytes = 512 << 20       // of what one call may print
	maxMerge = 64 << 20        // bytes of a file that is put together
)

// git is the program, for one work tree. It runs no program that the repository names, and
// reads no configuration of the system.
type git struct {
	binary string
	dir    string
	env    []string
	prefix string // of dir in the work tree, empty or with a slash at its end
}

// findGit looks for git and the work tree that dir lies in; nil: there is none of them.
func findGit(ctx context.Context, dir string, env []string) *git {
	binary, err := exec.LookPath("git")
	if err != nil {
		return nil
	}
	g := &git{binary: binary, dir: dir, env: gitEnv(env)}
	out, err := g.run(ctx, nil, "rev-parse", "--is-inside-work-tree", "--show-prefix")
	answer, prefix, _ := strings.Cut(string(out), "\n")
	if err != nil || answer != "true" {
		return nil
	}
	g.prefix = strings.TrimSuffix(prefix, "\n")
	return g
}

func gitEnv(from []string) []string {
	env := []string{
		"LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_ATTR_NOSYSTEM=1", "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0",
		"GIT_NO_LAZY_FETCH=1", "GIT_ALLOW_PROTOCOL=",
	}
	keep := []string{"PATH", "HOME", "XDG_CONFIG_HOME", "SUDO_UID", "TMPDIR"}
	for _, pair := range from {
		if name, _, _ := strings.Cut(pair, "="); slices.Contains(keep, name) {
			env = append(env, pair)
		}
	}
	return env
}

// run runs git to its end and returns what it printed.
func (g *git) run(ctx context.Context, stdin io.Reader, args ...string) ([]byte, error) {
	return g.runWith(ctx, stdin, nil, args...)
}

func (g *git) runWith(ctx context.Context, stdin io.Reader, env []string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, gitTime)
	defer cancel()
	safe := []string{"-c", "core.fsmonitor=false", "-c", "safe.bareRepository=explicit", "-c", "core.hooksPath=/dev/null", "-C", g.dir}
	cmd := exec.CommandContext(ctx, g.binary, append(safe, args...)...)
	cmd.Env = append(slices.Clone(g.env), env...)
	cmd.WaitDelay = time.Second
	sys.OwnSession(cmd)
	complaint, out := new(sys.Complaint), &atMost{left: gitBytes}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, out, complaint
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("git %s: %w", args[0], context.Cause(ctx))
	case err != nil:
		return out.Bytes(), &gitError{args[0], complaint.String(), err}
	}
	return out.Bytes(), nil
}

// gitError is what git said when it failed.
type gitError struct {
	what, said string
	err        error
}

func (e *gitError) Error() string { return fmt.Sprintf("git %s: %v: %s", e.what, e.err, e.said) }
func (e *gitError) Unwrap() error { return e.err }

// status is the exit status of git in an error, or -1.
func status(err error) int {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	return -1
}

// atMost is a buffer that does not grow for ever.
type atMost struct {
	bytes.Buffer
	left int
}

// Write implements io.Writer.
func (b *atMost) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, fmt.Errorf("git prints more than %d bytes", gitBytes)
	}
	return b.Buffer.Write(p)
}

// merge puts the changes of both sides to one file together; merged false: what came out is
// there already. why that cannot be is not an error.
func (a *Area) merge(ctx context.Context, t *task) (merged bool, why string, err error) {
	if why := t.unmergeable(a.git != nil); why != "" {
		return false, why, nil
	}
	if !t.base.kept && !a.bases {
		return false, "", ErrBases
	}
	if !t.base.kept {
		return false, "it was changed here too, and nobody tells what it was before", nil
	}
	ours := a.newName("ours")
	if _, err := a.copy(t.Path, ours, 0o600, nobodys); err != nil {
		return false, "", err
	}
	out, why, err := a.mergeWith(ctx, ours, t.base, t.content)
	if err != nil || why != "" {
		return false, why, err
	}
	if sha256.Sum256(out) == t.now.SHA256 && t.modeFrom(t.now) == t.now.Mode&0o777 {
		return false, "", nil
	}
	t.staged = a.newName("merged")
	t.fresh, err = a.fill(t.staged, bytes.NewReader(out), a.modeOf(t), t.heirOf())
	return true, "", err
}

// unmergeable says why both sides of a change cannot be put together.
func (t *task) unmergeable(git bool) string {
	switch {
	case t.Old == nil:
		return "it was made here too, and is another"
	case t.now == nil:
		return "it was deleted here"
	case t.New == nil:
		return "it is to be deleted, and was changed here"
	case t.now.Kind != t.Old.Kind || t.New.Kind != t.Old.Kind || t.Old.Kind != archive.KindFile:
		return "it is not what it was here"
	case t.Old.holds(t.New):
		return "its content was changed here, and its mode in the workspace"
	case !git:
		return "it was changed here too"
	case max(t.Old.Size, t.New.Size, t.now.Size) > maxMerge:
		return "it was changed here too, and is too large to be put together"
	}
	return ""
}

// mergeWith has git put two versions of a file together, one of them a file of the area.
func (a *Area) mergeWith(ctx context.Context, ours string, base, theirs piece) (out []byte, why string, err error) {
	from, to := a.newName("base"), a.newName("theirs")
	_, err = a.make(from, base, 0o600, nobodys)
	if err == nil {
		_, err = a.make(to, theirs, 0o600, nobodys)
	}
	if err != nil {
		return nil, "", err
	}
	outside := &git{binary: a.git.binary, dir: os.TempDir(), env: a.git.env} // no repository has a say in it
	out, err = outside.runWith(ctx, nil, []string{"GIT_DIR=" + os.DevNull}, "merge-file", "-p", "-q", a.path(ours), a.path(from), a.path(to))
	switch code := status(err); {
	case err == nil:
		return out, "", nil
	case code > 0 && code <= 127:
		return nil, "it was changed here in the same lines", nil
	case code > 0:
		return nil, "it was changed here too, and is not text", nil
	}
	return nil, "", err
}

// needsGit is the error of something that git is needed for.
func needsGit(dir string) error {
	return &api.Error{
		Kind: api.Unsupported, Hint: "leave --branch out, or name the directory of a git work tree",
		Err: fmt.Errorf("%s is in no work tree of git, or git is not installed", dir),
	}
}
