package cli

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

// fakePreparing is what a fake client does when it is to prepare.
type fakePreparing struct {
	asked []pyro.PrepareOptions
	err   error
}

func (c *fakeClient) Prepare(_ context.Context, environment string, opts *pyro.PrepareOptions) (*api.Prepare, error) {
	step := opts.Step
	opts.Step = nil
	c.preparing.asked = append(c.preparing.asked, *opts)
	if c.preparing.err != nil {
		return nil, c.preparing.err
	}
	done := &api.Prepare{
		Environment: environment, State: api.Warm, StateBefore: api.Warm, PreparedAt: 1700000000, Engine: "gvisor", DurationMS: 30,
		Steps: []api.PrepareStep{{Name: "create", DurationMS: 10}, {Name: "exec", DurationMS: 20}},
	}
	if opts.Force {
		step("create")
		step("exec")
		done.Executed, done.Reason = true, text("it was asked for")
	}
	return done, nil
}

func TestPrepare(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		err  error
	}{
		"prepare":         {args: []string{"prepare"}},
		"prepare force":   {args: []string{"prepare", "host", "--force"}},
		"prepare json":    {args: []string{"prepare", "--force", "--json"}},
		"prepare network": {args: []string{"prepare", "--network"}},
		"prepare two":     {args: []string{"prepare", "host", "other"}},
		"prepare failed": {args: []string{"prepare"}, err: &api.Error{
			Kind: api.Unsupported, Op: "prepare", ID: "host", Hint: "run `pyro doctor`", Err: errors.New("no engine works here"),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{fake: newFake()}
			s.fake.preparing.err = c.err
			code := s.run(t, c.args...)
			golden(t, fmt.Sprintf("exit code %d\n--- stdout\n%s--- stderr\n%s", code, s.out.String(), s.err.String()))
		})
	}
}

func TestPrepareOptions(t *testing.T) {
	s := &session{fake: newFake()}
	if code := s.run(t, "prepare", "--force", "--allow-host-compat"); code != 0 {
		t.Fatalf("exit code %d: %s", code, s.err.String())
	}
	want := []pyro.PrepareOptions{{Force: true, AllowHostCompat: true}}
	if diff := cmp.Diff(want, s.fake.preparing.asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func TestDoctorOfAnEnvironment(t *testing.T) {
	at := api.Timestamp(1700000000)
	for name, state := range map[string]api.EnvironmentState{
		"doctor cold":  {Name: "host", State: api.Cold, Reason: text("it was never prepared")},
		"doctor stale": {Name: "host", State: api.Stale, Reason: text("the kernel has changed since"), PreparedAt: &at},
		"doctor warm":  {Name: "host", State: api.Warm, PreparedAt: &at},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{doctor: func(_ context.Context, req api.DoctorRequest) (*api.Doctor, error) {
				if req.Environment != "host" {
					t.Errorf("asked for %q", req.Environment)
				}
				return &api.Doctor{Platform: "linux-x86_64", RuntimeOK: true, Environment: &state}, nil
			}}
			code := s.run(t, "doctor", "--environment", "host")
			golden(t, fmt.Sprintf("exit code %d\n--- stdout\n%s--- stderr\n%s", code, s.out.String(), s.err.String()))
		})
	}
}

func TestRepositoryAsASeed(t *testing.T) {
	for name, args := range map[string][]string{
		"repo two seeds":  {"workspace", "create", "host", "--seed-path", "/x", "--repo-url", "https://example.org/a"},
		"repo only a ref": {"workspace", "create", "host", "--repo-ref", "main"},
		"repo no address": {"workspace", "create", "host", "--repo-url", "ext::sh -c true"},
		"repo option ref": {"run", "host", "--repo-url", "https://example.org/a", "--repo-ref=-x", "--", "true"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{fake: newFake()}
			code := s.run(t, args...)
			golden(t, fmt.Sprintf("exit code %d\n--- stdout\n%s--- stderr\n%s", code, s.out.String(), s.err.String()))
		})
	}
	s := &session{fake: newFake()}
	if code := s.run(t, "workspace", "create", "host", "--repo-url", "https://example.org/a", "--repo-ref", "v1", "--exclude", "*.bin", "--id-only"); code != 0 {
		t.Fatalf("exit code %d: %s", code, s.err.String())
	}
	got := s.fake.seeds[0].sdk()
	got.Progress = nil
	want := &pyro.Source{Exclude: []string{"*.bin"}, Repository: &pyro.Repository{URL: "https://example.org/a", Ref: "v1"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("seed (-want +got):\n%s", diff)
	}
}
