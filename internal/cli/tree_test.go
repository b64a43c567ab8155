package cli

import (
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
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
				if len(line) > 112 && !strings.HasPrefix(line, "usage: ") {
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
	if parsed < 25 {
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
