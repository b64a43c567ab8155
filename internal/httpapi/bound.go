package httpapi

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

// How much a request may bring, and how long that may take.
const (
	maxBody    = 8 << 20          // bytes of JSON, as supervisors have it
	bodyTime   = 30 * time.Second // for all of it
	pieceTime  = time.Minute      // for the next piece of a stream
	writeTime  = time.Minute      // for a client to take a piece of an answer
	streamTime = time.Hour        // the same of frames: somebody may be reading them on a screen
)

// admit looks at what can be seen of a request before its body.
func (r *route) admit(req *http.Request) error {
	if protocol := req.Header.Get("Upgrade"); protocol != "" && !(r.frames && protocol == api.Frames) {
		return &api.Error{Kind: api.Invalid, Hint: "leave the header Upgrade out", Err: fmt.Errorf("%s cannot become %s here", r.path, clip(protocol))}
	}
	if r.frames && req.Header.Get("Upgrade") == "" && (r.answer == nil || req.URL.Query().Get("format") == "patch") {
		return &refusal{http.StatusUpgradeRequired, &api.Error{
			Kind: api.Invalid, Hint: "send the headers Connection: Upgrade and Upgrade: " + api.Frames,
			Err: errors.New("it answers in frames alone"),
		}}
	}
	for _, name := range pathNames(r.path) {
		if v := req.PathValue(name); v == "." || v == ".." {
			return &api.Error{Kind: api.NotFound, Err: fmt.Errorf("%s %q does not exist", name, v)}
		}
	}
	return r.admitBody(req)
}

func (r *route) admitBody(req *http.Request) error {
	if coding := req.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return wrongType("send the body without a Content-Encoding", "the body is encoded as %s", clip(coding))
	}
	if r.body == nil || r.open {
		return nil
	}
	kind, _, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if err == nil && (kind == "application/json" || kind == r.stream) {
		return nil
	}
	const hint = "send the header Content-Type: application/json"
	if kind == "" {
		return wrongType(hint, "the body has no Content-Type")
	}
	return wrongType(hint, "the body is %s", clip(kind))
}

func wrongType(hint, format string, args ...any) error {
	return &refusal{http.StatusUnsupportedMediaType, &api.Error{Kind: api.Invalid, Hint: hint, Err: fmt.Errorf(format, args...)}}
}

// pathNames are the wildcards of a pattern.
func pathNames(pattern string) []string {
	var names []string
	for part := range strings.SplitSeq(pattern, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			names = append(names, strings.TrimSuffix(name, "}"))
		}
	}
	return names
}

// bound is the body of a request within its limits: JSON in length and time, and a stream
// in the time from piece to piece.
func (r *route) bound(w http.ResponseWriter, req *http.Request) io.ReadCloser {
	if req.Body == nil || req.Body == http.NoBody || r.open {
		return req.Body
	}
	control := http.NewResponseController(w)
	if isStream := r.stream != "" && (r.body == nil || strings.HasPrefix(req.Header.Get("Content-Type"), r.stream)); isStream {
		return &timedBody{ReadCloser: req.Body, control: control}
	}
	whole := &timedBody{ReadCloser: req.Body, control: control, until: time.Now().Add(bodyTime)}
	return http.MaxBytesReader(w, whole, maxBody)
}

// timedBody is a body whose reads have an end. Between them there is none: the end of the
// connection is waited for then.
type timedBody struct {
	io.ReadCloser
	control *http.ResponseController
	until   time.Time // zero: pieceTime from each
}

// Read implements io.Reader.
func (b *timedBody) Read(p []byte) (int, error) {
	until := b.until
	if until.IsZero() {
		until = time.Now().Add(pieceTime)
	}
	_ = b.control.SetReadDeadline(until) // a recorder of tests has none
	n, err := b.ReadCloser.Read(p)
	_ = b.control.SetReadDeadline(time.Time{})
	return n, err
}
