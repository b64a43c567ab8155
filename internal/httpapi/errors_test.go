package httpapi

import (
	"archive/tar"
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
)

func platformOf(_ context.Context, req api.DoctorRequest) (*api.Doctor, error) {
	return &api.Doctor{Platform: "asked about " + req.Environment}, nil
}

func tarOf(name, text string) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	_ = w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(text))})
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.Bytes()
}

func TestErrorsHaveKindAndStatus(t *testing.T) {
	s := serve(t)
	at := "/v1/workspaces/" + s.create().ID()
	stopped := s.create()
	if _, err := stopped.Stop(t.Context(), api.StopRequest{}); err != nil {
		t.Fatal(err)
	}
	const nobody = "/v1/workspaces/0123456789ab"
	for name, c := range map[string]struct {
		method, path string
		body         any
		status       int
		kind         api.Kind
	}{
		"an unknown path":                  {"GET", "/v1/nothing", nil, 404, api.NotFound},
		"a path above":                     {"GET", "/v1/workspaces/../hello", nil, 404, api.NotFound},
		"an escaped path above":            {"GET", at + "/shells/%2e%2e", nil, 404, api.NotFound},
		"an empty part":                    {"GET", "//v1/hello", nil, 404, api.NotFound},
		"a slash at the end":               {"GET", "/v1/hello/", nil, 404, api.NotFound},
		"a wrong method":                   {"POST", "/v1/hello", nil, 405, api.Invalid},
		"an odd method":                    {"BREW", "/v1/hello", nil, 405, api.Invalid},
		"what a supervisor alone has":      {"POST", at + "/forks", "{}", 404, api.NotFound},
		"an event that is ours to tell":    {"POST", at + "/events", api.Event{Kind: api.EventDeleted}, 400, api.Invalid},
		"a supervisor's hello":             {"GET", at + "/hello", nil, 404, api.NotFound},
		"no such workspace":                {"GET", nobody, nil, 404, api.NotFound},
		"an id that is none":               {"GET", "/v1/workspaces/x", nil, 400, api.Invalid},
		"exec where there is none":         {"POST", nobody + "/exec", api.ExecRequest{Argv: []string{"true"}}, 404, api.NotFound},
		"delete where there is none":       {"DELETE", nobody, nil, 404, api.NotFound},
		"a VM where there is none":         {"GET", "/v1/vms/0123456789ab", nil, 404, api.NotFound},
		"an environment that is none":      {"POST", "/v1/workspaces", api.CreateRequest{Environment: "nowhere"}, 404, api.NotFound},
		"a value outside its limits":       {"POST", "/v1/workspaces", api.CreateRequest{Environment: "host", MemMiB: 1}, 400, api.Invalid},
		"a time to live without sense":     {"POST", "/v1/workspaces", api.CreateRequest{Environment: "host", TTLSeconds: -7}, 400, api.Invalid},
		"a seed in JSON":                   {"POST", "/v1/workspaces", api.CreateRequest{Environment: "host", Seed: &api.Seed{}}, 400, api.Invalid},
		"an unknown field":                 {"POST", "/v1/workspaces", `{"environment":"host","color":"red"}`, 400, api.Invalid},
		"no JSON":                          {"POST", "/v1/workspaces", `{`, 400, api.Invalid},
		"nothing":                          {"POST", "/v1/workspaces", ``, 400, api.Invalid},
		"two values":                       {"POST", "/v1/workspaces", `{"environment":"host"}{}`, 400, api.Invalid},
		"a wrong type":                     {"POST", "/v1/workspaces", `{"environment":5}`, 400, api.Invalid},
		"an unknown parameter":             {"GET", "/v1/workspaces?x=1", nil, 400, api.Invalid},
		"a parameter that is no number":    {"GET", at + "/logs?last=some", nil, 400, api.Invalid},
		"a command that is none":           {"POST", at + "/exec", api.ExecRequest{}, 400, api.Invalid},
		"a file that is not there":         {"GET", at + "/files/stat?path=x", nil, 404, api.NotFound},
		"a path outside":                   {"GET", at + "/files/stat?path=/etc/passwd", nil, 400, api.Invalid},
		"a shell that is not there":        {"GET", at + "/shells/0123456789ab", nil, 404, api.NotFound},
		"a service that is not there":      {"POST", at + "/services/x/stop", nil, 404, api.NotFound},
		"the disk of one that runs":        {"GET", at + "/disk/list", nil, 409, api.Conflict},
		"exec in a stopped one":            {"POST", "/v1/workspaces/" + stopped.ID() + "/exec", api.ExecRequest{Argv: []string{"true"}}, 409, api.Conflict},
		"a file of a stopped one":          {"GET", "/v1/workspaces/" + stopped.ID() + "/files/stat?path=x", nil, 409, api.Conflict},
		"a service of a stopped one":       {"GET", "/v1/workspaces/" + stopped.ID() + "/services/x", nil, 409, api.Conflict},
		"doctor without one":               {"GET", "/v1/doctor", nil, 501, api.Unsupported},
		"MCP without it":                   {"POST", "/mcp", "{}", 501, api.Unsupported},
		"a network that there is not":      {"POST", "/v1/prepare", api.PrepareRequest{Environment: "host", Network: true}, 501, api.Unsupported},
		"a body without a type":            {"POST", "/v1/workspaces", nil, 415, api.Invalid},
		"a body of bytes":                  {"POST", "/v1/workspaces", strings.NewReader(`{"environment":"host"}`), 415, api.Invalid},
		"a body of bytes for a supervisor": {"POST", at + "/exec", strings.NewReader(`{"argv":["true"]}`), 415, api.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.ask(c.method, c.path, c.body)
			e := got.failure(t)
			if got.status != c.status || e.Kind != c.kind {
				t.Errorf("status %d and kind %s, want %d and %s: %s", got.status, e.Kind, c.status, c.kind, e.Error)
			}
			if got.header.Get("Content-Type") != "application/json" || got.header.Get("X-Request-Id") == "" {
				t.Errorf("headers %v", got.header)
			}
			if c.status == http.StatusMethodNotAllowed && got.header.Get("Allow") == "" {
				t.Error("it does not say which methods there are")
			}
			if c.status == http.StatusConflict && !strings.Contains(e.Hint, "pyro workspace st") {
				t.Errorf("the hint %q names no next step", e.Hint)
			}
		})
	}
}
