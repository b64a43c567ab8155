package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

func TestCreate(t *testing.T) {
	s := newStore(t)
	w := create(t, s, testID)
	if w.ID() != testID || w.Path() != filepath.Join(s.dirs.State, "workspaces", testID) {
		t.Errorf("ID %q, Path %q", w.ID(), w.Path())
	}
	if _, err := s.Create(testID); api.KindOf(err) != api.Exists {
		t.Errorf("second Create = %v, want Exists", err)
	}
	if _, err := s.Create("../x"); api.KindOf(err) != api.Invalid {
		t.Errorf("Create of a path = %v, want Invalid", err)
	}
	if _, err := s.Lock(t.Context(), testID); api.KindOf(err) != api.Conflict {
		t.Errorf("Lock = %v, want Conflict", err)
	}
	checkRunning(t, s, testID, true)
	if n, err := s.CountRunning(); n != 1 || err != nil {
		t.Errorf("CountRunning = %d, %v", n, err)
	}
	if err := errors.Join(w.Unlock(), w.Unlock()); err != nil {
		t.Fatal(err)
	}
	checkRunning(t, s, testID, false)
	if n, err := s.CountRunning(); n != 0 || err != nil {
		t.Errorf("CountRunning = %d, %v", n, err)
	}
	if _, err := s.Create(testID); api.KindOf(err) != api.Exists {
		t.Errorf("Create of a stopped one = %v, want Exists", err)
	}
	checkEmpty(t, s.trash())
}

func checkRunning(t *testing.T, s *Store, id string, want bool) {
	t.Helper()
	if got, err := s.Running(id); got != want || err != nil {
		t.Fatalf("Running = %v, %v, want %v", got, err, want)
	}
}

func checkEmpty(t testing.TB, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("%s holds %v, %v", dir, entries, err)
	}
}

func TestLockOfNothing(t *testing.T) {
	s := newStore(t)
	if _, err := s.Lock(t.Context(), testID); api.KindOf(err) != api.NotFound {
		t.Errorf("Lock = %v, want NotFound", err)
	}
	if _, err := s.Running(testID); api.KindOf(err) != api.NotFound {
		t.Errorf("Running = %v, want NotFound", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Lock(ctx, testID); !errors.Is(err, context.Canceled) {
		t.Errorf("Lock = %v, want Canceled", err)
	}
}

func TestDeletedLockFile(t *testing.T) {
	s := newStore(t)
	w := create(t, s, testID)
	if err := errors.Join(w.Unlock(), os.Remove(s.lockOf(testID))); err != nil {
		t.Fatal(err)
	}
	checkRunning(t, s, testID, false)
	w, err := s.Lock(t.Context(), testID)
	if err != nil {
		t.Fatalf("Lock: %v", err)
	}
	checkRunning(t, s, testID, true)
	if err := w.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestKilledHolderFreesTheLock(t *testing.T) {
	base := shortTemp(t)
	s := openStore(t, testDirs(base))
	holder := helper(t, "hold", base, testID)
	checkRunning(t, s, testID, true)
	if _, err := s.Lock(t.Context(), testID); api.KindOf(err) != api.Conflict {
		t.Fatalf("Lock = %v, want Conflict", err)
	}
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = holder.Wait()
	checkRunning(t, s, testID, false)
	w, err := s.Lock(t.Context(), testID)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkRunningGone(t, s, testID)
}

func checkRunningGone(t *testing.T, s *Store, id string) {
	t.Helper()
	if _, err := s.Running(id); api.KindOf(err) != api.NotFound {
		t.Fatalf("Running = %v, want NotFound", err)
	}
}

func TestVolatile(t *testing.T) {
	s := newStore(t)
	w, err := s.CreateVolatile(testID)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteRecord([]byte(`{"v":1}`)); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Read(testID); err != nil || string(got) != `{"v":1}` {
		t.Fatalf("Read = %s, %v", got, err)
	}
	if err := w.Unlock(); err != nil {
		t.Fatal(err)
	}
	again, err := s.Lock(t.Context(), testID)
	if err != nil || again.survive != processDeath || again.ledger.survive != processDeath {
		t.Fatalf("locked again: %+v, %v, want it volatile", again, err)
	}
	_ = again.Unlock()
}

func TestEpitaph(t *testing.T) {
	s := newStore(t)
	w := create(t, s, testID)
	for _, bad := range []string{"a\nb", strings.Repeat("x", maxEpitaph)} {
		if err := w.WriteEpitaph([]byte(bad)); err == nil {
			t.Errorf("WriteEpitaph took %d bytes", len(bad))
		}
	}
	if _, err := s.Epitaph(testID); api.KindOf(err) != api.NotFound {
		t.Fatalf("Epitaph = %v, want NotFound", err)
	}
	if err := errors.Join(w.WriteEpitaph([]byte(`{"expired":true}`)), w.Remove(t.Context())); err != nil {
		t.Fatal(err)
	}
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Epitaph(testID); err != nil || string(got) != `{"expired":true}` {
		t.Fatalf("Epitaph = %s, %v", got, err)
	}
	path := filepath.Join(s.goneDir(), testID)
	old := time.Now().Add(-epitaphAge - time.Minute)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Epitaph(testID); api.KindOf(err) != api.NotFound {
		t.Fatalf("Epitaph of the day before = %v, want NotFound", err)
	}
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkGone(t, path)
}

func TestSweep(t *testing.T) {
	s := newStore(t)
	const unborn, held, stopped, broken, run, oldRun = "000000000001", "000000000002", "000000000003", "000000000004", "000000000005", "000000000006"
	_ = create(t, s, unborn).Unlock()
	create(t, s, held)
	for _, id := range []string{stopped, broken} {
		w := create(t, s, id)
		if err := w.WriteRecord([]byte(`{}`)); err != nil {
			t.Fatal(err)
		}
		_ = w.Unlock()
	}
	mustWrite(t, filepath.Join(s.Path(broken), recordName), "")
	for _, id := range []string{run, oldRun} {
		w, err := s.CreateVolatile(id)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.WriteRecord([]byte(`{}`)), w.Unlock()); err != nil {
			t.Fatal(err)
		}
	}
	mustWrite(t, filepath.Join(s.Path(oldRun), bootName), "another boot")
	if err := os.MkdirAll(filepath.Join(s.trash(), "x-Y", "deep"), 0o700); err != nil {
		t.Fatal(err)
	}

	for range 2 {
		if err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		ids, err := s.IDs()
		if want := []string{held, stopped, broken, run}; err != nil || !slices.Equal(ids, want) {
			t.Fatalf("IDs = %v, %v, want %v", ids, err, want)
		}
		checkEmpty(t, s.trash())
	}
}

// hammer creates, locks and removes workspaces that others want as well, and sweeps
// in between. It fails on an error that no race explains, and when two hold the
// same workspace at once.
func hammer(s *Store, rounds string) error {
	ctx := context.Background()
	for i := range len(rounds) * 10 {
		id := fmt.Sprintf("%012x", i%3)
		w, err := s.Create(id)
		if api.KindOf(err) == api.Exists {
			w, err = s.Lock(ctx, id)
		}
		if errors.Is(err, api.Conflict) || errors.Is(err, api.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if err := hold(ctx, s, w, i); err != nil {
			return fmt.Errorf("round %d: %w", i, err)
		}
	}
	return nil
}

func hold(ctx context.Context, s *Store, w *Workspace, i int) error {
	defer func() { _ = w.Unlock() }()
	mark := filepath.Join(w.Path(), "mark")
	f, err := os.OpenFile(mark, os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("two hold it: %w", err)
	}
	if err := errors.Join(f.Close(), w.WriteRecord([]byte(`{}`)), s.Sweep(ctx)); err != nil {
		return err
	}
	if running, err := s.Running(w.ID()); err != nil || !running {
		return fmt.Errorf("it is held, but Running = %v, %w", running, err)
	}
	if _, err := s.Lock(ctx, w.ID()); api.KindOf(err) != api.Conflict {
		return fmt.Errorf("it is held, but Lock = %w", err)
	}
	if err := os.Remove(mark); err != nil {
		return err
	}
	if i%2 == 0 {
		return w.Remove(ctx)
	}
	return w.Unlock()
}

func TestManyProcessesAtOnce(t *testing.T) {
	base := shortTemp(t)
	s := openStore(t, testDirs(base))
	var all sync.WaitGroup
	for range 6 {
		cmd := helperCommand(t, "hammer", base, "xxxxxxxxxx")
		all.Go(func() { // ends with its process
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	all.Wait()
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkEmpty(t, s.trash())
	if n, err := s.CountRunning(); n != 0 || err != nil {
		t.Fatalf("CountRunning = %d, %v", n, err)
	}
}
