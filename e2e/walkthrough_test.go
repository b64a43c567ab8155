package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A page for users is a claim. Its blocks of commands, indented by four, with "$ " before
// each command and what it prints below, are run as they stand, in one shell. An
// ellipsis stands for any lines, or for any text within one.

// step is one command of a page and what it prints.
type step struct {
	command, prints string
}

// steps reads the commands under a heading of a page.
func steps(t *testing.T, page, heading string) []step {
	t.Helper()
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(data), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("%s has no section %q", page, heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var all []step
	for line := range strings.Lines(section) {
		line, indented := strings.CutPrefix(line, "    ")
		command, begins := strings.CutPrefix(line, "$ ")
		switch {
		case !indented:
		case begins:
			all = append(all, step{command: command})
		case len(all) > 0 && all[len(all)-1].prints == "" && strings.HasSuffix(all[len(all)-1].command, "\\\n"):
			all[len(all)-1].command += line
		case len(all) > 0:
			all[len(all)-1].prints += line
		}
	}
	return all
}

// differing is what is another at each run: ids, times, durations, and whose home it is.
var differing = regexp.MustCompile(`\b[0-9a-f]{12}\b|\b\d{4}-\d\d-\d\dT[0-9:.]+Z\b|(duration_ms=)\d+|/[^ ]*/(calc|home)\b`)

// unlimited is what whoever is not root may be told besides, as the page says.
var unlimited = regexp.MustCompile(`(?m)^\[warning\] limits are not enforced: .*\n`)

func pattern(prints string) *regexp.Regexp {
	if prints == "" {
		return regexp.MustCompile(`\A\z`)
	}
	text := differing.ReplaceAllString(strings.TrimRight(prints, "\n"), "…")
	lines := strings.Split(regexp.QuoteMeta(text), "\n")
	for i, line := range lines {
		if line == "…" {
			lines[i] = `(?s:.*)`
		} else {
			lines[i] = strings.ReplaceAll(line, "…", `.*`) + `\n`
		}
	}
	return regexp.MustCompile(`\A` + strings.Join(lines, "") + `\n?\z`)
}

// shellSession is a shell that gets one command after the other.
type shellSession struct {
	cmd *exec.Cmd
	in  *os.File
	out *os.File
}

// mark ends the output of each command.
const mark = "--- end of the command ---"

func (p *place) bash(t *testing.T, pyro string) *shellSession {
	t.Helper()
	cmd := p.command(t, "bash", "--noprofile", "--norc")
	cmd.Env = append(cmd.Env, "PYRO_BINARY="+pyro, "PATH="+filepath.Dir(pyro)+":"+os.Getenv("PATH"), "HOME="+p.dir,
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=You", "GIT_AUTHOR_EMAIL=you@example.org", "GIT_COMMITTER_NAME=You", "GIT_COMMITTER_EMAIL=you@example.org")
	cmd.Dir = p.at("home")
	if err := os.MkdirAll(cmd.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	inR, inW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = inR, outW, outW
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = inR.Close(), outW.Close()
	return &shellSession{cmd: cmd, in: inW, out: outR}
}

// end ends the shell, whatever it does.
func (s *shellSession) end() {
	_, _ = s.in.Close(), s.out.Close()
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// run types one command and returns what it and its errors printed.
func (s *shellSession) run(t *testing.T, command string) string {
	t.Helper()
	if _, err := s.in.WriteString(strings.TrimRight(command, "\n") + "\necho '" + mark + "'\n"); err != nil {
		t.Fatal(err)
	}
	_ = s.out.SetReadDeadline(time.Now().Add(2 * time.Minute))
	var said strings.Builder
	buf := make([]byte, 4096)
	for !strings.HasSuffix(said.String(), mark+"\n") {
		n, err := s.out.Read(buf)
		said.Write(buf[:n])
		if err != nil {
			t.Fatalf("%s: %v; it printed %q", command, err, said.String())
		}
	}
	return strings.TrimSuffix(said.String(), mark+"\n")
}

func (p *place) follow(t *testing.T, pyro string, all []step) {
	t.Helper()
	shell := p.bash(t, pyro)
	defer shell.end()
	for _, s := range all {
		got := unlimited.ReplaceAllString(shell.run(t, s.command), "")
		if !pattern(s.prints).MatchString(got) {
			t.Fatalf("$ %s\nprints\n%s\nwhere the page says\n%s", s.command, got, s.prints)
		}
	}
}

// TestReadmeStory runs the story of the README as it stands there.
func TestReadmeStory(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	tools(t, "bash", "git", "python3")
	all := steps(t, filepath.Join("..", "README.md"), "Let something work on your project")
	if len(all) < 12 {
		t.Fatalf("only %d commands", len(all))
	}
	p := newPlace(t)
	p.follow(t, pyro, all)
	p.wantNothing(t)
}
