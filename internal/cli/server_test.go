package cli

import (
	"context"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
)

// Doctor is what a server says of its machine.
func (c *fakeClient) Doctor(_ context.Context, req api.DoctorRequest) (*api.Doctor, error) {
	return &api.Doctor{Platform: "linux-far", RuntimeOK: true, Issues: []string{req.Environment}}, nil
}

func TestURLNamesTheServer(t *testing.T) {
	const url = "unix:///run/api.sock"
	for name, c := range map[string]struct {
		environ []string
		args    []string
		want    string
	}{
		"before the command": {nil, []string{"--url", url, "workspace", "list"}, url},
		"after the command":  {nil, []string{"workspace", "list", "--url=" + url}, url},
		"before a group":     {nil, []string{"workspace", "--url", url, "list"}, url},
		"in the environment": {[]string{"PYRO_URL=" + url}, []string{"workspace", "list"}, url},
		"typed wins":         {[]string{"PYRO_URL=unix:///else"}, []string{"--url", url, "workspace", "list"}, url},
		"taken back":         {[]string{"PYRO_URL=" + url, "PYRO_URL="}, []string{"workspace", "list"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{environ: c.environ}
			if code := s.run(t, c.args...); code != 0 {
				t.Fatalf("exit code %d: %s", code, s.err.String())
			}
			if got := (&app{Env: Env{Environ: s.fake.environ}}).server(); got != c.want {
				t.Errorf("the client is for %q, want %q", got, c.want)
			}
		})
	}
}

func TestURLIsRefused(t *testing.T) {
	for line, want := range map[string]string{
		"--url unix:///s config show":           "about this machine",
		"--url unix:///s host doctor":           "about this machine",
		"completion bash --url unix:///s":       "about this machine",
		"--url= workspace list":                 "the URL is empty",
		"--url":                                 "expected one argument",
		"workspace list --ur unix:///s --jsonn": "unrecognized arguments: --jsonn",
	} {
		t.Run(line, func(t *testing.T) {
			s := &session{}
			if code := s.run(t, fields(line)...); code != exitUsage || !strings.Contains(s.err.String(), want) {
				t.Errorf("exit code %d: %s", code, s.err.String())
			}
		})
	}
}

func TestDoctorAsksTheServer(t *testing.T) {
	s := &session{doctor: func(context.Context, api.DoctorRequest) (*api.Doctor, error) {
		t.Error("this machine was looked at")
		return sampleDoctor(t.Context(), api.DoctorRequest{})
	}}
	if code := s.run(t, "--url", "unix:///s", "doctor", "--environment", "host"); code != 0 || !strings.Contains(s.out.String(), "Platform: linux-far") {
		t.Errorf("exit code %d: %s%s", code, s.out.String(), s.err.String())
	}
}
