package workspace

import (
	"context"
	"errors"
	"maps"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/events"
	"github.com/pyro-sandbox/pyro/internal/store"
)

// Apply changes the record as asked. One that would change nothing, or that the
// limits forbid, is api.Invalid and leaves it as it was.
func (r *Record) Apply(req api.UpdateRequest, policy api.Policy, now time.Time) error {
	name, err := newName(r.Request.Name, req)
	if err != nil {
		return err
	}
	labels, err := newLabels(r.Request.Labels, req)
	if err != nil {
		return err
	}
	if req.TTLSeconds != 0 {
		if err := policy.CheckTTL(req.TTLSeconds); err != nil {
			return err
		}
	}
	if req.TTLSeconds == 0 && name == r.Request.Name && maps.Equal(labels, r.Request.Labels) {
		return &api.Error{Kind: api.Invalid, Hint: "name a value that differs", Err: errors.New("nothing would change")}
	}
	r.Request.Name, r.Request.Labels, r.LastActivityAt = name, labels, api.At(now)
	if req.TTLSeconds != 0 {
		r.Renew(req.TTLSeconds, now)
	}
	return nil
}

func newName(old string, req api.UpdateRequest) (string, error) {
	switch {
	case req.Name != nil && req.ClearName:
		return "", &api.Error{Kind: api.Invalid, Err: errors.New("name and clear_name exclude each other")}
	case req.ClearName:
		return "", nil
	case req.Name == nil:
		return old, nil
	}
	name := strings.TrimSpace(*req.Name)
	if name == "" {
		return "", &api.Error{Kind: api.Invalid, Hint: "clear_name takes the name away", Err: errors.New("name must not be empty")}
	}
	return name, api.CheckName(name)
}

// newLabels sets first, then clears, as the replaced product does.
func newLabels(old map[string]string, req api.UpdateRequest) (map[string]string, error) {
	if err := api.CheckLabels(req.Labels); err != nil {
		return nil, err
	}
	labels := maps.Clone(old)
	if labels == nil {
		labels = make(map[string]string)
	}
	maps.Copy(labels, req.Labels)
	for _, key := range req.ClearLabels {
		delete(labels, strings.TrimSpace(key))
	}
	return labels, api.CheckLabels(labels)
}

// Update changes a workspace that no supervisor holds.
func Update(ctx context.Context, st *store.Store, id string, req api.UpdateRequest, policy api.Policy) (*api.Workspace, error) {
	if _, err := Status(ctx, st, id); err != nil { // settled by this, if need be
		return nil, err
	}
	w, err := st.Lock(ctx, id)
	if errors.Is(err, api.NotFound) {
		return nil, Missing(st, id)
	} else if err != nil {
		return nil, api.About("update workspace", id, err)
	}
	defer func() { _ = w.Unlock() }()
	r, err := Read(st, id)
	if err != nil {
		return nil, err
	}
	if err := r.Apply(req, policy, time.Now()); err != nil {
		return nil, api.About("update workspace", id, err)
	}
	if err := Write(w, r); err != nil {
		return nil, err
	}
	_ = events.Append(w.Path(), api.Event{Kind: api.EventUpdated, At: api.At(time.Now())}) // it is changed all the same
	return r.View(""), nil
}
