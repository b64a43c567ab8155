package host

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/pyro-sandbox/pyro/api"
)

// The time a server has to say who it is and what it can do, and to end when its input
// does. Hosts give it 30 s for the first; whoever waits for doctor wants to know sooner.
const (
	answerTime = 15 * time.Second
	endTime    = 2 * time.Second
)

// revision is the protocol that most hosts begin with. The newer one needs a second
// question where a server is old.
const revision = "2025-11-25"

// ask starts a server as its host would, asks who it is and which tools it has, and ends
// it. That runs whatever the settings name: the caller answers for where they come from.
func (m Machine) ask(ctx context.Context, h *row, e entry) (*api.HostServer, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, m.resolve(e.command[0]), m.filled(e.command[1:])...)
	cmd.Env, cmd.Dir, cmd.WaitDelay = m.given(h, e), m.Dir, endTime
	said := &tail{limit: 500}
	cmd.Stderr = said
	client := mcp.NewClient(&mcp.Implementation{Name: "pyro-doctor", Version: "1"}, nil)
	session, err := client.Connect(ctx, &mcp.CommandTransport{Command: cmd, TerminateDuration: endTime}, &mcp.ClientSessionOptions{ProtocolVersion: revision})
	if err != nil {
		return nil, m.silence(ctx, said, err)
	}
	defer func() { _ = session.Close() }()
	tools, err := session.ListTools(ctx, nil)
	if err != nil {
		return nil, m.silence(ctx, said, err)
	}
	server := &api.HostServer{Tools: len(tools.Tools)}
	if first := session.InitializeResult(); first != nil {
		server.Protocol = first.ProtocolVersion
		if first.ServerInfo != nil {
			server.Version = first.ServerInfo.Version
		}
	}
	return server, nil
}

// filled are words with the one variable that editors fill in: the directory that is open
// there. Here it is the current one.
func (m Machine) filled(words []string) []string {
	words = slices.Clone(words)
	for i := range words {
		words[i] = strings.ReplaceAll(words[i], "${workspaceFolder}", m.Dir)
	}
	return words
}

// silence is why a server did not answer, in its own words where it has some.
func (m Machine) silence(ctx context.Context, said *tail, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("it did not answer within %s", answerTime)
	}
	lines := strings.Split(said.String(), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return errors.New("it did not answer, and said: " + last)
	}
	return fmt.Errorf("it did not answer: %w", err)
}

// given is the environment that a host starts the server in.
func (m Machine) given(h *row, e entry) []string {
	environ := m.Environ
	if h.bare {
		environ = slices.DeleteFunc(slices.Clone(environ), func(item string) bool {
			key, _, _ := strings.Cut(item, "=")
			return !slices.Contains(inherited, key)
		})
	}
	environ = slices.Clip(environ)
	for _, key := range slices.Sorted(maps.Keys(e.env)) {
		environ = append(environ, key+"="+e.env[key])
	}
	return environ
}
