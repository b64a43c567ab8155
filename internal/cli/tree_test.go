package cli

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pyro-sandbox/pyro/api"
)

func everyCommand(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	for _, sub := range cmd.Commands() {
		all = append(all, everyCommand(sub)...)
	}
	return all
}

// TestHelpTeaches holds the least that each page says.
func TestHelpTeaches(t *testing.T) {
	a := &app{Env: Env{Stdout: &output{}, Stderr: &output{}}}
	for _, cmd := range everyCommand(a.tree()) {
		t.Run(cmd.CommandPath(), func(t *testing.T) {
			words := append(strings.Fields(cmd.CommandPath())[1:], "--help")
			s := &session{}
			if code := s.run(t, words...); code != 0 || s.err.String() != "" {
				t.Fatalf("exit code %d, stderr %q", code, s.err.String())
			}
			page := s.out.String()
			for _, part := range []string{cmd.CommandPath() + ": " + cmd.Short, "\nusage: " + cmd.CommandPath(), "\nExamples:\n  ", "\nOptions:\n", "--help"} {
				if !strings.Contains(page, part) {
					t.Errorf("%q is missing in\n%s", part, page)
				}
			}
			for line := range strings.Lines(page) {
				if len(line) > 112 {
					t.Errorf("long line: %s", line)
				}
			}
			if strings.Contains(usageLine(cmd), "[--]") != strings.Contains(page, "Exit codes:") {
				t.Error("a command that runs one in the guest explains its exit codes, and no other does")
			}
		})
	}
}

// TestNumbersSayTheirRange finds a flag whose help leaves its user guessing.
func TestNumbersSayTheirRange(t *testing.T) {
	a := &app{Env: Env{Stdout: &output{}, Stderr: &output{}}}
	ranged := regexp.MustCompile(`\d+ to \d+|\d+ \w+ or more`)
	for _, cmd := range everyCommand(a.tree()) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if _, ok := f.Value.(intValue); ok && (!ranged.MatchString(f.Usage) || f.DefValue == "") {
				t.Errorf("%s --%s: %q, default %q", cmd.CommandPath(), f.Name, f.Usage, f.DefValue)
			}
		})
	}
}

// TestExamplesParse finds an example that would be refused.
func TestExamplesParse(t *testing.T) {
	a := &app{Env: Env{Stdout: &output{}, Stderr: &output{}}}
	root := a.tree()
	g := grammarOf(root)
	simple := regexp.MustCompile(`^pyro [^'"$<>|]*$`)
	parsed := 0
	for _, cmd := range everyCommand(root) {
		for line := range strings.Lines(cmd.Example) {
			line = strings.TrimSpace(line)
			if !simple.MatchString(line) {
				continue // a shell would have to take it apart
			}
			parsed++
			if _, err := g.parse(strings.Fields(line)[1:]); err != nil {
				t.Errorf("%s: %v", line, err)
			}
		}
	}
	if parsed < 8 {
		t.Errorf("only %d examples were parsed", parsed)
	}
}

func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		t.Run(shell, func(t *testing.T) {
			s := &session{}
			if code := s.run(t, "completion", shell); code != 0 || len(s.out.String()) < 1000 || !strings.Contains(s.out.String(), "__complete") {
				t.Errorf("exit code %d, %d bytes", code, len(s.out.String()))
			}
		})
	}
}

func TestCompletion(t *testing.T) {
	fake := newFake()
	other := fake.list.Workspaces[0]
	other.WorkspaceID, other.Name, other.State = "ffffffffffff", text("\x1b]0;x\x07\ttab"), api.StateStopped
	fake.list.Workspaces = append(fake.list.Workspaces, other)
	const mine, evil = testID + "\tit's mine, started, host", `ffffffffffff` + "\t" + `^[]0;x^G\ttab, stopped, host`
	for line, want := range map[string][]string{
		"workspace status ":                          {mine, evil},
		"workspace status f":                         {evil},
		"workspace delete 01":                        {mine},
		"workspace exec ":                            {mine, evil},
		"workspace exec " + testID + " ":             {},
		"workspace delete " + testID + " ":           {},
		"workspace exec --json 0":                    {mine},
		"run ":                                       {"host\tthis machine's own programs"},
		"workspace create --network-policy ":         {"off", "egress", "egress+published-ports"},
		"completion ":                                {"bash", "zsh", "fish"},
		"workspace li":                               {"list\tshow all workspaces, the last used first"},
		"help workspace ":                            {"create\tmake a workspace and start it", "delete\tend a workspace and remove all of it", "exec\trun a command in a workspace", "list\tshow all workspaces, the last used first", "status\tshow one workspace"},
		"workspace exec " + testID + " --timeout-se": {"--timeout-seconds\ttime until the command is ended, 1 second or more"},
	} {
		t.Run(line, func(t *testing.T) {
			s := &session{fake: fake}
			words := strings.Split(line, " ")
			if code := s.run(t, append([]string{cobra.ShellCompRequestCmd}, words...)...); code != 0 {
				t.Fatalf("exit code %d: %s", code, s.err.String())
			}
			got := slices.DeleteFunc(strings.Split(strings.TrimSpace(s.out.String()), "\n"), func(l string) bool { return strings.HasPrefix(l, ":") })
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}
