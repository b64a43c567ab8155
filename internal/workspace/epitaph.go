package workspace

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/store"
)

// ReasonExpired is why a workspace is gone whose time was over.
const ReasonExpired = "expired"

// epitaph is the one line that is left of a removed workspace for a day.
type epitaph struct {
	ID     string        `json:"id"`
	Reason string        `json:"reason"`
	At     api.Timestamp `json:"at"`
}

// Bury leaves a line that says why a workspace is gone. It is called before the
// removal; that it failed is no reason to keep the workspace.
func Bury(w *store.Workspace, reason string, now time.Time) error {
	line, err := json.Marshal(epitaph{ID: w.ID(), Reason: reason, At: api.At(now)})
	if err != nil {
		return err
	}
	return w.WriteEpitaph(line)
}

// Missing is the error about a workspace that is not there; it says what became of
// it where that is known.
func Missing(st *store.Store, id string) error {
	var e epitaph
	line, err := st.Epitaph(id)
	if err == nil {
		err = json.Unmarshal(line, &e)
	}
	const hint = "`pyro workspace list` shows those there are"
	if err != nil {
		return &api.Error{Kind: api.NotFound, Op: "workspace", ID: id, Hint: hint}
	}
	kind, became := api.NotFound, "it was deleted"
	if e.Reason == ReasonExpired {
		kind, became = api.Expired, "it expired"
	}
	when := e.At.Time().UTC().Format(time.DateTime)
	return &api.Error{Kind: kind, Op: "workspace", ID: id, Hint: hint, Err: errors.New(fmt.Sprint(became, " at ", when, " UTC"))}
}
