package clone

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTheSecondTimeNothingIsFetched(t *testing.T) {
	o := project(t)
	opts := options(t)
	first := fetch(t, opts, o.file(), "main")
	if again := fetch(t, opts, o.file(), "main"); *again != *first {
		t.Errorf("%v, then %v", first, again)
	}
	commit := o.git("rev-parse", "HEAD")
	pinned := fetch(t, opts, o.file(), commit)
	if err := os.RemoveAll(o.dir); err != nil {
		t.Fatal(err)
	}
	if again := fetch(t, opts, o.file(), commit); *again != *pinned {
		t.Errorf("%v, then %v", pinned, again)
	}
}

func TestACommitStaysTheSame(t *testing.T) {
	o := project(t)
	opts := options(t)
	r := parse(t, o.file(), "main")
	commit, err := r.Resolve(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	o.write("README", "three\n")
	o.git("commit", "-q", "-a", "--amend", "-m", "rewritten")
	got, err := r.Fetch(t.Context(), opts, commit)
	if err != nil {
		t.Fatal(err)
	}
	if got.Commit != commit || files(t, got)["README"] != "0 644 two\n" {
		t.Errorf("commit %s with %q, want %s", got.Commit, files(t, got)["README"], commit)
	}
	if branch := unpack(t, got).git("branch", "--show-current"); branch != "main" {
		t.Errorf("on branch %q", branch)
	}
}

func TestGivingUpLeavesNothing(t *testing.T) {
	o := project(t)
	ctx, cancel := context.WithCancel(t.Context())
	address := served(t, o, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if bytes.Contains(body, []byte("command=fetch")) {
				cancel()
				<-r.Context().Done()
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			next.ServeHTTP(w, r)
		})
	})
	if _, err := parse(t, address, "").Fetch(ctx, options(t), ""); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestWhatAKilledProcessLeft(t *testing.T) {
	opts := options(t)
	old := filepath.Join(opts.Dir, staged+"old")
	dead := filepath.Join(opts.Dir, staged+"dead")
	for _, dir := range []string{old, dead} {
		if err := os.MkdirAll(filepath.Join(dir, "home"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dead, lockFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-2 * halfMade)
	if err := os.Chtimes(old, long, long); err != nil {
		t.Fatal(err)
	}
	busy, err := newStage(opts)
	if err != nil {
		t.Fatal(err)
	}
	defer busy.close()
	sweep(opts.Dir)
	left, _ := filepath.Glob(filepath.Join(opts.Dir, staged+"*"))
	if diff := cmp.Diff([]string{busy.dir}, left); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

func TestTheCacheHasACap(t *testing.T) {
	opts := options(t)
	opts.Limits.Kept = 10
	for i, name := range []string{"a", "b", "c"} {
		path := filepath.Join(opts.Dir, name+suffix)
		if err := os.WriteFile(path, []byte("12345"), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Unix(int64(1000+i), 0)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	opts.prune(filepath.Join(opts.Dir, "a"+suffix))
	left, _ := filepath.Glob(filepath.Join(opts.Dir, "*"))
	for i := range left {
		left[i] = filepath.Base(left[i])
	}
	if diff := cmp.Diff([]string{"a.tar", "c.tar"}, left); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}
