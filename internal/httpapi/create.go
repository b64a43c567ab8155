package httpapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

// The parts of a request with a seed, in their order.
const (
	partRequest = "request" // JSON: an api.CreateRequest
	partSeed    = "seed"    // a tar archive, plain or compressed
	partSkipped = "skipped" // a number: special files that are not in it; may be missing
)

// maxSkipped is the longest number of skipped files, in bytes.
const maxSkipped = 20

// serveCreate makes a workspace. With a lease the answer has no end: the workspace is
// removed when its client closes the connection, or when the server stops.
func (s *Server) serveCreate(w http.ResponseWriter, r *http.Request) {
	req, opts, err := creation(r)
	if err != nil {
		fail(w, err)
		return
	}
	opts.OneShot = r.URL.Query().Get("lease") == "true"
	ws, err := s.Client.Create(r.Context(), req.Environment, opts)
	if err != nil {
		fail(w, err)
		return
	}
	note(w, routeOf(r).path, ws.ID())
	answer(w, ws.Seen(), nil)
	if opts.OneShot {
		s.hold(r.Context(), w)
		ctx, cancel := detached(r.Context(), endTime)
		defer cancel()
		_, _ = ws.Delete(ctx) // what is left then ends with its lease, which is ours
	}
}

// endTime bounds removing a leased workspace.
const endTime = 30 * time.Second

// pulse is how often the client of a lease is told that it lasts: a client whose machine
// is gone is noticed by that alone.
const pulse = 15 * time.Second

// hold returns when the client has left, or the server ends.
func (s *Server) hold(ctx context.Context, w http.ResponseWriter) {
	control := http.NewResponseController(w)
	tick := time.NewTicker(s.pulse)
	defer tick.Stop()
	for control.Flush() == nil {
		select {
		case <-ctx.Done():
			return
		case <-s.ending:
			return
		case <-tick.C:
		}
		if _, err := io.WriteString(w, "\n"); err != nil { // white space after the JSON
			return
		}
	}
}

// creation is what a request asks to be made.
func creation(r *http.Request) (api.CreateRequest, *pyro.CreateOptions, error) {
	if strings.HasPrefix(r.Header.Get("Content-Type"), typeMultipart) {
		return seededCreation(r)
	}
	req, err := decode[api.CreateRequest](r)
	if err != nil {
		return req, nil, err
	}
	opts, err := optionsOf(req)
	return req, opts, err
}

// seededCreation reads what comes before the seed, which is left to be read.
func seededCreation(r *http.Request) (api.CreateRequest, *pyro.CreateOptions, error) {
	var req api.CreateRequest
	form, err := r.MultipartReader()
	if err != nil {
		return req, nil, unread(err)
	}
	part, err := nextPart(form, partRequest)
	if err == nil {
		err = decodeFrom(http.MaxBytesReader(nil, part, maxBody), &req)
	}
	if err != nil {
		return req, nil, err
	}
	how := req.Seed
	req.Seed = nil
	opts, err := optionsOf(req)
	if err != nil {
		return req, nil, err
	}
	seed, err := nextPart(form, partSeed)
	if err != nil {
		return req, nil, err
	}
	stream := &pyro.Stream{Reader: sent{seed}, Skipped: func() int { return skipped(form, r.Body) }}
	if how != nil {
		stream.Seed = *how
	}
	stream.PackedAt, err = packedAt(r.URL.Query().Get("packed_at"))
	opts.Seed = &pyro.Source{Stream: stream}
	return req, opts, err
}

func nextPart(form *multipart.Reader, name string) (*multipart.Part, error) {
	part, err := form.NextPart()
	switch {
	case errors.Is(err, io.EOF):
		err = nil
	case err != nil:
		return nil, unread(err)
	case part.FormName() == name:
		return part, nil
	}
	return nil, &api.Error{
		Kind: api.Invalid, Hint: "send the parts request and seed, in this order", Err: fmt.Errorf("request: the part %s is missing", name),
	}
}

// skipped reads what comes after the seed. What is no number counts as none: the workspace
// is about to be made. The body is read to its end, or nobody would see the client leave.
func skipped(form *multipart.Reader, body io.Reader) int {
	count := 0
	if part, err := form.NextPart(); err == nil && part.FormName() == partSkipped {
		text, _ := io.ReadAll(io.LimitReader(part, maxSkipped))
		if n, err := strconv.Atoi(string(text)); err == nil && n > 0 {
			count = n
		}
		_, _ = form.NextPart()
	}
	_, _ = io.CopyN(io.Discard, body, maxBody)
	return count
}

// packedAt reads a time in seconds since 1970; zero where there is none.
func packedAt(text string) (time.Time, error) {
	at, err := strconv.ParseFloat(cmp.Or(text, "0"), 64)
	const year9999 = 253402300800
	switch {
	case err != nil || at > year9999:
		return time.Time{}, &api.Error{Kind: api.Invalid, Err: fmt.Errorf("packed_at %q is no time", clip(text))}
	case at == 0:
		return time.Time{}, nil
	}
	whole, part := math.Modf(at)
	return time.Unix(int64(whole), int64(part*1e9)), nil
}

// sent is a seed on its way. What goes wrong with it is not ours.
type sent struct{ io.Reader }

// Read implements io.Reader.
func (s sent) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = unread(err)
	}
	return n, err
}

// optionsOf is a request in the SDK's words.
func optionsOf(req api.CreateRequest) (*pyro.CreateOptions, error) {
	if req.Seed != nil {
		return nil, &api.Error{
			Kind: api.Invalid, Hint: "send multipart/form-data with the parts request and seed",
			Err: errors.New("seed: a request of JSON alone brings none"),
		}
	}
	if req.TTLSeconds < 0 && req.TTLSeconds != api.Forever {
		return nil, &api.Error{Kind: api.Invalid, Hint: fmt.Sprintf("%d is a time without end", api.Forever), Err: fmt.Errorf("ttl_seconds is %d", req.TTLSeconds)}
	}
	const most = math.MaxInt64 / int64(time.Second)
	if int64(req.TTLSeconds) > most || int64(req.IdleSeconds) > most || int64(req.IdleSeconds) < -most {
		return nil, &api.Error{Kind: api.Invalid, Err: errors.New("ttl_seconds or idle_seconds is out of any range")}
	}
	return &pyro.CreateOptions{
		Name: req.Name, Labels: req.Labels, VCPUs: req.VCPUCount, MemMiB: req.MemMiB, DiskMiB: req.DiskMiB,
		TTL: time.Duration(max(req.TTLSeconds, 0)) * time.Second, NoExpiry: req.TTLSeconds == api.Forever,
		Idle: time.Duration(req.IdleSeconds) * time.Second, NetworkPolicy: req.NetworkPolicy,
		Engine: req.Engine, Secrets: req.Secrets, AllowHostCompat: req.AllowHostCompat,
	}, nil
}
