package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

// timeToLive is that of most workspaces; a few live for the shortest time there is.
const (
	timeToLive  = 20 * time.Minute
	shortToLive = time.Minute
)

// create makes a workspace, of every kind by turns.
func (w *worker) create(ctx context.Context) {
	n, _ := w.next()
	if err := w.number(n); err != nil {
		w.violate(ctx, w.name, answer{}, err.Error())
		return
	}
	live := pick(w.rand, []choice[time.Duration]{{timeToLive, 9}, {shortToLive, 1}})
	h := &held{running: true, confirmed: make(map[int]time.Time), expires: time.Now().Add(live)}
	args := []string{"workspace", "create", "host", "--json", "--ttl-seconds", strconv.Itoa(int(live.Seconds()))}
	if w.rand.IntN(3) > 0 {
		h.written, h.attempted, h.saved = n, n, n
		args = append(args, "--seed-path", w.project)
	}
	if h.idles = w.rand.IntN(8) == 0; h.idles {
		args = append(args, "--idle-seconds", "3")
	}
	before := w.marks.everything()
	a, ok := w.apart(ctx, w.name, request{op: "create", args: args}, want{check: decodes(func(s *api.Workspace) string {
		h.id = s.WorkspaceID
		if len(h.id) != 12 {
			return "it has no id"
		}
		return ""
	})})
	if !ok {
		return
	}
	w.marks.learn(h.id, true)
	h.proven = before // what hit it until now is still to be judged
	w.held = append(w.held, h)
	if a.struck || w.marks.of(h.id).blows != h.proven.blows {
		w.prove(ctx, h)
	}
}

// confirm notes that a number is in the files.
func (h *held) confirm(n int) {
	h.written, h.attempted = n, max(h.attempted, n)
	h.confirmed[n] = time.Now()
}

// found notes what is in the files. What was confirmed after that is lost by a blow.
func (h *held) found(n int) {
	h.written = n
	maps.DeleteFunc(h.confirmed, func(later int, _ time.Time) bool { return later > n })
}

// learn takes in what pyro says about the workspace. What was confirmed before the
// disk was saved is on it.
func (h *held) learn(a answer) {
	var s api.Workspace
	if json.Unmarshal([]byte(a.out), &s) != nil {
		return
	}
	h.running = s.State == api.StateStarted
	if s.LastSavedAt == nil {
		return
	}
	for n, at := range h.confirmed {
		if at.Before(s.LastSavedAt.Time()) {
			h.saved = max(h.saved, n)
			delete(h.confirmed, n)
		}
	}
}

func (w *worker) stop(ctx context.Context, h *held) {
	was := h.running
	a, ok := w.do(ctx, h, request{op: "stop", args: []string{"workspace", "stop", h.id, "--json"}}, want{check: stopped(h)})
	if !ok {
		return
	}
	h.running = false
	var s api.Workspace
	_ = json.Unmarshal([]byte(a.out), &s) // the check has read it
	if was && s.Reason != nil && *s.Reason == "explicit_stop" {
		h.saved = h.written
	}
}

func stopped(h *held) func(answer) string {
	return decodes(func(s *api.Workspace) string {
		if s.State != api.StateStopped {
			return fmt.Sprintf("it is %s after stop", s.State)
		}
		return h.other(s.WorkspaceID)
	})
}

// discard stops without saving.
func (w *worker) discard(ctx context.Context, h *held) {
	if _, ok := w.do(ctx, h, request{op: "discard", args: []string{"workspace", "stop", h.id, "--discard", "--json"}}, want{check: stopped(h)}); ok {
		h.running = false
		h.written = h.saved // or newer: the disk may have been saved in between
	}
}

func (w *worker) start(ctx context.Context, h *held) {
	r := request{op: "start", args: []string{"workspace", "start", h.id, "--json"}}
	_, ok := w.do(ctx, h, r, want{check: decodes(func(s *api.Workspace) string {
		if s.State != api.StateStarted {
			return fmt.Sprintf("it is %s after start", s.State)
		}
		return h.other(s.WorkspaceID)
	})})
	if ok {
		h.running = true
		w.look(ctx, h, h.saved)
	}
}

// refused runs a command where none can run.
func (w *worker) refused(ctx context.Context, h *held) {
	r := execute("exec-stopped", h.id, commandTime, asJSON, "true")
	w.do(ctx, h, r, want{code: 1, kind: api.Conflict, disturbed: true})
}

// look reads the files and wants a number that is possible: at least the oldest.
func (w *worker) look(ctx context.Context, h *held, oldest int) bool {
	line := "for f in " + strings.Join(files, " ") + "; do cat $f 2>/dev/null || echo 0; done"
	r := execute("look", h.id, commandTime, asJSON, "sh", "-c", line)
	var first int
	_, ok := w.do(ctx, h, r, want{check: decodes(func(r *api.WorkspaceExec) string {
		n, err := numbers(r.Stdout)
		if r.ExitCode != 0 || err != nil {
			return fmt.Sprintf("the files hold %q", clip(r.Stdout, 200))
		}
		first = n[0]
		return possible(n, oldest, h.attempted)
	})})
	if ok {
		h.found(first)
	}
	return ok
}

func numbers(text string) (n [2]int, err error) {
	_, err = fmt.Sscanf(text, "%d\n%d\n", &n[0], &n[1])
	return n, err
}

// possible says what is wrong with what two files hold that are written one after the
// other, between two bounds.
func possible(n [2]int, oldest, newest int) string {
	if n[0] < oldest || n[1] < oldest || n[0] > newest || n[1] > n[0] {
		return fmt.Sprintf("the files hold %d and %d, which were never saved together: want %d to %d", n[0], n[1], oldest, newest)
	}
	return ""
}

func (w *worker) list(ctx context.Context, h *held) {
	r := request{op: "list", args: []string{"workspace", "list", "--json"}}
	w.do(ctx, h, r, want{always: true, check: decodes(func(l *api.WorkspaceList) string { return w.misses(l, h) })})
}

// misses says what is wrong with a list: a workspace is broken, or one that must be
// there is not.
func (w *worker) misses(l *api.WorkspaceList, h *held) string {
	found := false
	for _, s := range l.Workspaces {
		if s.State == api.StateBroken {
			return fmt.Sprintf("%s is broken", s.WorkspaceID)
		}
		found = found || s.WorkspaceID == h.id
	}
	if !found && !h.deleting && time.Until(h.expires) > 2*time.Second {
		return "the list lacks " + h.id
	}
	return ""
}

func (w *worker) remove(ctx context.Context, h *held) {
	h.deleting = true
	r := request{op: "delete", args: []string{"workspace", "delete", h.id, "--json"}}
	if _, ok := w.do(ctx, h, r, want{check: decodes(func(d *api.WorkspaceDelete) string {
		if !d.Deleted {
			return "it is not deleted"
		}
		return h.other(d.WorkspaceID)
	})}); ok {
		w.forget(h)
	}
}

// isGone reports whether pyro says that there is no such workspace.
func isGone(a answer) bool {
	r, ok := a.reply()
	return ok && (r.Kind == api.NotFound || r.Kind == api.Expired)
}
