package cli

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/pyro-sandbox/pyro/api"
)

// completionsOf asks as the scripts of the shells do. The last line is the directive.
func completionsOf(t *testing.T, fake *fakeClient, line string) []string {
	t.Helper()
	s := &session{fake: fake}
	if code := s.run(t, append([]string{cobra.ShellCompRequestCmd}, strings.Split(line, " ")...)...); code != 0 {
		t.Fatalf("exit code %d: %s", code, s.err.String())
	}
	return strings.Split(strings.TrimSpace(s.out.String()), "\n")
}

func TestCompletion(t *testing.T) {
	fake := newFake()
	other := fake.list.Workspaces[0]
	other.WorkspaceID, other.Name, other.State = "ffffffffffff", text("\x1b]0;x\x07\ttab"), api.StateStopped
	fake.list.Workspaces = append(fake.list.Workspaces, other)
	const (
		mine    = testID + "\tit's mine, started, host"
		evil    = `ffffffffffff` + "\t" + `^[]0;x^G\ttab, stopped, host`
		nothing = ":4" // no files either
		files   = ":0"
	)
	engines := []string{"gvisor\ta kernel of its own, in user space", "host-compat\tno isolation; needs --allow-host-compat", nothing}
	for line, want := range map[string][]string{
		"workspace status ":                            {mine, evil, nothing},
		"workspace status f":                           {evil, nothing},
		"workspace logs ":                              {mine, evil, nothing},
		"workspace update ":                            {mine, evil, nothing},
		"workspace delete 01":                          {mine, nothing},
		"workspace delete " + testID + " ":             {nothing},
		"workspace exec ":                              {mine, nothing},
		"workspace exec --json 0":                      {mine, nothing},
		"workspace exec " + testID + " ":               {nothing},
		"workspace stop ":                              {mine, nothing},
		"workspace start ":                             {evil, nothing},
		"workspace start 0":                            {nothing},
		"workspace sync push ":                         {mine, nothing},
		"workspace sync push " + testID + " ":          {files},
		"workspace sync push " + testID + " src ":      {nothing},
		"workspace sync ":                              {"push\tput a directory or tar archive into a workspace", nothing},
		"run ":                                         {"host\tthis machine's own programs", nothing},
		"run --engine ":                                engines,
		"run --seed-path ":                             {files},
		"workspace create ":                            {"host\tthis machine's own programs", nothing},
		"workspace create --engine ":                   engines,
		"workspace create --seed-path sr":              {files},
		"workspace create --seed-path=sr":              {files},
		"workspace create --name ":                     {nothing},
		"workspace create --ttl-seconds ":              {nothing},
		"workspace create --exclude ":                  {nothing},
		"workspace create --network-policy ":           {"off", "egress", "egress+published-ports", nothing},
		"workspace sync push " + testID + " . --dest ": {nothing},
		"completion ":                                  {"bash", "zsh", "fish", nothing},
		"workspace li":                                 {"list\tshow all workspaces, the last used first", nothing},
		"help workspace sync ":                         {"push\tput a directory or tar archive into a workspace", nothing},
		"workspace exec " + testID + " --timeout-se":   {"--timeout-seconds\ttime until the command is ended, 1 second or more", nothing},
		"workspace logs " + testID + " --las":          {"--last\tonly the last N commands, 1 command or more; 0: all", nothing},
	} {
		t.Run(line, func(t *testing.T) {
			if got := completionsOf(t, fake, line); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// TestEveryIDIsCompleted finds a command that was forgotten.
func TestEveryIDIsCompleted(t *testing.T) {
	for _, cmd := range everyCommand((&app{}).tree()) {
		if cmd.HasSubCommands() || !strings.Contains(cmd.Use, "WORKSPACE_ID") {
			continue
		}
		t.Run(cmd.CommandPath(), func(t *testing.T) {
			fake := newFake()
			stopped := fake.list.Workspaces[0]
			stopped.State = api.StateStopped
			fake.list.Workspaces = append(fake.list.Workspaces, stopped)
			words := strings.Join(strings.Fields(cmd.CommandPath())[1:], " ")
			if got := completionsOf(t, fake, words+" "); !strings.HasPrefix(got[0], testID) {
				t.Errorf("got %q", got)
			}
		})
	}
}
