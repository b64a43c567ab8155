package cli

import (
	"context"
	"fmt"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
)

func TestDoctorPages(t *testing.T) {
	healthy := func(context.Context, api.DoctorRequest) (*api.Doctor, error) {
		return &api.Doctor{
			Platform: "linux-x86_64", RuntimeOK: true, Issues: []string{},
			Runtime: &api.DoctorRuntime{CacheDir: "/c"}, Engines: []api.DoctorEngine{{Name: "gvisor", Isolation: "sentry", Available: true}},
			Checks: []api.DoctorCheck{{Name: "a", Result: api.CheckOK, Reason: "fine"}, {Name: "b", Result: api.CheckOK, Reason: "fine"}},
		}, nil
	}
	fixing := func(ctx context.Context, req api.DoctorRequest) (*api.Doctor, error) {
		d, err := healthy(ctx, req)
		if req.Fix {
			d.Fixed = []string{"one-shot sandbox 0123456789ab", "directory /r/\x1b[31m"}
		}
		return d, err
	}
	for name, c := range map[string]struct {
		args   []string
		doctor func(context.Context, api.DoctorRequest) (*api.Doctor, error)
	}{
		"doctor healthy":    {[]string{"doctor"}, healthy},
		"doctor fix":        {[]string{"doctor", "--fix"}, fixing},
		"doctor no fix":     {[]string{"doctor"}, fixing},
		"doctor fix clean":  {[]string{"doctor", "--fix"}, healthy},
		"doctor no machine": {[]string{"doctor"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{doctor: c.doctor}
			code := s.run(t, c.args...)
			golden(t, fmt.Sprintf("exit code %d\n--- stdout\n%s--- stderr\n%s", code, s.out.String(), s.err.String()))
		})
	}
}

func TestDoctorIsAskedWhatWasTyped(t *testing.T) {
	for line, want := range map[string]api.DoctorRequest{
		"":                          {},
		"--fix":                     {Fix: true},
		"--environment=host --json": {Environment: "host"},
		"--env debian:12 --fix":     {Environment: "debian:12", Fix: true},
	} {
		t.Run(line, func(t *testing.T) {
			var got api.DoctorRequest
			s := &session{doctor: func(ctx context.Context, req api.DoctorRequest) (*api.Doctor, error) {
				got = req
				return sampleDoctor(ctx, req)
			}}
			if code := s.run(t, append([]string{"doctor"}, fields(line)...)...); code != 0 || got != want {
				t.Errorf("exit code %d, asked %+v, want %+v", code, got, want)
			}
		})
	}
}
