package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
)

const testID = "0123456789ab"

// fakeClient is an SDK whose sandboxes are functions.
type fakeClient struct {
	environ   []string // that it was opened with
	status    api.Workspace
	list      api.WorkspaceList
	guest     func(ctx context.Context, p *fakeProcess) (int, error)
	creating  func(ctx context.Context) error
	deleting  func(ctx context.Context) error
	pushing   func(ctx context.Context, from source) error
	logs      api.WorkspaceLogs
	pushed    api.SyncCounts // what a push is said to have done
	refusal   error          // of stop, start, update and logs
	live      fakeLive
	files     fakeFiles
	trees     fakeTrees
	diffs     fakeDiffs
	reports   fakeReports
	disk      fakeDisk
	preparing fakePreparing

	mu      sync.Mutex
	created []api.CreateRequest
	seeds   []*source
	lives   []lifetime
	deleted []string
	ran     []command
	asked   []any // the requests of stop, start, update, logs and push
}

// pushRequest is what Push was called with.
type pushRequest struct {
	From        source
	Destination string
}

func newFake() *fakeClient {
	ws := sampleWorkspace()
	return &fakeClient{
		status: ws,
		list:   api.WorkspaceList{Count: 1, Workspaces: []api.WorkspaceSummary{summaryOf(ws)}},
		logs:   sampleLogs(),
		pushed: api.SyncCounts{Mode: api.SeedDirectory, SourcePath: "/src", Destination: "/workspace", EntryCount: 5, BytesWritten: 1234},
		live:   newLive(), files: newFiles(), trees: newTrees(), diffs: newDiffs(), reports: newReports(), disk: newDisk(),
		guest: func(context.Context, *fakeProcess) (int, error) { return 0, nil },
	}
}

func (c *fakeClient) open(environ []string) (client, error) {
	c.environ = environ
	return c, nil
}

func (c *fakeClient) Create(ctx context.Context, r api.CreateRequest, seed *source, life lifetime) (workspace, error) {
	if seed != nil && seed.Progress != nil {
		seed.Progress(12345, 118_200_000)
	}
	if c.creating != nil {
		if err := c.creating(ctx); err != nil {
			return nil, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.created, c.seeds, c.lives = append(c.created, r), append(c.seeds, seed), append(c.lives, life)
	return fakeWorkspace{c}, nil
}

func (c *fakeClient) StartStopped(ctx context.Context, id string, req api.StartRequest) (*api.Workspace, error) {
	if _, err := c.Get(ctx, id); err != nil {
		return nil, err
	}
	return c.answer(req)
}

// answer notes a request, and returns the workspace or the refusal.
func (c *fakeClient) answer(req any) (*api.Workspace, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, req)
	if c.refusal != nil {
		return nil, c.refusal
	}
	return &c.status, nil
}

func (c *fakeClient) Get(_ context.Context, id string) (workspace, error) {
	if id != c.status.WorkspaceID {
		return nil, &api.Error{Kind: api.NotFound, Op: "workspace", ID: id, Err: errors.New("there is none of that id")}
	}
	return fakeWorkspace{c}, nil
}

func (c *fakeClient) List(context.Context) (*api.WorkspaceList, error) { return &c.list, nil }

func (c *fakeClient) Delete(ctx context.Context, id string) (*api.WorkspaceDelete, error) {
	ws, err := c.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	return ws.Delete(ctx)
}

type fakeWorkspace struct{ c *fakeClient }

func (w fakeWorkspace) Seen() *api.Workspace { return &w.c.status }

func (w fakeWorkspace) Status(context.Context) (*api.Workspace, error) { return &w.c.status, nil }

func (w fakeWorkspace) Stop(_ context.Context, req api.StopRequest) (*api.Workspace, error) {
	return w.c.answer(req)
}

func (w fakeWorkspace) Update(_ context.Context, req api.UpdateRequest) (*api.Workspace, error) {
	return w.c.answer(req)
}

func (w fakeWorkspace) Logs(_ context.Context, last int) (*api.WorkspaceLogs, error) {
	if _, err := w.c.answer(last); err != nil {
		return nil, err
	}
	return &w.c.logs, nil
}

func (w fakeWorkspace) Push(ctx context.Context, from source, destination string) (*api.Sync, error) {
	if from.Progress != nil {
		from.Progress(7, 999)
	}
	if w.c.pushing != nil {
		if err := w.c.pushing(ctx, from); err != nil {
			return nil, err
		}
	}
	if _, err := w.c.answer(pushRequest{from, destination}); err != nil {
		return nil, err
	}
	return &api.Sync{WorkspaceID: testID, ExecutionMode: api.ModeGuestVsock, WorkspaceSync: w.c.pushed}, nil
}

func (w fakeWorkspace) Delete(ctx context.Context) (*api.WorkspaceDelete, error) {
	if w.c.deleting != nil {
		if err := w.c.deleting(ctx); err != nil {
			return nil, err
		}
	}
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	w.c.deleted = append(w.c.deleted, w.c.status.WorkspaceID)
	return &api.WorkspaceDelete{WorkspaceID: w.c.status.WorkspaceID, Deleted: true, Reason: api.ReasonExplicitDelete}, nil
}

func (w fakeWorkspace) Start(ctx context.Context, c command) (process, error) {
	w.c.mu.Lock()
	w.c.ran = append(w.c.ran, c)
	w.c.mu.Unlock()
	return &fakeProcess{command: c, ctx: ctx, run: w.c.guest, signals: make(chan string, 4), sizes: make(chan api.TerminalSize, 4)}, nil
}

type fakeProcess struct {
	command
	ctx     context.Context
	run     func(context.Context, *fakeProcess) (int, error)
	signals chan string
	sizes   chan api.TerminalSize
}

func (p *fakeProcess) Signal(name string) error { p.signals <- name; return nil }

func (p *fakeProcess) Wait() (*api.WorkspaceExec, error) {
	code, err := p.run(p.ctx, p)
	if err != nil {
		return nil, err
	}
	return &api.WorkspaceExec{
		WorkspaceID: testID, Environment: "host", Command: api.Quote(p.Argv), ExitCode: code,
		DurationMS: 12, ExecutionMode: api.ModeGuestVsock, Sequence: 3, Cwd: "/workspace",
	}, nil
}

// prints is a guest that writes and ends with a code.
func prints(stdout, stderr string, code int) func(context.Context, *fakeProcess) (int, error) {
	return func(_ context.Context, p *fakeProcess) (int, error) {
		if _, err := io.WriteString(p.Stdout, stdout); err != nil {
			return 0, fmt.Errorf("write stdout: %w", err)
		}
		if _, err := io.WriteString(p.Stderr, stderr); err != nil {
			return 0, fmt.Errorf("write stderr: %w", err)
		}
		return code, nil
	}
}

// output is a stream that may be written to concurrently.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// session is one call of the command line in a test.
type session struct {
	fake     *fakeClient
	stdin    io.Reader
	stdout   io.Writer // nil: collected
	signals  chan os.Signal
	terminal bool
	tty      *os.File // our stdin, where that is a terminal
	environ  []string
	ctx      context.Context // nil: the test's
	doctor   func(context.Context, api.DoctorRequest) (*api.Doctor, error)
	config   Configuration
	hosts    Hosts
	unread   chan struct{} // closed when nobody reads stdout

	out, err output
}

// forbidden is a stdin that nobody may touch.
type forbidden struct{ t *testing.T }

func (f forbidden) Read([]byte) (int, error) {
	f.t.Error("stdin was read")
	return 0, io.EOF
}

func (s *session) run(t *testing.T, args ...string) int {
	t.Helper()
	if s.fake == nil {
		s.fake = newFake()
	}
	if s.stdin == nil {
		s.stdin = forbidden{t}
	}
	if s.stdout == nil {
		s.stdout = &s.out
	}
	a := &app{
		Env: Env{
			Args: args, Stdin: s.stdin, Stdout: s.stdout, Stderr: &s.err,
			Environ: s.environ, Signals: s.signals, Version: "1.2.3", Doctor: s.doctor, Config: s.config, Hosts: s.hosts,
			MCP: MCP{Profiles: []string{"vm-run", "workspace-core", "workspace-full"}, Modes: []string{"inspect", "repro-fix"}},
		},
		open:     s.fake.open,
		terminal: func(io.Writer) bool { return s.terminal },
		sit:      func(io.Reader) (*os.File, bool) { return s.tty, s.tty != nil },
	}
	if s.unread != nil {
		a.ReaderGone = func(context.Context) <-chan struct{} { return s.unread }
	}
	if s.ctx == nil {
		s.ctx = t.Context()
	}
	return a.run(s.ctx)
}

func text(s string) *string { return &s }

func sampleWorkspace() api.Workspace {
	reset, expires := api.Timestamp(1700000100), api.Timestamp(1700000600)
	return api.Workspace{
		WorkspaceID: testID, Name: text("it's mine"), Labels: map[string]string{"b": "2", "a": "1"},
		Environment: "host", VCPUCount: 2, MemMiB: 512, DiskMiB: 10240, TTLSeconds: 600,
		CreatedAt: 1700000000, LastActivityAt: 1700000001.25, ExpiresAt: &expires, State: api.StateStarted,
		NetworkPolicy: api.NetworkOff, ExecutionMode: api.ModeGuestVsock, Engine: "gvisor", Isolation: "sentry",
		Limits: api.Limits{Why: text("no cgroup can be made here")}, AgentSocket: text("/run/x/agent.sock"),
		WorkspacePath: api.WorkspacePath, WorkspaceSeed: api.Seed{Mode: "directory", SeedPath: text("/src"), Destination: "/workspace", EntryCount: 3, BytesWritten: 17},
		Secrets: []api.Secret{{Name: "TOKEN", SourceKind: "literal"}}, CommandCount: 3,
		LastCommand: &api.LastCommand{Sequence: 3, Command: "printf '\x1b]0;title\x07\n'", Cwd: "/workspace", ExitCode: 7, DurationMS: 5, ExecutionMode: api.ModeGuestVsock},
		ResetCount:  1, LastResetAt: &reset, ServiceCount: 2, RunningServiceCount: 1, Metadata: map[string]string{},
	}
}

func sampleLogs() api.WorkspaceLogs {
	entry := func(n int, command string) api.LogEntry {
		return api.LogEntry{
			LastCommand: api.LastCommand{Sequence: n, Command: command, Cwd: "/workspace", DurationMS: 12, ExecutionMode: api.ModeGuestVsock},
			RecordedAt:  api.Timestamp(1700000000 + n),
		}
	}
	first, second, third := entry(1, "echo a"), entry(2, "sh -c 'printf x;\necho \x1b[31merr >&2'"), entry(3, "sleep 9")
	first.Stdout = "a\n"
	second.Stdout, second.Stderr, second.ExitCode, second.StdoutTruncated = "x", "err", 3, true
	third.ExitCode, third.Reason = -1, text(api.EndedUnknown)
	return api.WorkspaceLogs{WorkspaceID: testID, Count: 3, Entries: []api.LogEntry{first, second, third}}
}

func summaryOf(w api.Workspace) api.WorkspaceSummary {
	return api.WorkspaceSummary{
		WorkspaceID: w.WorkspaceID, Name: w.Name, Labels: w.Labels, Environment: w.Environment, State: w.State,
		CreatedAt: w.CreatedAt, LastActivityAt: w.LastActivityAt, ExpiresAt: w.ExpiresAt,
		CommandCount: w.CommandCount, ServiceCount: w.ServiceCount, RunningServiceCount: w.RunningServiceCount,
	}
}

func sampleDoctor(context.Context, api.DoctorRequest) (*api.Doctor, error) {
	return &api.Doctor{
		Platform: "linux-x86_64", RuntimeOK: true, Issues: []string{"configuration: capacity is 0; correct it"}, Fixed: []string{},
		KVM: api.DoctorKVM{}, Networking: api.DoctorNetworking{TunAvailable: true, IPBinary: text("/sbin/ip")},
		Runtime: &api.DoctorRuntime{
			BundleRoot: "/opt/pyro", BundleVersion: "1.2.3", ComponentVersions: map[string]string{"gvisor": "1"}, CacheDir: "/c",
			Capabilities: api.DoctorCapabilities{SupportsVMBoot: true, SupportsGuestExec: true, Reason: text("no gateway")},
		},
		Engines: []api.DoctorEngine{
			{Name: "gvisor", Available: true, Isolation: "sentry", Weakens: []string{"limits are not enforced: no cgroup"}},
			{Name: "firecracker", Isolation: "microvm", Why: text("/dev/kvm does not exist"), Hint: text("use a machine with KVM"), Weakens: []string{}},
			{Name: "host-compat", Available: true, NeedsConsent: true, Isolation: "none", Weakens: []string{"NO ISOLATION: commands run as you"}},
		},
		Checks: []api.DoctorCheck{
			{Name: "configuration", Result: api.CheckFail, Reason: "capacity is 0", NextStep: text("correct it")},
			{Name: "gvisor", Result: api.CheckOK, Reason: "a sandbox was run"},
			{Name: "limits", Result: api.CheckWarn, Reason: "limits are not enforced: no cgroup", NextStep: text("run as root or in a delegated cgroup")},
			{Name: "state_directory", Result: api.CheckWarn, Reason: "/s\x1b[31m has 7 MiB left"},
			{Name: "workspaces", Result: api.CheckSkip, Reason: "no store"},
		},
	}, nil
}

func lines(list ...string) string { return strings.Join(list, "\n") + "\n" }
