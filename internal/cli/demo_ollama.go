package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pyro-sandbox/pyro/api"
)

// The bounds of a conversation with a model.
const (
	modelRounds = 12
	modelTime   = 90 * time.Second // for one answer
)

// dialogue is what demo ollama was told, and what came of it.
type dialogue struct {
	baseURL, model string
	verbose        bool
	story          *story
	fallback       bool
	last           string // output of the last check
}

func (a *app) demoOllamaCommand() *cobra.Command {
	d := &dialogue{}
	cmd := &cobra.Command{
		Use:   "ollama",
		Short: "let a model on this machine repair the project of the demo",
		Long: `Gives a language model the project of the demo in a workspace, and tools to run
commands, read files and write files there. The model is asked over the chat interface
that OpenAI has defined and Ollama, llama.cpp, vLLM and others serve: BASE-URL
followed by /chat/completions. Only what the model runs, reads and writes in the
workspace goes to it, and nothing of this machine. Where it does not come to an end in
12 rounds, the patch of the demo is applied instead, and that is said.`,
		Example: "  ollama pull llama3.2:3b\n  pyro demo ollama\n  pyro demo ollama --base-url http://localhost:8080/v1 --model qwen2.5-coder:7b --verbose",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.ollama(cmd.Context(), d)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f := cmd.Flags()
	f.SortFlags = false
	d.baseURL, d.model = "http://localhost:11434/v1", "llama3.2:3b"
	f.Var(textValue{&d.baseURL, "URL"}, "base-url", "where models are served")
	f.Var(textValue{&d.model, "MODEL"}, "model", "which of them")
	f.BoolVarP(&d.verbose, "verbose", "v", false, "show what the model says, and all output")
	return cmd
}

// ollama prints its errors on stdout too, as scripts expect of this command.
func (a *app) ollama(ctx context.Context, d *dialogue) error {
	err := a.converse(ctx, d)
	if err == nil {
		return nil
	}
	if _, left := errors.AsType[*leaving](err); left {
		return err
	}
	line := "[error] " + oneLine(err.Error()) + "\n"
	if hint := api.HintOf(err); hint != "" {
		line += "[hint] " + oneLine(hint) + "\n"
	}
	return cmp.Or(a.print(line), error(guestStatus(exitHandled)))
}

func (a *app) converse(ctx context.Context, d *dialogue) error {
	if err := checkBaseURL(d.baseURL); err != nil {
		return err
	}
	c, err := a.open(a.Environ)
	if err != nil {
		return err
	}
	dir, project, result, err := demoProject()
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	d.story = &story{a: a, project: project, result: result}
	d.say("[ollama] base_url=%s model=%s", d.baseURL, d.model)
	ws, err := await(ctx, a, "demo", func(ctx context.Context) (workspace, error) {
		return c.Create(ctx, api.CreateRequest{
			Environment: theEnvironment, Name: "demo-ollama", TTLSeconds: 1800, NetworkPolicy: api.NetworkOff,
		}, &source{Path: project}, untilDeleted)
	})
	if err != nil {
		return err
	}
	d.story.ws = ws
	d.say("[ollama] workspace_id=%s execution_mode=%s", ws.Seen().WorkspaceID, ws.Seen().ExecutionMode)
	code, err := await(ctx, a, "demo", d.solve)
	_, left := a.discard(ctx, ws)
	if err = cmp.Or(err, left); err != nil {
		return err
	}
	if d.verbose {
		d.say("[summary] stdout=%s", strings.TrimSpace(d.last))
	}
	d.say("[summary] exit_code=%d fallback_used=%s execution_mode=%s", code, yesNo(d.fallback), ws.Seen().ExecutionMode)
	if code != 0 {
		return guestStatus(code)
	}
	return nil
}

// solve lets the model work, and looks at what it has done. It returns the exit code of
// the project's test.
func (d *dialogue) solve(ctx context.Context) (int, error) {
	if err := d.talk(ctx); err != nil {
		return 0, err
	}
	code, said, err := d.story.run(ctx, "sh", "check.sh")
	if err != nil {
		return 0, err
	}
	if code != 0 {
		d.fallback = true
		d.say("[fallback] the test still fails: the demo's own patch is applied")
		if code, said, err = d.repairOurselves(ctx); err != nil {
			return 0, err
		}
	}
	d.last = said
	d.say("[done] check.sh: %s", lastLine(said))
	return code, nil
}

// repairOurselves puts the files back first: nobody knows what became of them.
func (d *dialogue) repairOurselves(ctx context.Context) (int, string, error) {
	if _, err := d.story.ws.Reset(ctx, api.ResetRequest{Snapshot: api.Baseline}); err != nil {
		return 0, "", err
	}
	if _, err := d.story.repair(ctx); err != nil {
		return 0, "", err
	}
	return d.story.run(ctx, "sh", "check.sh")
}

const modelTask = `You repair a small project. It lies in /workspace of an isolated Linux machine that you reach only by your tools. add.sh should print the sum of its two arguments; "sh check.sh" is its test, and fails. Find the bug, repair add.sh, run the test again. When the test passes, answer with one sentence and call no more tools. Do not change check.sh.`

func (d *dialogue) talk(ctx context.Context) error {
	chat := newChat(d.baseURL, d.model)
	chat.add(message{Role: "system", Content: modelTask}, message{Role: "user", Content: "Make the test pass."})
	for round := 1; round <= modelRounds; round++ {
		reply, err := chat.ask(ctx)
		if err != nil {
			return err
		}
		d.say("[model] round=%d tool_calls=%d", round, len(reply.ToolCalls))
		if d.verbose && reply.Content != "" {
			d.say("[model] %s", reply.Content)
		}
		chat.add(*reply)
		if len(reply.ToolCalls) == 0 {
			return nil
		}
		for _, call := range reply.ToolCalls {
			said, err := d.use(ctx, call)
			if err != nil {
				return err
			}
			chat.add(message{Role: "tool", ToolCallID: call.ID, Content: said})
		}
	}
	d.say("[model] no end after %d rounds", modelRounds)
	return nil
}

// say prints a line of progress, which is the answer of this command.
func (d *dialogue) say(format string, args ...any) {
	_, _ = fmt.Fprintln(d.story.a.Stdout, oneLine(fmt.Sprintf(format, args...)))
}
