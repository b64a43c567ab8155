package supervisor

import (
	"net/http"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/journal"
	"github.com/pyro-sandbox/pyro/internal/wire"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// routeLive adds what is about shells, services and secrets.
func (s *supervisor) routeLive(mux *http.ServeMux) {
	mux.HandleFunc("POST /v1/shells", s.serveOpenShell)
	mux.HandleFunc("GET /v1/shells", s.serveShells)
	mux.HandleFunc("GET /v1/shells/{id}", s.serveShell)
	mux.HandleFunc("GET /v1/shells/{id}/output", s.serveReadShell)
	mux.HandleFunc("POST /v1/shells/{id}/input", s.serveWriteShell)
	mux.HandleFunc("POST /v1/shells/{id}/signal", s.serveSignalShell)
	mux.HandleFunc("POST /v1/shells/{id}/resize", s.serveResizeShell)
	mux.HandleFunc("POST /v1/shells/{id}/attach", s.serveAttachShell)
	mux.HandleFunc("DELETE /v1/shells/{id}", s.serveCloseShell)
	mux.HandleFunc("POST /v1/services", s.serveStartService)
	mux.HandleFunc("GET /v1/services", s.serveServices)
	mux.HandleFunc("GET /v1/services/{name}", s.serveService)
	mux.HandleFunc("GET /v1/services/{name}/logs", s.serveServiceLogs)
	mux.HandleFunc("POST /v1/services/{name}/logs/follow", s.serveFollowService)
	mux.HandleFunc("POST /v1/services/{name}/stop", s.serveStopService)
	mux.HandleFunc("POST /v1/services/{name}/restart", s.serveRestartService)
	mux.HandleFunc("GET /v1/secrets", s.serveSecrets)
	mux.HandleFunc("PUT /v1/secrets/{name}", s.serveSetSecret)
	mux.HandleFunc("DELETE /v1/secrets/{name}", s.serveUnsetSecret)
}

// answer answers a request that is done, or says why it is not.
func (s *supervisor) answer(w http.ResponseWriter, op string, v any, err error) {
	if err == nil {
		reply(w, v)
		return
	}
	write(w, api.KindOf(err).Status(), s.excuse(api.About(op, s.ID, err)))
}

// excuse is an error for a client. What a guest says in one is no place for secrets either.
func (s *supervisor) excuse(err error) api.ErrorReply {
	reply := api.ReplyTo(err)
	reply.Error = s.redact(reply.Error)
	return reply
}

// touch notes that somebody did something in the workspace.
func (s *supervisor) touch() {
	s.note(func(r *workspace.Record) { r.LastActivityAt = api.At(s.Now()) })
}

// maxGuestText bounds what of a guest's text is passed on or kept, in bytes.
const maxGuestText = wire.MaxErrorText

// said is a text of the guest's as it is passed on. Secrets go before it is cut, or what
// is left of one would not be known.
func (s *supervisor) said(text string) string { return clip(s.redact(text)) }

func clip(text string) string {
	clipped, _ := journal.Clip(text, maxGuestText)
	return clipped
}
