package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

type work func(*worker, context.Context, *held)

// whileRunning is what is done with a workspace that runs.
var whileRunning = []choice[work]{
	{(*worker).captured, 12},
	{(*worker).streamed, 6},
	{(*worker).fed, 6},
	{(*worker).write, 10},
	{(*worker).failing, 4},
	{(*worker).missing, 2},
	{(*worker).signaled, 2},
	{(*worker).slow, 2},
	{(*worker).push, 8},
	{(*worker).logs, 4},
	{(*worker).status, 6},
	{(*worker).list, 4},
	{(*worker).update, 4},
	{(*worker).stop, 6},
	{(*worker).discard, 1},
	{(*worker).oneShot, 4},
	{(*worker).remove, 2},
	{(*worker).removeFrozen, 2},
	{(*worker).wound, 2},
}

// whileStopped is what is done with one that does not.
var whileStopped = []choice[work]{
	{(*worker).start, 12},
	{(*worker).refused, 3},
	{(*worker).logs, 2},
	{(*worker).status, 3},
	{(*worker).list, 2},
	{(*worker).update, 2},
	{(*worker).stop, 1},
	{(*worker).oneShot, 1},
	{(*worker).remove, 2},
}

// commandTime is the timeout of commands that do not run into it.
const commandTime = 20 * time.Second

// execute is a call of workspace exec.
func execute(op string, id string, timeout time.Duration, flags []string, words ...string) request {
	args := append([]string{"workspace", "exec", id, "--timeout-seconds", strconv.Itoa(int(timeout.Seconds()))}, flags...)
	return request{op: op, args: append(append(args, "--"), words...), own: timeout}
}

var asJSON = []string{"--json"}

// says wants an output, byte for byte.
func says(out string) func(answer) string {
	return func(a answer) string {
		if a.out != out {
			return fmt.Sprintf("a wrong answer: %d bytes %q, want %d bytes %q", len(a.out), clip(a.out, 200), len(out), clip(out, 200))
		}
		return ""
	}
}

// decodes wants an output to be JSON in which nothing is wrong.
func decodes[T any](wrong func(*T) string) func(answer) string {
	return func(a answer) string {
		value := new(T)
		if err := json.Unmarshal([]byte(a.out), value); err != nil {
			return fmt.Sprintf("no JSON: %v", err)
		}
		return wrong(value)
	}
}

func captures(code int, stdout, stderr string) func(answer) string {
	return decodes(func(r *api.WorkspaceExec) string {
		if r.ExitCode != code || r.Stdout != stdout || r.Stderr != stderr {
			return fmt.Sprintf("a wrong answer: %d, %q, %q, want %d, %q, %q", r.ExitCode, clip(r.Stdout, 200), clip(r.Stderr, 200), code, stdout, stderr)
		}
		return ""
	})
}

func (w *worker) captured(ctx context.Context, h *held) {
	_, nonce := w.next()
	r := execute("exec", h.id, commandTime, asJSON, "sh", "-c", "echo $0; echo e$0 >&2", nonce)
	if _, ok := w.do(ctx, h, r, want{check: captures(0, nonce+"\n", "e"+nonce+"\n")}); ok {
		h.nonce = nonce + "\n"
	}
}

func (w *worker) streamed(ctx context.Context, h *held) {
	_, nonce := w.next()
	const lines = 5000
	r := execute("exec-stream", h.id, commandTime, nil, "sh", "-c", fmt.Sprintf("yes $0 | head -n %d", lines), nonce)
	w.do(ctx, h, r, want{check: says(strings.Repeat(nonce+"\n", lines))})
}

func (w *worker) fed(ctx context.Context, h *held) {
	_, nonce := w.next()
	r := execute("exec-stdin", h.id, commandTime, []string{"-i"}, "cat")
	r.stdin = strings.Repeat(nonce, 1+w.rand.IntN(20000))
	w.do(ctx, h, r, want{check: says(r.stdin)})
}

func (w *worker) write(ctx context.Context, h *held) {
	n, _ := w.next()
	h.attempted = n
	r := execute("exec-write", h.id, commandTime, asJSON, "sh", "-c", "mkdir -p src; echo $0 >a; echo $0 >src/b", strconv.Itoa(n))
	if _, ok := w.do(ctx, h, r, want{check: captures(0, "", "")}); ok {
		h.confirm(n)
	}
}

func (w *worker) failing(ctx context.Context, h *held) {
	code := 2 + w.rand.IntN(100) // 1 could be pyro's own
	_, nonce := w.next()
	r := execute("exec-fail", h.id, commandTime, asJSON, "sh", "-c", fmt.Sprintf("echo $0; exit %d", code), nonce)
	w.do(ctx, h, r, want{code: code, check: captures(code, nonce+"\n", "")})
}

func (w *worker) missing(ctx context.Context, h *held) {
	w.do(ctx, h, execute("exec-missing", h.id, commandTime, nil, "no-such-program"), want{code: 127})
}

func (w *worker) signaled(ctx context.Context, h *held) {
	r := execute("exec-signal", h.id, commandTime, asJSON, "sh", "-c", "kill -9 $$")
	w.do(ctx, h, r, want{code: 256 - 9, check: captures(-9, "", "")})
}

func (w *worker) slow(ctx context.Context, h *held) {
	w.do(ctx, h, execute("exec-timeout", h.id, time.Second, nil, "sh", "-c", "sleep 60 & sleep 60"), want{code: 124})
}

func (w *worker) push(ctx context.Context, h *held) {
	n, _ := w.next()
	if err := w.number(n); err != nil {
		w.violate(ctx, w.name, answer{}, err.Error())
		return
	}
	h.attempted = n
	r := request{op: "push", args: []string{"workspace", "sync", "push", h.id, w.project, "--json"}}
	if _, ok := w.do(ctx, h, r, want{check: decodes(func(s *api.Sync) string { return h.other(s.WorkspaceID) })}); ok {
		h.confirm(n)
	}
}

// other says that an answer is about another workspace, if it is.
func (h *held) other(id string) string {
	if id != h.id {
		return fmt.Sprintf("the answer is about %q, not %q", id, h.id)
	}
	return ""
}

func (w *worker) logs(ctx context.Context, h *held) {
	r := request{op: "logs", args: []string{"workspace", "logs", h.id, "--last", "60", "--json"}}
	w.do(ctx, h, r, want{check: decodes(func(l *api.WorkspaceLogs) string {
		last := 0
		for _, e := range l.Entries {
			if e.Sequence <= last {
				return fmt.Sprintf("entry %d comes after %d", e.Sequence, last)
			}
			last = e.Sequence
		}
		return h.other(l.WorkspaceID)
	})})
}

func (w *worker) status(ctx context.Context, h *held) {
	r := request{op: "status", args: []string{"workspace", "status", h.id, "--json"}}
	a, ok := w.do(ctx, h, r, want{check: decodes(func(s *api.Workspace) string { return h.other(s.WorkspaceID) })})
	if ok {
		h.learn(a)
	}
}

func (w *worker) update(ctx context.Context, h *held) {
	_, nonce := w.next()
	r := request{op: "update", args: []string{"workspace", "update", h.id, "--name", nonce, "--label", "soak=" + w.name, "--json"}}
	w.do(ctx, h, r, want{check: decodes(func(s *api.Workspace) string {
		if s.Name == nil || *s.Name != nonce {
			return "the name is another"
		}
		return h.other(s.WorkspaceID)
	})})
}

func (w *worker) oneShot(ctx context.Context, _ *held) {
	_, nonce := w.next()
	r := request{op: "run", own: commandTime, args: []string{"run", "host", "--timeout-seconds", "20", "--", "echo", nonce}}
	w.apart(ctx, w.name, r, want{check: says(nonce + "\n")})
}

// apart makes a call that is about no workspace that is known.
func (s *soak) apart(ctx context.Context, who string, r request, how want) (answer, bool) {
	before := s.marks.anonymous()
	a := s.calls.call(ctx, s.field, r, s.patience)
	after := s.marks.anonymous()
	how.disturbed = before.blows != after.blows
	how.limit = s.patience + r.own + after.frozen - before.frozen
	return a, s.verdict(ctx, who, a, how)
}

// wound kills what a command can kill from inside.
func (w *worker) wound(ctx context.Context, h *held) {
	line := pick(w.rand, []choice[string]{{"kill -9 1; sleep 5", 3}, {"kill -ABRT 1; sleep 5", 1}, {"kill -9 -1; sleep 5", 2}, {"kill -STOP 1; sleep 1; kill -CONT 1", 1}})
	w.marks.hit(h.id, 2*time.Second)
	w.note("inside %s: %s", h.id, line)
	r := execute("exec-wound", h.id, commandTime, asJSON, "sh", "-c", line)
	w.do(ctx, h, r, want{disturbed: true, code: 256 - 9, also: []int{0}})
}
