package supervisor

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/wire"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

func looking() workspace.Launch { return workspace.Launch{Kind: workspace.KindWorkspace, Look: true} }

// hangUp ends a client that looks, and with it its supervisor.
func (r *running) hangUp(t *testing.T) {
	t.Helper()
	_ = r.client.Close()
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
}

// stoppedWith is a workspace in which a line was run, stopped.
func (b *bench) stoppedWith(t *testing.T, line string) {
	t.Helper()
	r := b.start(t, aWorkspace())
	r.shell(t, line)
	r.stop(t)
}

// shown are the paths of a list, with what they are.
func shown(list api.DiskList) []string {
	var out []string
	for _, e := range list.Entries {
		out = append(out, fmt.Sprint(e.Path, " ", e.ArtifactType, " ", e.SizeBytes))
	}
	return out
}

func TestTheDiskOfAStoppedWorkspaceIsShown(t *testing.T) {
	b := newBench(t)
	b.stoppedWith(t, "mkdir a; echo one >a/1; echo two >a-2; ln -s /etc/passwd link; mkfifo fifo")
	before, err := workspace.Read(b.store, testID)
	if err != nil {
		t.Fatal(err)
	}
	r := b.start(t, looking())
	list := do[api.DiskList](t, r, "GET", "/v1/disk/list?path=/workspace&recursive=true", nil)
	want := []string{"/workspace/a directory 0", "/workspace/a-2 file 4", "/workspace/a/1 file 4", "/workspace/link symlink 11"}
	if diff := cmp.Diff(want, shown(list)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	all := do[api.DiskList](t, r, "GET", "/v1/disk/list?path=/&recursive=true", nil)
	if diff := cmp.Diff(append([]string{"/workspace directory 0"}, want...), shown(all)); diff != "" {
		t.Errorf("the root (-want +got):\n%s", diff)
	}
	read := do[api.DiskRead](t, r, "GET", "/v1/disk/read?path=a/1&max_bytes=2", nil)
	if read.Content != "on" || !read.Truncated || read.SizeBytes != 4 || read.Path != "/workspace/a/1" {
		t.Errorf("read: %+v", read)
	}
	if got := refused(t, r, "GET", "/v1/disk/read?path=nothing", nil); got.Kind != api.NotFound || strings.Contains(got.Error, "workspace/workspace") {
		t.Errorf("a missing file: %+v", got)
	}
	if got := refused(t, r, "GET", "/v1/disk/list?path=../x", nil); got.Kind != api.Invalid {
		t.Errorf("a path outside: %+v", got)
	}
	if head, err := untar(b.diskTar(t, "/workspace/a")); err != nil || head["1"] != "one\n" {
		t.Errorf("archive: %v, %v", head, err)
	}
	r.hangUp(t)
	after, err := workspace.Read(b.store, testID)
	if diff := cmp.Diff(before, after); diff != "" || err != nil {
		t.Errorf("looking changed the record, %v (-before +after):\n%s", err, diff)
	}
}

func (b *bench) diskTar(t *testing.T, of string) []byte {
	t.Helper()
	conn, err := net.Dial("unix", path.Join(b.store.RunDir(testID), store.DiskSocket))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "GET /v1/disk/tar?path=%s HTTP/1.1\r\nHost: pyro\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", of, api.Frames); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	if resp, err := http.ReadResponse(in, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", resp, err)
	}
	out, last := untilEnd(t, in)
	if last.Type != wire.FrameExit {
		t.Fatalf("frame %q: %s", byte(last.Type), last.Payload)
	}
	return []byte(out)
}

// untar returns the files of an archive.
func untar(data []byte) (map[string]string, error) {
	files := make(map[string]string)
	for in := tar.NewReader(bytes.NewReader(data)); ; {
		head, err := in.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return files, err
		}
		content, err := io.ReadAll(in)
		if err != nil {
			return files, err
		}
		files[head.Name] = string(content)
	}
}

// Nothing in the disk's own API changes anything, and what a workspace that runs is asked
// for is not known there.
func TestADiskIsOnlyLookedAt(t *testing.T) {
	b := newBench(t)
	b.stoppedWith(t, "echo kept >file")
	r := b.start(t, looking())
	for _, ask := range [][2]string{
		{"POST", "/v1/exec"},
		{"DELETE", "/v1/workspace"},
		{"PUT", "/v1/secrets/X"},
		{"POST", "/v1/stop"},
		{"POST", "/v1/disk/list"},
		{"PUT", "/v1/files/content?path=x"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), ask[0], "http://pyro"+ask[1], strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := r.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound && resp.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s %s: status %d", ask[0], ask[1], resp.StatusCode)
		}
	}
	r.hangUp(t)
}

func TestTheDiskOfOneThatRunsIsInUse(t *testing.T) {
	r := newBench(t).start(t, aWorkspace())
	for _, path := range []string{"/v1/disk/list", "/v1/disk/read?path=x", "/v1/disk/tar"} {
		if got := refused(t, r, "GET", path, nil); got.Kind != api.Conflict || !strings.Contains(got.Hint, "pyro workspace stop") {
			t.Errorf("%s: %+v", path, got)
		}
	}
}

func TestWhoLooksHoldsTheWorkspace(t *testing.T) {
	b := newBench(t)
	b.stoppedWith(t, "true")
	r := b.start(t, looking())
	for name, launch := range map[string]workspace.Launch{"start": again(), "look": looking()} {
		if _, second := b.launch(t, b.cfg, launch); second.Error == nil || !second.Held {
			t.Errorf("%s beside somebody who looks: %+v", name, second)
		}
	}
	r.hangUp(t)
	b.start(t, again()).stop(t)
}

func TestARunningWorkspaceIsNotLookedAt(t *testing.T) {
	b := newBench(t)
	r := b.start(t, aWorkspace())
	if _, second := b.launch(t, b.cfg, looking()); second.Error == nil || !second.Held {
		t.Errorf("looking into one that runs: %+v", second)
	}
	if got := r.shell(t, "echo fine"); got != "fine\n" {
		t.Errorf("it says %q", got)
	}
}

func TestAScratchSandboxLeavesNothing(t *testing.T) {
	b := newBench(t)
	b.stoppedWith(t, "true")
	for range 2 {
		r := b.start(t, looking())
		r.hangUp(t)
	}
	for _, dir := range []string{b.store.RunDir(testID), b.store.SandboxDir(testID)} {
		if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", dir, err)
		}
	}
}

// Whoever looked may have been killed. The next command that meets the workspace frees what
// is left.
func TestWhatAKilledLookerLeftIsFreed(t *testing.T) {
	b := newBench(t)
	b.stoppedWith(t, "true")
	left := b.store.RunDir(testID)
	if err := os.MkdirAll(filepath.Join(left, "r"), 0o700); err != nil {
		t.Fatal(err)
	}
	list, err := workspace.List(t.Context(), b.store)
	if err != nil || list.Count != 1 || list.Workspaces[0].State != api.StateStopped {
		t.Errorf("list: %+v, %v", list, err)
	}
	if _, err := os.Lstat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left: %v", left, err)
	}
}
