package httpapi

import (
	"errors"
	"net/http"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

// capabilities name what this API can do beyond that of a supervisor.
var capabilities = []string{
	"create", "list", "lease", "run", "prepare", "environments", "doctor", "vms", "start", "reset", "fork", "disk", "openapi", "metrics",
	"exec", "exec-frames", "delete", "stop", "update", "logs", "sync", "shells", "services", "secrets", "events", "summary", "files", "patch", "snapshots", "diff",
}

func (s *Server) serveHello(w http.ResponseWriter, _ *http.Request) {
	hello := api.Hello{Version: s.Version, API: api.APIVersion, Capabilities: capabilities}
	if s.MCP != nil {
		hello.Capabilities = append(hello.Capabilities[:len(hello.Capabilities):len(hello.Capabilities)], "mcp")
	}
	answer(w, hello, nil)
}

func (s *Server) serveEnvironments(w http.ResponseWriter, r *http.Request) {
	found, err := s.Client.Environments(r.Context())
	list := api.EnvironmentList{Environments: found}
	if len(found) > 0 {
		list.CatalogVersion = found[0].CatalogVersion
	}
	answer(w, list, err)
}

func (s *Server) serveDoctor(w http.ResponseWriter, r *http.Request) {
	if s.Doctor == nil {
		fail(w, &api.Error{Kind: api.Unsupported, Op: "doctor", Hint: "run `pyro doctor` on the machine itself", Err: errors.New("this server cannot look at its machine")})
		return
	}
	found, err := s.Doctor(r.Context(), api.DoctorRequest{Environment: r.URL.Query().Get("environment")})
	answer(w, found, err)
}

func (s *Server) servePrepare(w http.ResponseWriter, r *http.Request) {
	req, err := decode[api.PrepareRequest](r)
	if err != nil {
		fail(w, err)
		return
	}
	done, err := s.Client.Prepare(r.Context(), req.Environment, &pyro.PrepareOptions{Force: req.Force, Network: req.Network, AllowHostCompat: req.AllowHostCompat})
	answer(w, done, err)
}

func (s *Server) serveRun(w http.ResponseWriter, r *http.Request) {
	req, err := decode[api.RunRequest](r)
	var opts *pyro.CreateOptions
	if err == nil {
		opts, err = optionsOf(req.Workspace)
	}
	if err != nil {
		fail(w, err)
		return
	}
	done, err := s.Client.Run(r.Context(), req.Workspace.Environment, &pyro.RunOptions{CreateOptions: *opts, Exec: req.Exec})
	if done != nil {
		err = nil // it ran: that it was not removed stands in Cleanup, and its lease ends with ours
	}
	answer(w, done, err)
}
