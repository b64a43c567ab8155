package enginetest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
)

func testStop(t *testing.T, s Subject) {
	box := Start(t, s)
	conn := begin(t, box, sh("echo ready; trap '' TERM HUP; sleep 1000"))
	if err := box.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := collect(conn); err == nil {
		t.Error("a command outlived its sandbox, or one that was cut off reported an exit")
	}
	if _, err := box.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

func testStopTwice(t *testing.T, s Subject) {
	box := Start(t, s)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := box.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	first, _ := box.Wait(t.Context())
	second, _ := box.Wait(t.Context())
	if first != second || first.Reason != "" {
		t.Errorf("ended as asked, but Wait says %+v and %+v", first, second)
	}
}

func testDialAfterStop(t *testing.T, s Subject) {
	box := Start(t, s)
	if err := box.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn, err := box.Dial(t.Context())
	if err == nil {
		_ = conn.Close()
	}
	if !errors.Is(err, api.Unavailable) {
		t.Errorf("dial gave %v, want an error of kind %s", err, api.Unavailable)
	}
}

func testStartCanceled(t *testing.T, s Subject) {
	spec, ledger := s.Spec(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if box, err := s.Engine.Start(ctx, spec, ledger); err == nil {
		_ = box.Stop(context.WithoutCancel(ctx))
		t.Error("a sandbox was started for a caller who had gone")
	}
}

func testUnknownEnvironment(t *testing.T, s Subject) {
	spec, ledger := s.Spec(t)
	spec.Environment = "no-such-environment"
	box, err := s.Engine.Start(t.Context(), spec, ledger)
	if err == nil {
		_ = box.Stop(t.Context())
	}
	if !errors.Is(err, api.NotFound) || !strings.Contains(err.Error(), spec.Environment) {
		t.Errorf("got %v, want a not-found error that names it", err)
	}
}

func testTwoAtOnce(t *testing.T, s Subject) {
	first, second := Start(t, s), Start(t, s)
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := Shell(t, second, "echo still here"); got != "still here\n" {
		t.Errorf("got %q", got)
	}
}
