package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestGolden holds each command's whole behaviour on one page: exit code, stdout,
// stderr.
func TestGolden(t *testing.T) {
	quiet := api.Workspace{WorkspaceID: testID, Environment: "host", State: api.StateStopped, Limits: api.Limits{Enforced: true}, ExecutionMode: api.ModePending, WorkspaceSeed: api.Seed{Mode: "empty"}, WorkspacePath: "/workspace", NetworkPolicy: "off", Reason: text("supervisor_lost"), VCPUCount: 1, MemMiB: 1024}
	broken := api.WorkspaceList{Count: 2, Workspaces: []api.WorkspaceSummary{
		{WorkspaceID: "bbbbbbbbbbbb", State: api.StateBroken, Reason: text("record.json: checksum\nmismatch")},
		{WorkspaceID: "cccccccccccc", Name: text("\x1b[31mred"), State: api.StateStopped, Environment: "host"},
	}}
	for name, c := range map[string]struct {
		args   []string
		fake   func(*fakeClient)
		doctor func(context.Context, api.DoctorRequest) (*api.Doctor, error)
	}{
		"version":            {args: []string{"version"}},
		"version option":     {args: []string{"--version"}},
		"nothing":            {args: nil},
		"run":                {args: []string{"run", "host", "--", "sh", "-c", "exit 3"}, fake: guest(prints("out\n", "err\n", 3))},
		"run json":           {args: []string{"run", "host", "--json", "--", "sh", "-c", "exit 3"}, fake: guest(prints("zwölf \xff\n", "err\n", 3))},
		"run timeout":        {args: []string{"run", "host", "--timeout", "1", "--", "sleep", "9"}, fake: guest(prints("", "timed out after 1 s\n", 124))},
		"run no command":     {args: []string{"run", "host"}},
		"run no command jsn": {args: []string{"run", "host", "--json"}},
		"run no environment": {args: []string{"run", "--", "true"}},
		"run bad int":        {args: []string{"run", "host", "--vcpu-count", "two", "--", "true"}},
		"run many cpus":      {args: []string{"run", "host", "--vcpu-count", "99", "--", "true"}},
		"run many cpus json": {args: []string{"run", "host", "--vcpu-count", "99", "--json", "--", "true"}},
		"run network":        {args: []string{"run", "host", "--network", "--", "true"}},
		"run guest option":   {args: []string{"run", "host", "ls", "-la"}},
		"run undeletable":    {args: []string{"run", "host", "--json", "true"}, fake: func(c *fakeClient) { c.deleting = func(context.Context) error { return errors.New("device busy") } }},
		"create":             {args: []string{"workspace", "create", "host", "--name", "x"}},
		"create json":        {args: []string{"workspace", "create", "host", "--json"}},
		"create id":          {args: []string{"workspace", "create", "host", "--id-only"}},
		"create exclusive":   {args: []string{"workspace", "create", "host", "--json", "--id-only"}},
		"create no policy":   {args: []string{"workspace", "create", "host", "--network-policy", "nope"}},
		"create egress":      {args: []string{"workspace", "create", "host", "--network-policy", "egress"}},
		"create bad label":   {args: []string{"workspace", "create", "host", "--label", "novalue", "--json"}},
		"create blank name":  {args: []string{"workspace", "create", "host", "--name", "  "}},
		"list":               {args: []string{"workspace", "list"}},
		"list json":          {args: []string{"workspace", "list", "--json"}},
		"list empty":         {args: []string{"workspace", "list"}, fake: func(c *fakeClient) { c.list = api.WorkspaceList{} }},
		"list broken":        {args: []string{"workspace", "list"}, fake: func(c *fakeClient) { c.list = broken }},
		"status":             {args: []string{"workspace", "status", testID}},
		"status quiet":       {args: []string{"workspace", "status", testID}, fake: func(c *fakeClient) { c.status = quiet }},
		"status json":        {args: []string{"workspace", "status", testID, "--json"}},
		"status unknown":     {args: []string{"workspace", "status", "ffffffffffff"}},
		"status no id":       {args: []string{"workspace", "status", "../../x\n[hint] y"}},
		"exec":               {args: []string{"workspace", "exec", testID, "--", "id"}, fake: guest(prints("uid=0\n", "warning\n", 0))},
		"exec json":          {args: []string{"workspace", "exec", testID, "--json", "--", "kill"}, fake: guest(prints("a", "b", -9))},
		"exec missing":       {args: []string{"workspace", "exec"}},
		"exec no command":    {args: []string{"workspace", "exec", testID}},
		"exec no time":       {args: []string{"workspace", "exec", testID, "--timeout-seconds", "-1", "--", "true"}},
		"create seed":        {args: []string{"workspace", "create", "host", "--seed-path", "/src", "--skip-special"}, fake: func(c *fakeClient) { c.status.WorkspaceSeed.SkippedCount = 2 }},
		"create no seed":     {args: []string{"workspace", "create", "host", "--seed-path", "/nowhere"}, fake: func(c *fakeClient) { c.creating = noSource }},
		"create exclude":     {args: []string{"workspace", "create", "host", "--exclude", "*.o"}},
		"create endless":     {args: []string{"workspace", "create", "host", "--ttl-seconds", "none"}, fake: func(c *fakeClient) { c.status = endless() }},
		"create bad ttl":     {args: []string{"workspace", "create", "host", "--ttl-seconds", "soon"}},
		"create compat":      {args: []string{"workspace", "create", "host", "--engine", "host-compat", "--allow-host-compat"}, fake: hostCompat},
		"create compat json": {args: []string{"workspace", "create", "host", "--allow-host-compat", "--json"}, fake: hostCompat},
		"run compat":         {args: []string{"run", "host", "--allow-host-compat", "id"}, fake: hostCompat},
		"exec compat":        {args: []string{"workspace", "exec", testID, "id"}, fake: hostCompat},
		"start compat":       {args: []string{"workspace", "start", testID, "--allow-host-compat"}, fake: hostCompat},
		"stop":               {args: []string{"workspace", "stop", testID}, fake: func(c *fakeClient) { c.status = stopped() }},
		"stop json":          {args: []string{"workspace", "stop", testID, "--json"}, fake: func(c *fakeClient) { c.status = stopped() }},
		"stop refused":       {args: []string{"workspace", "stop", testID, "--json"}, fake: refuses},
		"stop unknown":       {args: []string{"workspace", "stop", "ffffffffffff"}},
		"start":              {args: []string{"workspace", "start", testID}},
		"start json":         {args: []string{"workspace", "start", testID, "--json"}},
		"start refused":      {args: []string{"workspace", "start", testID}, fake: refuses},
		"update":             {args: []string{"workspace", "update", testID, "--name", "x"}},
		"update json":        {args: []string{"workspace", "update", testID, "--clear-name", "--json"}},
		"update nothing":     {args: []string{"workspace", "update", testID}},
		"update exclusive":   {args: []string{"workspace", "update", testID, "--name", "x", "--clear-name"}},
		"update refused":     {args: []string{"workspace", "update", testID, "--name", "x"}, fake: refuses},
		"logs":               {args: []string{"workspace", "logs", testID}},
		"logs json":          {args: []string{"workspace", "logs", testID, "--json"}},
		"logs empty":         {args: []string{"workspace", "logs", testID}, fake: func(c *fakeClient) { c.logs = api.WorkspaceLogs{} }},
		"logs refused":       {args: []string{"workspace", "logs", testID}, fake: refuses},
		"push":               {args: []string{"workspace", "sync", "push", testID, "src"}},
		"push additions":     {args: []string{"workspace", "sync", "push", testID, "src"}, fake: func(c *fakeClient) { c.pushed.UnchangedCount, c.pushed.SkippedCount = 4, 1 }},
		"push json":          {args: []string{"workspace", "sync", "push", testID, "src", "--json"}},
		"push refused":       {args: []string{"workspace", "sync", "push", testID, "src"}, fake: refuses},
		"push missing":       {args: []string{"workspace", "sync", "push", testID}},
		"sync nothing":       {args: []string{"workspace", "sync"}},
		"delete":             {args: []string{"workspace", "delete", testID}},
		"delete json":        {args: []string{"workspace", "delete", testID, "--json"}},
		"delete unknown":     {args: []string{"workspace", "delete", "ffffffffffff", "--json"}},
		"doctor":             {args: []string{"doctor"}, doctor: sampleDoctor},
		"doctor json":        {args: []string{"doctor", "--json"}, doctor: sampleDoctor},
		"doctor bad machine": {args: []string{"doctor"}, doctor: func(context.Context, api.DoctorRequest) (*api.Doctor, error) {
			return &api.Doctor{Platform: "darwin-arm64", Issues: []string{"no engine runs on darwin"}}, nil
		}},
		"doctor elsewhere":   {args: []string{"doctor", "--platform", "linux-aarch64"}, doctor: sampleDoctor},
		"unknown command":    {args: []string{"env", "list"}},
		"unknown here":       {args: []string{"exec", testID, "--", "true"}},
		"unknown subcommand": {args: []string{"workspace", "nonsense"}},
		"help anywhere":      {args: []string{"run", "host", "--help", "--nonsense"}},
		"help unknown":       {args: []string{"help", "nonsense"}},
		"completion unknown": {args: []string{"completion", "tcsh"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{fake: newFake(), doctor: c.doctor}
			if c.fake != nil {
				c.fake(s.fake)
			}
			code := s.run(t, c.args...)
			golden(t, fmt.Sprintf("exit code %d\n--- stdout\n%s--- stderr\n%s", code, s.out.String(), s.err.String()))
		})
	}
}

func guest(run func(context.Context, *fakeProcess) (int, error)) func(*fakeClient) {
	return func(c *fakeClient) { c.guest = run }
}

// TestHelpPages holds the help of every command.
func TestHelpPages(t *testing.T) {
	for _, cmd := range everyCommand((&app{}).tree()) {
		words := strings.Fields(cmd.CommandPath())[1:]
		t.Run(strings.Join(slices.Insert(slices.Clone(words), 0, "help"), " "), func(t *testing.T) {
			s := &session{}
			if code := s.run(t, append(words, "--help")...); code != 0 || s.err.String() != "" {
				t.Errorf("exit code %d, stderr %q", code, s.err.String())
			}
			golden(t, s.out.String())
		})
	}
}

// TestHelpNamesEveryCommand finds one that was put into no group, and so is in none.
func TestHelpNamesEveryCommand(t *testing.T) {
	for _, cmd := range everyCommand((&app{}).tree()) {
		help := helpText(cmd)
		for _, sub := range cmd.Commands() {
			if !strings.Contains(help, "\n  "+sub.Name()+" ") {
				t.Errorf("the help of %s does not name %s", cmd.CommandPath(), sub.Name())
			}
		}
	}
}

// TestEveryGoldenIsUsed finds the page of a test that is no more.
func TestEveryGoldenIsUsed(t *testing.T) {
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var source []byte
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		source = append(source, text...)
	}
	used := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^\t\t"([^"]+)": `).FindAllSubmatch(source, -1) {
		used[strings.ReplaceAll(string(m[1]), " ", "_")] = true
	}
	for _, cmd := range everyCommand((&app{}).tree()) {
		used[strings.Join(append([]string{"help"}, strings.Fields(cmd.CommandPath())[1:]...), "_")] = true
	}
	pages, err := filepath.Glob("testdata/*.golden")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		if !used[strings.TrimSuffix(filepath.Base(page), ".golden")] {
			t.Errorf("%s belongs to no test", page)
		}
	}
}

func hostCompat(c *fakeClient) {
	c.status.ExecutionMode, c.status.Engine, c.status.Isolation = api.ModeHostCompat, api.EngineHostCompat, "none"
}

func refuses(c *fakeClient) {
	c.refusal = &api.Error{Kind: api.Conflict, Op: "workspace", ID: testID, Err: errors.New("is being stopped"), Hint: "wait for it"}
}

func noSource(context.Context) error {
	return &api.Error{Kind: api.NotFound, Op: "seed", Err: errors.New("/nowhere does not exist"), Hint: "name a directory or a tar archive"}
}

func endless() api.Workspace {
	w := sampleWorkspace()
	w.TTLSeconds, w.ExpiresAt, w.IdleSeconds, w.Limits = api.Forever, nil, 900, api.Limits{Enforced: true}
	return w
}

func stopped() api.Workspace {
	w := sampleWorkspace()
	saved := api.Timestamp(1700000050.5)
	w.State, w.Reason, w.ExecutionMode, w.LastSavedAt, w.AgentSocket = api.StateStopped, text("idle"), api.ModePending, &saved, nil
	return w
}

func golden(t *testing.T, got string) {
	t.Helper()
	path := filepath.Join("testdata", filepath.Base(t.Name())+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}
