package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

func (a *app) demoCommand() *cobra.Command {
	network := false
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "show in a few seconds what a workspace is for",
		Long: `Takes a tiny project with a bug through the life of a workspace: its test fails, a
patch repairs it, everything is broken and brought back, and what has changed comes out.
Each step is shown as the command that you would type. What is left behind is nothing.`,
		Example: "  pyro demo\n  pyro demo --json\n  pyro demo ollama --model llama3.2:3b",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if network {
				if err := checkNetwork(api.NetworkEgress); err != nil {
					return err
				}
			}
			return a.demo(cmd.Context())
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f := cmd.Flags()
	f.BoolVar(&network, "network", false, "with a network (not available yet)")
	a.jsonFlag(f)
	cmd.AddCommand(a.demoOllamaCommand())
	return cmd
}

// demoLife bounds what is left of a demonstration that was killed.
const demoLife = 300 // seconds

// story is a demonstration that is under way.
type story struct {
	a       *app
	project string // on this machine
	result  string
	ws      workspace
	told    api.Demo
}

// demoStep is one step. do returns the exit code of the command, and what it says.
type demoStep struct {
	title   string
	command func(s *story) string
	want    int
	do      func(ctx context.Context, s *story) (int, string, error)
}

func (a *app) demo(ctx context.Context) error {
	c, err := a.open(a.Environ)
	if err != nil {
		return err
	}
	dir, project, result, err := demoProject()
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s := &story{a: a, project: project, result: result}
	began := time.Now()
	err = s.tell(ctx, c)
	if s.ws != nil { // it was given up in between
		_, left := s.a.discard(ctx, s.ws)
		err = cmp.Or(err, left)
	}
	if err != nil {
		return err
	}
	s.told.OK, s.told.DurationMS = true, time.Since(began).Milliseconds()
	return a.show(&s.told, func() string {
		return fmt.Sprintf("\nThat was it, in %.1f s. Nothing of it is left.\nNext: `pyro workspace create host --seed-path DIRECTORY` with a project of yours,\nor `claude mcp add pyro -- pyro mcp serve` for an agent.\n", time.Since(began).Seconds())
	})
}

func (s *story) tell(ctx context.Context, c client) error {
	s.say("A project with a bug: add.sh, which should add, and check.sh, its test.\n")
	steps := append([]demoStep{{
		title:   "Put it into a workspace, an isolated Linux machine of its own.",
		command: func(s *story) string { return "id=$(pyro workspace create host --seed-path project --id-only)" },
		do: func(ctx context.Context, s *story) (int, string, error) {
			req := api.CreateRequest{Environment: theEnvironment, Name: "demo", TTLSeconds: demoLife, NetworkPolicy: api.NetworkOff}
			ws, err := c.Create(ctx, req, &source{Path: s.project}, untilDeleted)
			if err != nil {
				return 0, "", err
			}
			s.ws = ws
			return 0, "id=" + ws.Seen().WorkspaceID, nil
		},
	}}, demoSteps()...)
	for i, step := range steps {
		if err := s.one(ctx, i+1, step); err != nil {
			return err
		}
	}
	return nil
}

// one does a step, shows it, and makes sure that it came out as it should.
func (s *story) one(ctx context.Context, number int, step demoStep) error {
	s.say("\n%d. %s\n   $ %s\n", number, step.title, step.command(s))
	began := time.Now()
	type outcome struct {
		code int
		said string
	}
	o, err := await(ctx, s.a, "demo", func(ctx context.Context) (outcome, error) {
		code, said, err := step.do(ctx, s)
		return outcome{code, said}, err
	})
	if err != nil {
		return err
	}
	for line := range strings.Lines(o.said) {
		s.say("   %s\n", oneLine(strings.TrimSuffix(line, "\n")))
	}
	if o.code != 0 {
		s.say("   exit code %d\n", o.code)
	}
	s.told.Steps = append(s.told.Steps, api.DemoStep{
		Title: step.title, Command: step.command(s), ExitCode: o.code, Output: o.said, DurationMS: time.Since(began).Milliseconds(),
	})
	if o.code != step.want {
		return &api.Error{
			Kind: api.Internal, Op: "demo", Hint: "`pyro doctor` looks for what is wrong with this machine",
			Err: fmt.Errorf("step %d ended with %d, not with %d", number, o.code, step.want),
		}
	}
	return nil
}

func (s *story) say(format string, args ...any) {
	if !s.a.json {
		_, _ = fmt.Fprintf(s.a.Stdout, format, args...)
	}
}

func demoSteps() []demoStep {
	typed := func(command string) func(*story) string { return func(*story) string { return command } }
	ran := func(argv ...string) func(context.Context, *story) (int, string, error) {
		return func(ctx context.Context, s *story) (int, string, error) { return s.run(ctx, argv...) }
	}
	does := func(f func(*story, context.Context) (string, error)) func(context.Context, *story) (int, string, error) {
		return func(ctx context.Context, s *story) (int, string, error) {
			said, err := f(s, ctx)
			return 0, said, err
		}
	}
	check := ran("sh", "check.sh")
	return []demoStep{
		{title: "Run its test there: it fails.", command: typed("pyro workspace exec $id -- sh check.sh"), want: 1, do: check},
		{title: "Repair it with a patch, as an agent would.", command: typed("pyro workspace patch apply $id --patch-file fix.patch"), do: does((*story).repair)},
		{title: "Now the test passes.", command: typed("pyro workspace exec $id -- sh check.sh"), do: check},
		{title: "Keep this state under a name.", command: typed("pyro workspace snapshot create $id fixed"), do: does((*story).keep)},
		{title: "Then break everything: it is only a workspace.", command: typed("pyro workspace exec $id -- sh -c 'rm -rf /workspace/* /usr/bin/env; ls'"), do: ran("sh", "-c", "rm -rf /workspace/* /usr/bin/env; ls")},
		{title: "Go back to the state that was kept.", command: typed("pyro workspace reset $id --snapshot fixed"), do: does((*story).back)},
		{title: "What has changed since the beginning?", command: typed("pyro workspace diff $id"), do: does((*story).diff)},
		{title: "Bring the repaired file out.", command: typed("pyro workspace export $id add.sh --output result/add.sh"), do: does((*story).export)},
		{title: "Delete the workspace, with everything in it.", command: typed("pyro workspace delete $id"), do: does((*story).delete)},
	}
}

// run runs a command in the workspace and returns what it says.
func (s *story) run(ctx context.Context, argv ...string) (int, string, error) {
	out := &capture{limit: 64 << 10}
	p, err := s.ws.Start(ctx, command{Argv: argv, Timeout: 30 * time.Second, Stdout: out, Stderr: out})
	if err != nil {
		return 0, "", err
	}
	result, err := p.Wait()
	if err != nil {
		return 0, "", err
	}
	return result.ExitCode, out.text(), nil
}

func (s *story) repair(ctx context.Context) (string, error) {
	done, err := s.ws.ApplyPatch(ctx, strings.NewReader(demoPatch), api.PatchRequest{})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("modified=%d\n", done.Summary.Modified), nil
}

func (s *story) keep(ctx context.Context) (string, error) {
	_, err := s.ws.CreateSnapshot(ctx, "fixed")
	return "", err
}

func (s *story) back(ctx context.Context) (string, error) {
	_, err := s.ws.Reset(ctx, api.ResetRequest{Snapshot: "fixed"})
	return "", err
}

func (s *story) diff(ctx context.Context) (string, error) {
	found, err := s.ws.Diff(ctx, api.DiffRequest{})
	if err != nil {
		return "", err
	}
	return found.Patch, nil
}

func (s *story) export(ctx context.Context) (string, error) {
	to := filepath.Join(s.result, "add.sh")
	if _, err := s.ws.Export(ctx, "add.sh", to, &pyro.ExportOptions{}); err != nil {
		return "", err
	}
	content, err := os.ReadFile(to)
	if err == nil && !strings.Contains(string(content), "$1 + $2") {
		err = errors.New("what came out is not what was repaired")
	}
	return "result/add.sh: " + lastLine(string(content)) + "\n", err
}

func (s *story) delete(ctx context.Context) (string, error) {
	s.told.WorkspaceID = s.ws.Seen().WorkspaceID
	if _, err := s.ws.Delete(ctx); err != nil {
		return "", err
	}
	s.ws = nil
	return "", nil
}

func lastLine(text string) string {
	text = strings.TrimRight(text, "\n")
	return text[strings.LastIndexByte(text, '\n')+1:]
}
