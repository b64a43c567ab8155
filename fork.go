package pyro

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

const opFork = "fork workspace"

// forksAtOnce is how many workspaces of one fork are started at a time.
const forksAtOnce = 4

// Fork makes workspaces that begin with the disk of this one: as it is now, or as a
// snapshot has it. Each has an id, a history and a time to live of its own, the labels of
// this one beside [api.ForkedFrom], its baseline, and none of its secrets. What runs here
// goes on, and a stopped workspace stays stopped. Where one of them cannot be made, or when
// ctx ends first, none is left.
func (w *Workspace) Fork(ctx context.Context, req api.ForkRequest) (*api.Fork, error) {
	req = req.WithDefaults()
	if err := req.Check(); err != nil {
		return nil, api.About(opFork, w.id, err)
	}
	if w.client.remote != nil {
		return send[api.Fork](ctx, w, question{op: opFork, method: http.MethodPost, path: "/v1/fork", within: remoteTime, limit: maxList}, req)
	}
	from := workspace.ForkFrom{Workspace: w.id, Snapshot: req.From}
	if req.From == "" {
		image, release, err := w.forkImage(ctx, req)
		if err != nil {
			return nil, err
		}
		defer release()
		from.Image, from.Memory = image, req.Memory
	}
	made, err := w.forkAll(ctx, req, from)
	if err != nil {
		return nil, err
	}
	fork := &api.Fork{WorkspaceID: w.id, Count: len(made), Workspaces: make([]api.Workspace, len(made))}
	if req.From != "" {
		fork.SnapshotName = &req.From
	}
	for i, one := range made {
		fork.Workspaces[i] = *one.Seen()
	}
	return fork, nil
}

// forkAll makes all of them, or none.
func (w *Workspace) forkAll(ctx context.Context, req api.ForkRequest, from workspace.ForkFrom) ([]*Workspace, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	made := make([]*Workspace, req.Count)
	var failed sync.Once
	var why error // the first
	room := make(chan struct{}, forksAtOnce)
	var all sync.WaitGroup
	for i := range made {
		room <- struct{}{}
		all.Go(func() { // ends with the start of one
			defer func() { <-room }()
			var err error
			if made[i], err = w.forkOne(ctx, req, from, req.NameOf(i+1)); err != nil {
				failed.Do(func() { why = err; cancel(err) })
			}
		})
	}
	all.Wait()
	if why != nil {
		return nil, errors.Join(why, unmake(ctx, made))
	}
	return made, nil
}

// unmake deletes those that were made.
func unmake(ctx context.Context, made []*Workspace) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	var errs []error
	for _, one := range made {
		if one != nil {
			_, err := one.Delete(ctx)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (w *Workspace) forkOne(ctx context.Context, req api.ForkRequest, from workspace.ForkFrom, name string) (*Workspace, error) {
	if ctx.Err() != nil {
		return nil, ended(ctx, opFork, w.id)
	}
	s, err := w.client.spawn(newID())
	if err != nil {
		return nil, api.About(opFork, w.id, err)
	}
	defer func() { _ = s.conn.Close() }()
	launched, err := s.negotiate(ctx, opFork, workspace.Launch{
		Kind: workspace.KindWorkspace, From: &from, Request: api.CreateRequest{Name: name, AllowHostCompat: req.AllowHostCompat},
	}, nil)
	if err != nil {
		return nil, err
	}
	one := w.client.meet(s.id, launched)
	if ctx.Err() != nil { // too late for the supervisor to notice
		return nil, errors.Join(ended(ctx, opFork, w.id), unmake(ctx, []*Workspace{one}))
	}
	return one, nil
}

// forkImage has the supervisor make an image of the disk, and keep it until release.
// Without a supervisor there is none, and the forks begin as start would.
func (w *Workspace) forkImage(ctx context.Context, req api.ForkRequest) (image *workspace.SavedDisk, release func(), err error) {
	w.reach(ctx)
	body, err := json.Marshal(req)
	if err != nil {
		return nil, nil, api.About(opFork, w.id, err)
	}
	q := question{op: opFork, method: http.MethodPost, path: "/v1/forks", body: body, within: saveTime, limit: maxReply}
	image, release, err = hold[workspace.SavedDisk](ctx, w.control, q)
	if !errors.Is(err, errAbsent) {
		return image, release, err
	}
	record, err := w.recorded(ctx)
	if err != nil {
		return nil, nil, err
	}
	if req.Memory {
		return nil, nil, &api.Error{
			Kind: api.Conflict, Op: opFork, ID: w.id, Hint: "`pyro workspace start " + w.id + "` starts it; or leave out --memory",
			Err: errors.New("it is stopped: nothing runs in it that could be forked"),
		}
	}
	if record.State == api.StateBroken {
		return nil, nil, &api.Error{Kind: api.Conflict, Op: opFork, ID: w.id, Hint: statusHint(w.id), Err: errors.New("it is broken")}
	}
	return nil, func() {}, nil
}

// hold is ask for something that the supervisor keeps until release is called.
func hold[T any](ctx context.Context, c *control, q question) (answer *T, release func(), err error) {
	if err := c.greet(ctx, q.within); err != nil {
		return nil, nil, err
	}
	held, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	slow := time.AfterFunc(q.within, cancel)
	defer func() {
		stop()
		slow.Stop()
		if err != nil {
			cancel()
		}
	}()
	r, err := c.request(held, q)
	if err != nil {
		return nil, nil, api.About(q.op, c.id, err)
	}
	response, err := c.http.Do(r)
	if err != nil {
		return nil, nil, c.failed(ctx, q, err)
	}
	release = func() { cancel(); _ = response.Body.Close() }
	answer, err = first[T](c, q, response)
	if err != nil {
		release()
		return nil, nil, err
	}
	return answer, release, nil
}

// first decodes the first thing of a body that has no end yet.
func first[T any](c *control, q question, response *http.Response) (*T, error) {
	body := io.LimitReader(response.Body, q.limit)
	if response.StatusCode != http.StatusOK {
		data, err := io.ReadAll(body)
		if err != nil {
			return nil, c.lost(q.op, err)
		}
		return nil, c.refused(q.op, response.StatusCode, data)
	}
	answer := new(T)
	if err := json.NewDecoder(body).Decode(answer); err != nil {
		return nil, api.About(q.op, c.id, fmt.Errorf("answer: %w", err))
	}
	return answer, nil
}
