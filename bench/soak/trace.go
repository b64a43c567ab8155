package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// trace keeps the last things that happened.
type trace struct {
	began time.Time

	mu    sync.Mutex
	lines []string
}

// kept is how many lines a trace has, and told how many of them a violation shows,
// beside all of them that name its workspace.
const (
	kept = 2000
	told = 25
)

func newTrace() *trace { return &trace{began: time.Now()} }

func (t *trace) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) >= kept {
		t.lines = slices.Delete(t.lines, 0, kept/4)
	}
	t.lines = append(t.lines, fmt.Sprintf("%9.3fs %s", time.Since(t.began).Seconds(), line))
}

// about returns the last lines, and before them older ones with a word in them.
func (t *trace) about(word string) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := max(0, len(t.lines)-told)
	var found []string
	for _, line := range t.lines[:last] {
		if word != "" && strings.Contains(line, word) {
			found = append(found, line)
		}
	}
	found = found[max(0, len(found)-told):]
	return append(found, t.lines[last:]...)
}

// violation is something that pyro must never do.
type violation struct {
	At    string   `json:"at"`
	Who   string   `json:"who"`
	What  string   `json:"what"`
	Call  string   `json:"call"`
	Said  string   `json:"said"`
	Trace []string `json:"trace"`
	Log   string   `json:"supervisor_log"`
}

func (v violation) String() string {
	return fmt.Sprintf("VIOLATION at %s by %s: %s\n  %s\n  %s\n  %s\n  supervisor.log: %s\n", v.At, v.Who, v.What, v.Call, v.Said, strings.Join(v.Trace, "\n  "), v.Log)
}

// violate notes a violation, unless the end of the soak is to blame.
func (s *soak) violate(ctx context.Context, who string, a answer, what string) {
	if ctx.Err() != nil {
		return
	}
	v := violation{
		At: time.Since(s.trace.began).Round(time.Millisecond).String(), Who: who, What: what,
		Call: a.String(), Said: quote(a), Trace: s.trace.about(a.id), Log: s.logOf(a.id),
	}
	fmt.Fprint(os.Stderr, v)
	s.stats.violated(v)
}

// logOf is the end of what a supervisor wrote.
func (s *soak) logOf(id string) string {
	if id == "" {
		return ""
	}
	text, _ := os.ReadFile(filepath.Join(s.field.At("s/workspaces"), id, "supervisor.log"))
	return string(text[max(0, len(text)-3000):])
}
