package workspace

import (
	"errors"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/enginetest"
)

func TestMissing(t *testing.T) {
	for name, test := range map[string]struct {
		reason *string // nil: nothing was left
		kind   api.Kind
		want   string
	}{
		"unknown": {nil, api.NotFound, "workspace " + testID + ": not found"},
		"deleted": {
			text(api.ReasonExplicitDelete), api.NotFound,
			"workspace " + testID + ": it was deleted at 2024-05-06 12:00:00 UTC",
		},
		"expired": {
			text(ReasonExpired), api.Expired,
			"workspace " + testID + ": it expired at 2024-05-06 12:00:00 UTC",
		},
		"gone for no known reason": {
			text(""), api.NotFound,
			"workspace " + testID + ": it was deleted at 2024-05-06 12:00:00 UTC",
		},
	} {
		t.Run(name, func(t *testing.T) {
			st := enginetest.NewStore(t)
			if test.reason != nil {
				held := hold(t, st, record(testID, KindWorkspace, api.StateStarted))
				if err := Bury(held, *test.reason, noon); err != nil {
					t.Fatal(err)
				}
				if err := held.Remove(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			err := Missing(st, testID)
			if !errors.Is(err, test.kind) || err.Error() != test.want {
				t.Errorf("got %v of kind %s, want %s of kind %s", err, api.KindOf(err), test.want, test.kind)
			}
			if !strings.Contains(api.HintOf(err), "pyro workspace list") {
				t.Errorf("hint %q", api.HintOf(err))
			}
		})
	}
}

func TestMissingWithADamagedLine(t *testing.T) {
	st := enginetest.NewStore(t)
	held := hold(t, st, record(testID, KindWorkspace, api.StateStarted))
	if err := held.WriteEpitaph([]byte(`["no epitaph"]`)); err != nil {
		t.Fatal(err)
	}
	if err := Missing(st, testID); !errors.Is(err, api.NotFound) || strings.Contains(err.Error(), "deleted") {
		t.Errorf("got %v", err)
	}
}
