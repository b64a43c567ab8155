package source

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// Limits of what git is let do.
const (
	gitTime      = 2 * time.Minute // for one repository
	gitBytes     = 256 << 20       // of names, all repositories together
	gitNameBytes = 64 << 10        // of one name
)

// ignored knows what git ignores below a directory. It asks git itself, once for each
// repository: nobody else knows all the places where rules stand, and that what is
// tracked is not ignored.
type ignored struct {
	root  string
	names map[string]bool // paths below root, without a slash at the end
	asked map[string]bool // repositories
	bytes int
}

func newIgnored(root string) *ignored {
	return &ignored{root: root, names: make(map[string]bool), asked: make(map[string]bool)}
}

// ask makes known what git ignores below the path dir.
func (g *ignored) ask(ctx context.Context, dir string) error {
	if g.asked[dir] {
		return nil
	}
	at := filepath.Join(g.root, dir)
	git, err := exec.LookPath("git")
	if err != nil {
		return &api.Error{Kind: api.Unsupported, Hint: "install git, or name with --exclude what should be left out", Err: errors.New("git, which knows what is ignored, is not installed")}
	}
	ctx, cancel := context.WithTimeout(ctx, gitTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, git, "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null",
		"-C", at, "ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory")
	cmd.Env = gitEnv()
	cmd.WaitDelay = time.Second
	sys.OwnSession(cmd)
	complaint := new(sys.Complaint)
	cmd.Stderr = complaint
	if err := g.run(cmd, dir); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("ask git what it ignores in %s: %w", quoted(at), ctx.Err())
		}
		return g.failed(at, err, complaint)
	}
	g.asked[dir] = true
	return nil
}

// run starts git and reads all names.
func (g *ignored) run(cmd *exec.Cmd, dir string) error {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	readErr := g.read(out, dir)
	if readErr != nil {
		_ = cmd.Process.Kill()
	}
	return errors.Join(readErr, cmd.Wait())
}

func (g *ignored) read(from io.Reader, dir string) error {
	names := bufio.NewScanner(from)
	names.Buffer(nil, gitNameBytes)
	names.Split(splitNUL)
	for names.Scan() {
		g.bytes += len(names.Bytes())
		if g.bytes > gitBytes {
			return fmt.Errorf("more than %d bytes of names", gitBytes)
		}
		name := strings.TrimSuffix(names.Text(), "/")
		if name == "." {
			return errAllIgnored
		}
		g.names[join(dir, name)] = true
	}
	return names.Err()
}

var errAllIgnored = errors.New("git ignores the whole directory")

func (g *ignored) failed(at string, err error, complaint *sys.Complaint) error {
	hint := "drop --gitignore, name with --exclude what should be left out, or make it a repository with git init"
	if errors.Is(err, errAllIgnored) {
		return invalid(at, errAllIgnored, "drop --gitignore")
	}
	line, _, _ := strings.Cut(strings.TrimPrefix(complaint.String(), "fatal: "), "\n")
	if line != "" {
		err = errors.New(quoted(line))
	}
	return invalid(at, fmt.Errorf("git cannot say what it ignores: %w", err), hint)
}

// gitEnv is our environment without what would lead git to another repository or make
// it ask, trace or fetch.
func gitEnv() []string {
	keep := []string{"PATH", "HOME", "XDG_CONFIG_HOME", "SUDO_UID", "TMPDIR", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"}
	env := []string{"LC_ALL=C", "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "GIT_NO_LAZY_FETCH=1"}
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if slices.Contains(keep, name) {
			env = append(env, pair)
		}
	}
	return env
}

func splitNUL(data []byte, atEnd bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEnd && len(data) > 0 {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return 0, nil, nil
}

// join is path.Join for names that are clean.
func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}
