package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

// ownTime is for a command of a host. It takes a second or two; some look for updates.
const ownTime = time.Minute

// ownCommand is how a host is told by itself to add and remove a server. That is better
// than to write its file where it may be writing that file too.
type ownCommand struct {
	program   string
	add       func(scope string, e entry) []string // nil for a scope that it does not know
	remove    func(scope string) []string
	firstOnly bool // it would not leave the other servers as they are
}

func claudeAdd(scope string, e entry) []string {
	words := []string{"mcp", "add", "-s", scope, name}
	for _, key := range slices.Sorted(maps.Keys(e.env)) {
		words = append(words, "-e", key+"="+e.env[key])
	}
	return append(append(words, "--"), e.command...)
}

func claudeRemove(scope string) []string { return []string{"mcp", "remove", "-s", scope, name} }

func codexAdd(scope string, e entry) []string {
	if scope != api.HostScopeUser {
		return nil
	}
	words := []string{"mcp", "add", name}
	for _, key := range slices.Sorted(maps.Keys(e.env)) {
		words = append(words, "--env", key+"="+e.env[key])
	}
	return append(append(words, "--"), e.command...)
}

// toAdd is the host's own command that adds e; nil where there is none for it.
func (o *ownCommand) toAdd(scope string, e entry) []string {
	if o == nil {
		return nil
	}
	if words := o.add(scope, e); words != nil {
		return append([]string{o.program}, words...)
	}
	return nil
}

func (o *ownCommand) toRemove(scope string) []string {
	if o == nil || o.remove == nil {
		return nil
	}
	return append([]string{o.program}, o.remove(scope)...)
}

// run runs a command of a host where the user stands.
func (m Machine) run(ctx context.Context, words []string) error {
	ctx, cancel := context.WithTimeout(ctx, ownTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, m.find(words[0]), words[1:]...)
	cmd.Env, cmd.Dir, cmd.WaitDelay = m.Environ, m.Dir, time.Second
	said := &tail{limit: 2000}
	cmd.Stdout, cmd.Stderr = said, said
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		err = fmt.Errorf("it did not end within %s", ownTime)
	case said.String() != "":
		err = errors.New(said.String())
	}
	return &api.Error{
		Kind: api.Unavailable, Op: "run", ID: api.Quote(words), Err: err,
		Hint: "run it yourself to see more; nothing else was changed",
	}
}

// tail keeps the end of what is written to it.
type tail struct {
	limit int
	kept  bytes.Buffer
}

func (t *tail) Write(p []byte) (int, error) {
	t.kept.Write(p)
	if over := t.kept.Len() - t.limit; over > 0 {
		t.kept.Next(over)
	}
	return len(p), nil
}

func (t *tail) String() string { return strings.TrimSpace(t.kept.String()) }
