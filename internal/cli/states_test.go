package cli

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
)

func TestStateRequests(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want any
	}{
		"snapshot":      {[]string{"snapshot", "create", testID, " green "}, api.SnapshotRequest{SnapshotName: "green"}},
		"delete":        {[]string{"snapshot", "delete", testID, "green"}, "delete snapshot green"},
		"reset":         {[]string{"reset", testID}, api.ResetRequest{Snapshot: "baseline"}},
		"reset to":      {[]string{"reset", testID, "--snapshot", "green", "--allow-host-compat"}, api.ResetRequest{Snapshot: "green", AllowHostCompat: true}},
		"fork":          {[]string{"fork", testID}, api.ForkRequest{Count: 1}},
		"forks":         {[]string{"fork", testID, "-n", "4", "--name", "try", "--from", "green"}, api.ForkRequest{Count: 4, Name: "try", From: "green"}},
		"memory":        {[]string{"fork", testID, "--memory"}, api.ForkRequest{Count: 1, Memory: true}},
		"history":       {[]string{"logs", testID, "--all", "--last", "2"}, []any{"history", 2}},
		"since a reset": {[]string{"logs", testID}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{}
			if code := s.run(t, append([]string{"workspace"}, test.args...)...); code != 0 {
				t.Fatalf("exit %d: %s", code, s.err.String())
			}
			if diff := cmp.Diff([]any{test.want}, s.fake.asked); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestStateMisuse(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"reserved name":    {[]string{"snapshot", "create", testID, "baseline"}, "reserved"},
		"odd name":         {[]string{"snapshot", "create", testID, "a/b"}, "does not match"},
		"no forks":         {[]string{"fork", testID, "-n", "0"}, "count is 0"},
		"many forks":       {[]string{"fork", testID, "-n", "65"}, "allowed are 1 to 64"},
		"memory of one":    {[]string{"fork", testID, "--memory", "--from", "green"}, "the disk alone"},
		"id-only and json": {[]string{"fork", testID, "--id-only", "--json"}, "not allowed"},
		"unset state":      {[]string{"reset", testID, "--snapshot", ""}, "--snapshot is empty"},
		"unset source":     {[]string{"fork", testID, "--from="}, "--from is empty"},
		"unset name":       {[]string{"fork", testID, "--name", " "}, "--name is empty"},
		"odd state":        {[]string{"reset", testID, "--snapshot", "a b"}, "does not match"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{}
			if code := s.run(t, append([]string{"workspace"}, test.args...)...); code == 0 || !strings.Contains(s.err.String()+s.out.String(), test.want) {
				t.Errorf("exit %d: %s%s", code, s.out.String(), s.err.String())
			}
			if len(s.fake.asked) > 0 {
				t.Errorf("asked for %v", s.fake.asked)
			}
		})
	}
}

// TestStatePages holds what the commands about snapshots, resets and forks print.
func TestStatePages(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		fake func(*fakeClient)
	}{
		"snapshot create":         {args: []string{"snapshot", "create", testID, "green"}},
		"snapshot create json":    {args: []string{"snapshot", "create", testID, "green", "--json"}},
		"snapshot create refused": {args: []string{"snapshot", "create", testID, "green"}, fake: refuses},
		"snapshot list":           {args: []string{"snapshot", "list", testID}},
		"snapshot list json":      {args: []string{"snapshot", "list", testID, "--json"}},
		"snapshot delete":         {args: []string{"snapshot", "delete", testID, "green"}},
		"snapshot delete json":    {args: []string{"snapshot", "delete", testID, "green", "--json"}},
		"reset":                   {args: []string{"reset", testID, "--snapshot", "green"}},
		"reset json":              {args: []string{"reset", testID, "--snapshot", "green", "--json"}},
		"reset refused":           {args: []string{"reset", testID, "--json"}, fake: refuses},
		"fork":                    {args: []string{"fork", testID}},
		"fork two":                {args: []string{"fork", testID, "-n", "2", "--name", "try", "--from", "green"}},
		"fork ids":                {args: []string{"fork", testID, "-n", "2", "--id-only"}},
		"fork json":               {args: []string{"fork", testID, "-n", "2", "--json"}},
		"fork memory":             {args: []string{"fork", testID, "--memory"}},
		"fork refused":            {args: []string{"fork", testID}, fake: refuses},
		"logs all":                {args: []string{"logs", testID, "--all"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{fake: newFake()}
			if c.fake != nil {
				c.fake(s.fake)
			}
			code := s.run(t, append([]string{"workspace"}, c.args...)...)
			golden(t, fmt.Sprintf("exit code %d\n--- stdout\n%s--- stderr\n%s", code, s.out.String(), s.err.String()))
		})
	}
}

func TestStateCompletion(t *testing.T) {
	fake := newFake()
	const red, green = "red\t2023-11-14 22:16:40 UTC", "green\t2023-11-14 22:15:00 UTC"
	for line, want := range map[string][]string{
		"workspace snapshot delete " + testID + " ":  {red, green, ":4"},
		"workspace snapshot delete " + testID + " g": {green, ":4"},
		"workspace reset " + testID + " --snapshot ": {"baseline\t2023-11-14 22:13:20 UTC", red, green, ":4"},
		"workspace fork " + testID + " --from=r":     {red, ":4"},
		"workspace snapshot create " + testID + " ":  {":4"},
		"workspace fork " + testID + " --number ":    {":4"},
		"workspace diff " + testID + " --against g":  {green, ":4"},
		"workspace snapshot delete ffffffffffff ":    {":4"},
	} {
		got := completionsOf(t, fake, line)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", line, diff)
		}
	}
}
