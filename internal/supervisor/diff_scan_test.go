package supervisor

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/enginetest"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// steadyEngine starts sandboxes that tell every write, and notes what their agents are asked.
type steadyEngine struct {
	engine.Engine
	asked *sync.Map
}

type steadyBox struct {
	engine.Sandbox
	asked *sync.Map
}

func (e steadyEngine) Start(ctx context.Context, spec engine.Spec, l engine.Ledger) (engine.Sandbox, error) {
	box, err := e.Engine.Start(ctx, spec, l)
	if err != nil {
		return nil, err
	}
	return steadyBox{box, e.asked}, nil
}

func (steadyBox) TellsWrites() bool { return true }

func (b steadyBox) Dial(ctx context.Context) (net.Conn, error) {
	conn, err := b.Sandbox.Dial(ctx)
	return &noting{Conn: conn, asked: b.asked}, err
}

// noting notes the action that is asked for on a connection.
type noting struct {
	net.Conn
	asked *sync.Map
	once  sync.Once
}

func (n *noting) Write(p []byte) (int, error) {
	n.once.Do(func() {
		var request struct{ Action string }
		if json.Unmarshal(bytes.TrimSpace(p), &request) == nil {
			n.asked.Store(request.Action, true)
		}
	})
	return n.Conn.Write(p)
}

// TestDiffReadsOnlyWhatWasWritten holds that a scan is believed as long as it is of this
// sandbox, whole, and the files are as they were.
func TestDiffReadsOnlyWhatWasWritten(t *testing.T) {
	b := newBench(t)
	asked := new(sync.Map)
	b.cfg.Engines = []engine.Engine{steadyEngine{enginetest.NewFake(t), asked}}
	r := b.startSeeded(t, aProject(t))
	hashes := func(what string, want bool) {
		t.Helper()
		asked.Clear()
		r.diff(t, nil)
		if _, got := asked.Load(wire.ActionHash); got != want {
			t.Errorf("%s: files are read: %v", what, got)
		}
	}
	scan := filepath.Join(b.store.Path(testID), scanName)
	hashes("right after create", false)
	r.shell(t, "printf 'SAME\n' >same")
	hashes("after a write", true)
	if got := linesOf(r.diff(t, nil)); !slices.Equal(got, []string{"modified file same"}) {
		t.Errorf("after a write: %q", got)
	}
	hashes("and again", false)
	r.shell(t, "printf 'same\n' >same")
	hashes("after the old content came back", true)
	if found := r.diff(t, nil); found.Changed {
		t.Errorf("after the old content came back: %q", linesOf(found))
	}
	replaceIn(t, scan, "\x01", "\x00")
	hashes("when the scan is damaged", true)
	hashes("and again", false)
	if err := os.Remove(scan); err != nil {
		t.Fatal(err)
	}
	hashes("when the scan is gone", true)
}

// Where writes are not told, nothing is believed.
func TestDiffReadsAllWhereWritesAreNotTold(t *testing.T) {
	b := newBench(t)
	r := b.startSeeded(t, aProject(t))
	r.diff(t, nil)
	if _, err := os.Stat(filepath.Join(b.store.Path(testID), scanName)); !os.IsNotExist(err) {
		t.Errorf("a scan is kept: %v", err)
	}
	stamp := r.shell(t, "stat -c %Y same; printf 'SAME\n' >same; touch -d @1 same")
	if got := linesOf(r.diff(t, nil)); !slices.Equal(got, []string{"modified file same"}) {
		t.Errorf("%s: %q", stamp, got)
	}
}

// A file that may change unseen is read each time, whatever is known of it.
func TestKnowingNothingOfWhatMayChangeUnseen(t *testing.T) {
	s := &supervisor{}
	var err error
	if s.held, err = enginetest.NewStore(t).Create(testID); err != nil {
		t.Fatal(err)
	}
	b := &box{Sandbox: steadyBox{}}
	s.keepScan(b, []fileStamp{{at: 0, inode: 5, ctime: 7, same: true}, {at: 1, inode: 6, ctime: 0, same: true}})
	known := s.knowing(b)
	if got := known(0, &fileStamp{inode: 5, ctime: 7}); got != same {
		t.Errorf("a file with a time: %v", got)
	}
	if got := known(1, &fileStamp{inode: 6, ctime: 0}); got != unknown {
		t.Errorf("a file without one: %v", got)
	}
}
