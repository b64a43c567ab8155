package httpapi

import (
	"context"
	"net/http"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

// What waits, tries again or works without a supervisor is the SDK's to do.

func (s *Server) serveList(w http.ResponseWriter, r *http.Request) {
	list, err := s.Client.List(r.Context())
	answer(w, list, err)
}

func (s *Server) serveStatus(w http.ResponseWriter, r *http.Request) {
	s.one(w, r, func(ctx context.Context, ws *pyro.Workspace) (any, error) { return ws.Status(ctx) })
}

func (s *Server) serveUpdate(w http.ResponseWriter, r *http.Request) {
	oneWith(s, w, r, func(ctx context.Context, ws *pyro.Workspace, req api.UpdateRequest) (any, error) {
		return ws.Update(ctx, req)
	})
}

func (s *Server) serveDelete(w http.ResponseWriter, r *http.Request) {
	gone, err := s.Client.Delete(r.Context(), r.PathValue("id"))
	if err == nil {
		s.known.forget(gone.WorkspaceID)
	}
	answer(w, gone, err)
}

func (s *Server) serveStart(w http.ResponseWriter, r *http.Request) {
	req, err := decode[api.StartRequest](r)
	if err != nil {
		fail(w, err)
		return
	}
	ws, err := s.Client.Start(r.Context(), r.PathValue("id"), req)
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, ws.Seen(), nil)
}

func (s *Server) serveStop(w http.ResponseWriter, r *http.Request) {
	oneWith(s, w, r, func(ctx context.Context, ws *pyro.Workspace, req api.StopRequest) (any, error) {
		return ws.Stop(ctx, req)
	})
}

func (s *Server) serveFork(w http.ResponseWriter, r *http.Request) {
	oneWith(s, w, r, func(ctx context.Context, ws *pyro.Workspace, req api.ForkRequest) (any, error) {
		return ws.Fork(ctx, req)
	})
}

func (s *Server) serveReset(w http.ResponseWriter, r *http.Request) {
	oneWith(s, w, r, func(ctx context.Context, ws *pyro.Workspace, req api.ResetRequest) (any, error) {
		return ws.Reset(ctx, req)
	})
}

func (s *Server) serveDeleteSnapshot(w http.ResponseWriter, r *http.Request) {
	s.one(w, r, func(ctx context.Context, ws *pyro.Workspace) (any, error) {
		return ws.DeleteSnapshot(ctx, r.PathValue("snapshot"))
	})
}

// one answers what is asked of one workspace.
func (s *Server) one(w http.ResponseWriter, r *http.Request, do func(context.Context, *pyro.Workspace) (any, error)) {
	ws, err := s.known.get(r.Context(), s.Client, r.PathValue("id"))
	if err != nil {
		fail(w, err)
		return
	}
	v, err := do(r.Context(), ws.Workspace)
	s.known.heed(ws.ID(), err)
	answer(w, v, err)
}

// oneWith is one with a body.
func oneWith[T any](s *Server, w http.ResponseWriter, r *http.Request, do func(context.Context, *pyro.Workspace, T) (any, error)) {
	req, err := decode[T](r)
	if err != nil {
		fail(w, err)
		return
	}
	s.one(w, r, func(ctx context.Context, ws *pyro.Workspace) (any, error) { return do(ctx, ws, req) })
}
