package clone

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// settings are all that git knows besides its own defaults, see git-config(1). Those
// that would run programs come first.
var settings = []string{
	"core.hooksPath=/dev/null",
	"core.fsmonitor=false",
	"core.askPass=",
	"credential.helper=",
	"safe.bareRepository=explicit",
	"submodule.recurse=false",
	"fetch.recurseSubmodules=false",
	"transfer.bundleURI=false",
	"protocol.allow=never",
	"http.followRedirects=initial",
	"http.lowSpeedLimit=1000", // bytes a second, for a minute: then it is given up
	"http.lowSpeedTime=60",
	"http.emptyAuth=false",
	"gc.auto=0",
	"maintenance.auto=false",
	"fetch.unpackLimit=1", // keep what came as the pack it is
	"fetch.writeCommitGraph=false",
	"core.bigFileThreshold=16m", // larger ones are not held in memory
	"core.quotePath=false",
	"advice.detachedHead=false",
}

// passed are the variables that git gets of our environment: where programs are, the way
// out of the network, and whom to trust and who answers for the user there.
var passed = []string{
	"PATH", "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "SSH_AUTH_SOCK",
}

// sshCommand asks nobody anything and lends nothing to the other side. Which keys and
// hosts there are is the user's own configuration of ssh.
const sshCommand = "ssh -o BatchMode=yes -o ForwardAgent=no -o ForwardX11=no -o ClearAllForwardings=yes -o PermitLocalCommand=no"

// login answers git's question for a name and a password from its environment.
const login = `!f() { test "$1" = get && printf 'username=%s\npassword=%s\n' "$PYRO_GIT_USER" "$PYRO_GIT_PASSWORD"; }; f`

// git runs git in one directory of ours.
type git struct {
	program  string
	home     string // private to this call, and empty
	repo     string // its GIT_DIR
	env      []string
	settings []string // KEY=VALUE
}

func newGit(environ []string, home string) (*git, error) {
	g := &git{home: home, repo: filepath.Join(home, "repository"), settings: settings}
	for _, pair := range environ {
		if name, _, _ := strings.Cut(pair, "="); slices.Contains(passed, name) {
			g.env = append(g.env, pair)
		}
	}
	program, err := lookPath(g.env)
	if err != nil {
		return nil, &api.Error{Kind: api.Unsupported, Hint: "install git, or hand in a directory with --seed-path", Err: errors.New("git, which fetches repositories, is not installed")}
	}
	g.program = program
	g.env = append(
		g.env, "LC_ALL=C", "HOME="+home, "XDG_CONFIG_HOME="+home, "GIT_DIR="+g.repo, "GIT_TEMPLATE_DIR=",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_ATTR_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0", "GIT_SSH_COMMAND="+sshCommand, "GIT_SSH_VARIANT=ssh",
		"GIT_NO_LAZY_FETCH=1", "GIT_NO_REPLACE_OBJECTS=1", "GIT_PROTOCOL_FROM_USER=0",
	)
	return g, nil
}

// lookPath finds git in the PATH of an environment, by absolute directories alone.
func lookPath(env []string) (string, error) {
	for _, pair := range env {
		list, ok := strings.CutPrefix(pair, "PATH=")
		if !ok {
			continue
		}
		for _, dir := range filepath.SplitList(list) {
			if !filepath.IsAbs(dir) {
				continue
			}
			if path, err := exec.LookPath(filepath.Join(dir, "git")); err == nil {
				return path, nil
			}
		}
	}
	return "", exec.ErrNotFound
}

// about lets git speak with a repository's host, and lend it the user's name there.
func (g *git) about(r *Repository) {
	g.env = append(g.env, "GIT_ALLOW_PROTOCOL="+protocols[r.scheme])
	if r.user == "" && r.password == "" {
		return
	}
	at := r.shown[:strings.Index(r.shown, "://")+3]
	host, _, _ := strings.Cut(r.shown[len(at):], "/")
	g.env = append(g.env, "PYRO_GIT_USER="+r.user, "PYRO_GIT_PASSWORD="+r.password)
	g.settings = append(slices.Clip(g.settings), "credential."+at+host+".helper="+login)
}

// environ has the settings, too, as git-config(1) says under GIT_CONFIG_COUNT.
func (g *git) environ() []string {
	env := append(slices.Clone(g.env), "GIT_CONFIG_COUNT="+strconv.Itoa(len(g.settings)))
	for i, s := range g.settings {
		key, value, _ := strings.Cut(s, "=")
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i, key), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i, value))
	}
	return env
}

// command is git with arguments, not started. Its end is that of ctx, with all that it
// has started.
func (g *git) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, g.program, args...)
	cmd.Env, cmd.Dir = g.environ(), g.home
	cmd.WaitDelay = 2 * time.Second
	sys.OwnSession(cmd)
	sys.EndWithUs(cmd)
	cmd.Cancel = func() error { return killTree(cmd.Process.Pid) }
	return cmd
}

func killTree(pid int) error {
	start, err := sys.ProcessStart(pid)
	if err != nil {
		return os.ErrProcessDone
	}
	return sys.Process{PID: pid, Start: start}.KillTree(time.Now().Add(time.Second))
}

// maxAnswer bounds what git says of a repository in one answer, in bytes, where it is
// read at once.
const maxAnswer = 4 << 20

// ask runs git and returns what it says.
func (g *git) ask(ctx context.Context, args ...string) (string, error) {
	var said strings.Builder
	err := g.read(ctx, func(out io.Reader) error {
		n, err := io.Copy(&said, io.LimitReader(out, maxAnswer+1))
		if err == nil && n > maxAnswer {
			err = errors.New("it says more than " + strconv.Itoa(maxAnswer>>20) + " MiB")
		}
		return err
	}, nil, args...)
	return said.String(), err
}

// read runs git, and lets take read what it says. What take gives up ends git.
func (g *git) read(ctx context.Context, take func(io.Reader) error, stdin io.Reader, args ...string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := g.command(ctx, args...)
	complaint := new(sys.Complaint)
	cmd.Stderr, cmd.Stdin = complaint, stdin
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return sys.Explain("run git", err)
	}
	taken := take(out)
	if taken != nil {
		cancel()
	}
	err = cmd.Wait()
	switch {
	case taken != nil:
		return taken
	case err != nil:
		return failed(ctx, err, complaint.String())
	}
	return nil
}
