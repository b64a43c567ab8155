package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
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
		doctor func(context.Context) (*api.Doctor, error)
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
		"delete":             {args: []string{"workspace", "delete", testID}},
		"delete json":        {args: []string{"workspace", "delete", testID, "--json"}},
		"delete unknown":     {args: []string{"workspace", "delete", "ffffffffffff", "--json"}},
		"doctor":             {args: []string{"doctor"}, doctor: sampleDoctor},
		"doctor json":        {args: []string{"doctor", "--json"}, doctor: sampleDoctor},
		"doctor bad machine": {args: []string{"doctor"}, doctor: func(context.Context) (*api.Doctor, error) {
			return &api.Doctor{Platform: "darwin-arm64", Issues: []string{"no engine runs on darwin"}}, nil
		}},
		"doctor elsewhere":      {args: []string{"doctor", "--platform", "linux-aarch64"}, doctor: sampleDoctor},
		"unknown command":       {args: []string{"env", "list"}},
		"unknown subcommand":    {args: []string{"workspace", "sync"}},
		"help":                  {args: []string{"--help"}},
		"help run":              {args: []string{"run", "host", "--help", "--nonsense"}},
		"help workspace":        {args: []string{"help", "workspace"}},
		"help workspace create": {args: []string{"workspace", "create", "-h"}},
		"help workspace exec":   {args: []string{"help", "workspace", "exec"}},
		"help doctor":           {args: []string{"doctor", "--help"}},
		"help unknown":          {args: []string{"help", "nonsense"}},
		"completion unknown":    {args: []string{"completion", "tcsh"}},
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
