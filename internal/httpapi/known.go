package httpapi

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

// maxKnown is how many workspaces are kept at hand.
const maxKnown = 1024

// known keeps workspaces that were asked about, with the connections to their supervisors:
// to look one up and to greet it takes longer than to ask it something. An id is used once,
// so that none of them becomes another; one that is gone is found out by asking it.
type known struct {
	mu  sync.Mutex
	all map[string]handle
}

type handle struct {
	*pyro.Workspace
	way http.RoundTripper
}

// get is Client.Get for one that may be known.
func (k *known) get(ctx context.Context, c *pyro.Client, id string) (handle, error) {
	k.mu.Lock()
	h, there := k.all[id]
	k.mu.Unlock()
	if there {
		return h, nil
	}
	ws, err := c.Get(ctx, id)
	if err != nil {
		return handle{}, err
	}
	h = handle{ws, ws.Transport()}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.all == nil {
		k.all = make(map[string]handle)
	}
	for old := range k.all {
		if len(k.all) < maxKnown {
			break
		}
		delete(k.all, old) // its connections end by themselves
	}
	k.all[id] = h
	return h, nil
}

// heed forgets a workspace that turned out to be gone.
func (k *known) heed(id string, err error) {
	if errors.Is(err, api.NotFound) || errors.Is(err, api.Expired) {
		k.forget(id)
	}
}

func (k *known) forget(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.all, id)
}
