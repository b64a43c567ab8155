package mcpserver

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/internal/mcpserver/conformance"
)

// Options say what a server offers. The zero value is the profile DefaultProfile.
type Options struct {
	// Open returns the client that tools use. It is called with the first of their calls,
	// and once; nil: pyro.Open with no options.
	Open func() (*pyro.Client, error)

	Profile string // see Profiles; empty: DefaultProfile
	Mode    string // see Modes; empty: none. Not together with Profile
	Project Project
	Version string // of pyro, for clients to show
	Log     *slog.Logger

	// Budget is how long a call of workspace_exec may take before it is answered with a
	// handle; 0: DefaultBudget.
	Budget time.Duration
}

// DefaultBudget is below the 60 seconds after which the first clients give a call up.
const DefaultBudget = 50 * time.Second

// Server is a server that has not been connected yet. It may serve any number of
// connections, also at once.
type Server struct {
	mcp  *mcp.Server
	desk *desk
	log  *slog.Logger
	over sync.Once // of stop

	begin func()        // begins to make what is offered, once
	ready chan struct{} // closed when that is there
}

// desk is what the tools work with.
type desk struct {
	client  func() (*pyro.Client, error)
	project Project
	running *executions
	budget  time.Duration
	offers  map[string]*jsonschema.Schema // the tools that there are, with what they take
}

// New makes a server. An unknown profile or mode is api.Invalid.
func New(o Options) (*Server, error) {
	chosen, err := choose(o.Profile, o.Mode)
	if err != nil {
		return nil, err
	}
	if o.Open == nil {
		o.Open = func() (*pyro.Client, error) { return pyro.Open(nil) }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Budget == 0 {
		o.Budget = DefaultBudget
	}
	d := &desk{
		client: sync.OnceValues(o.Open), project: o.Project, running: newExecutions(), budget: o.Budget,
		offers: make(map[string]*jsonschema.Schema),
	}
	declared := chosen.declared(o.Project)
	s := &Server{mcp: newProtocol(o, declared), desk: d, log: o.Log, ready: make(chan struct{})}
	s.begin = sync.OnceFunc(func() {
		go func() { // ends by itself
			defer close(s.ready)
			s.offer(chosen)
		}()
	})
	s.mcp.AddReceivingMiddleware(
		recoverPanics(o.Log), onlyDeclared(declared.Capabilities), s.whenReady,
		endWith(d.running.over), limitCalls(maxCalls), d.tidyArguments,
	)
	return s, nil
}

// newProtocol makes the library's server, without tools, that more declares.
func newProtocol(o Options, more mcp.ServerOptions) *mcp.Server {
	more.Logger = o.Log
	more.SetCacheable = func(_ context.Context, req mcp.Request, c *mcp.Cacheable) {
		c.TTLMs, c.CacheScope = 60_000, "private" // lists change with the server's options alone
		if _, reads := req.(*mcp.ReadResourceRequest); reads {
			c.TTLMs = 0 // what is in a workspace changes at any time
		}
	}
	return mcp.NewServer(&mcp.Implementation{Name: "pyro_mcp", Title: "pyro", Version: o.Version}, &more)
}

// declared is what clients are told of a selection before they ask.
func (chosen selection) declared(p Project) mcp.ServerOptions {
	if chosen.fixtures {
		return conformance.Options()
	}
	has := &mcp.ServerCapabilities{Tools: &mcp.ToolCapabilities{}}
	if chosen.keeps() {
		has.Resources, has.Prompts = &mcp.ResourceCapabilities{}, &mcp.PromptCapabilities{}
	}
	return mcp.ServerOptions{Instructions: chosen.instructions(p), Capabilities: has}
}

// offer adds what was chosen.
func (s *Server) offer(chosen selection) {
	if chosen.fixtures {
		conformance.Add(s.mcp)
		return
	}
	for _, t := range chosen.tools {
		s.desk.offers[t.name] = t.input()
		t.add(s.mcp, s.desk, chosen)
	}
	if chosen.keeps() {
		s.offerResources()
		s.offerPrompts()
	}
}

// workspace returns a workspace that a call names.
func (d *desk) workspace(ctx context.Context, id string) (*pyro.Workspace, error) {
	c, err := d.client()
	if err != nil {
		return nil, err
	}
	return c.Get(ctx, id)
}
