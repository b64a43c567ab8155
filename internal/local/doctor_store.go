package local

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// lookAtStore says how the workspaces are, and what was left over beside them.
func (x *examination) lookAtStore(ctx context.Context, fix bool) {
	if x.store == nil {
		x.note(skip("workspaces", "directories has failed"), skip("leftovers", "directories has failed"))
		return
	}
	x.note(x.workspaces())
	r := &remains{
		store: x.store, agent: x.helpers.agent, copies: agentCopies(x.store),
		uids: usedUIDs, mounted: mountedSources,
	}
	if !fix {
		x.note(r.check(r.find(), nil))
		return
	}
	fixed, left, err := r.fix(ctx)
	x.found.Fixed = append(x.found.Fixed, fixed...)
	x.note(r.check(left, err))
}

// workspaces names those that cannot be read.
func (x *examination) workspaces() api.DoctorCheck {
	const name = "workspaces"
	ids, err := x.store.IDs()
	if err != nil {
		return fail(name, err)
	}
	var broken []string
	step, running := "", 0
	for _, id := range ids {
		if held, err := x.store.Running(id); err == nil && held {
			running++
		}
		switch _, err := workspace.Read(x.store, id); {
		case err == nil, errors.Is(err, api.NotFound): // the latter is just being made, or left over
		default:
			broken = append(broken, id+" ("+err.Error()+")")
			step = api.HintOf(err)
		}
	}
	if len(broken) > 0 {
		return warn(name, step, "%d of %d cannot be read: %s", len(broken), len(ids), some(broken))
	}
	return ok(name, "%d, of which %d run", len(ids), running)
}

// some is the beginning of a list that may be long.
func some(list []string) string {
	const most = 5
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
}
