package httpapi

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

// fallback answers about a workspace that does not run, from what is recorded.
type fallback func(ws *pyro.Workspace, w http.ResponseWriter, r *http.Request)

func recordedLogs(ws *pyro.Workspace, w http.ResponseWriter, r *http.Request) {
	read := ws.Logs
	if r.URL.Query().Get("all") == "true" {
		read = ws.History
	}
	logs, err := read(r.Context(), int(number(r, "last")))
	answer(w, logs, err)
}

func recordedShells(ws *pyro.Workspace, w http.ResponseWriter, r *http.Request) {
	list, err := ws.Shells(r.Context())
	answer(w, list, err)
}

func recordedServices(ws *pyro.Workspace, w http.ResponseWriter, r *http.Request) {
	list, err := ws.Services(r.Context())
	answer(w, list, err)
}

func recordedSecrets(ws *pyro.Workspace, w http.ResponseWriter, r *http.Request) {
	list, err := ws.Secrets(r.Context())
	answer(w, list, err)
}

func recordedSnapshots(ws *pyro.Workspace, w http.ResponseWriter, r *http.Request) {
	list, err := ws.Snapshots(r.Context())
	answer(w, list, err)
}

func recordedSummary(ws *pyro.Workspace, w http.ResponseWriter, r *http.Request) {
	summary, err := ws.Summary(r.Context())
	answer(w, summary, err)
}

func recordedEvents(ws *pyro.Workspace, w http.ResponseWriter, r *http.Request) {
	list, err := ws.Events(r.Context(), number(r, "after"))
	answer(w, list, err)
}

// recordedFollow sends the events that there are: none will come.
func recordedFollow(ws *pyro.Workspace, w http.ResponseWriter, r *http.Request) {
	after := number(r, "after")
	list, err := ws.Events(r.Context(), after)
	if err != nil {
		fail(w, err)
		return
	}
	pour(w, func(to io.Writer) error {
		for _, e := range list.Events {
			if err := sendFrame(to, frameStdout, e); err != nil {
				return err
			}
			after = e.Sequence
		}
		return sendFrame(to, frameExit, api.EventsEnd{WorkspaceID: ws.ID(), LastSequence: after})
	})
}

// number reads a number of a query, which has been checked; 0 where there is none.
func number(r *http.Request, name string) int64 {
	n, _ := strconv.ParseInt(r.URL.Query().Get(name), 10, 64)
	return n
}

// The frames of api.Frames that this side makes, see docs/protocol.md.
const (
	frameStdout = 'o'
	frameExit   = 'x'
)

// pour answers with frames.
func pour(w http.ResponseWriter, send func(io.Writer) error) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		fail(w, &api.Error{Kind: api.Internal, Err: err})
		return
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetWriteDeadline(time.Now().Add(writeTime))
	_, err = fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", api.Frames)
	if err == nil {
		err = send(rw)
	}
	if err == nil {
		_ = rw.Flush() // a client that went away is no error of ours
	}
}

func sendFrame(to io.Writer, kind byte, v any) error {
	payload, err := json.Marshal(v)
	if err != nil {
		return err
	}
	head := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(payload)))
	if _, err := to.Write(head); err != nil {
		return err
	}
	_, err = to.Write(payload)
	return err
}

// detached is a context for what is to be done although nobody waits for it any more.
func detached(ctx context.Context, patience time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), patience)
}
