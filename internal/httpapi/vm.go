package httpapi

import (
	"context"
	"net/http"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

func (s *Server) serveCreateVM(w http.ResponseWriter, r *http.Request) {
	req, err := decode[api.CreateRequest](r)
	if err == nil {
		err = req.Check() // what does not count has to be right all the same
	}
	var opts *pyro.CreateOptions
	if err == nil {
		opts, err = optionsOf(req)
	}
	if err != nil {
		fail(w, err)
		return
	}
	vm, err := s.Client.CreateVM(r.Context(), req.Environment, opts)
	answer(w, vm, err)
}

func (s *Server) serveVM(w http.ResponseWriter, r *http.Request)      { ofVM(w, r, s.Client.VM) }
func (s *Server) serveStartVM(w http.ResponseWriter, r *http.Request) { ofVM(w, r, s.Client.StartVM) }

func (s *Server) serveStopVM(w http.ResponseWriter, r *http.Request) { ofVM(w, r, s.Client.StopVM) }

func (s *Server) serveDeleteVM(w http.ResponseWriter, r *http.Request) {
	ofVM(w, r, s.Client.DeleteVM)
}

func (s *Server) serveVMNetwork(w http.ResponseWriter, r *http.Request) {
	ofVM(w, r, s.Client.VMNetwork)
}

// ofVM answers what is asked of one VM.
func ofVM[T any](w http.ResponseWriter, r *http.Request, ask func(context.Context, string) (*T, error)) {
	v, err := ask(r.Context(), r.PathValue("id"))
	answer(w, v, err)
}

func (s *Server) serveExecVM(w http.ResponseWriter, r *http.Request) {
	req, err := decode[api.ExecRequest](r)
	if err != nil {
		fail(w, err)
		return
	}
	done, err := s.Client.ExecVM(r.Context(), r.PathValue("id"), req)
	if done != nil {
		err = nil // it ran: that it was not removed stands in Cleanup
	}
	answer(w, done, err)
}

func (s *Server) serveReapVMs(w http.ResponseWriter, r *http.Request) {
	reaped, err := s.Client.ReapVMs(r.Context())
	answer(w, reaped, err)
}
