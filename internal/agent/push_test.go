package agent

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// seen is what stands below dir, by path: mode, time, and content or target. Times of
// directories are left out where they are not whole seconds.
func seen(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		text := ""
		switch e.Type() {
		case 0:
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text = string(content)
		case fs.ModeSymlink:
			text, err = os.Readlink(path)
		}
		when := info.ModTime().UTC().Format(time.DateTime)
		if e.IsDir() && info.ModTime().Nanosecond() != 0 {
			when = "now"
		}
		all[strings.TrimPrefix(path, dir+"/")] = fmt.Sprint(info.Mode(), " ", when, " ", text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func push(t *testing.T, c *wire.Client, to string, members ...tar.Header) (wire.PushReply, error) {
	t.Helper()
	return c.PushTree(t.Context(), to, bytes.NewReader(tarOf(t, members...)))
}

// noStage fails the test if something of a pushed tree lies beside the workspace.
func noStage(t *testing.T, cfg Config) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(filepath.Dir(cfg.Workspace), ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left beside the workspace: %q, %v", left, err)
	}
}

// thaw lets an ordinary user clean up after a test.
func thaw(t *testing.T, dirs ...string) {
	t.Helper()
	t.Cleanup(func() {
		for _, dir := range dirs {
			_ = os.Chmod(dir, 0o700)
		}
	})
}

const when = "2001-02-03 04:05:06 " // aTime

func TestPushToWhatIsEmptyOrMissing(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, c *wire.Client) {
		for to, dir := range map[string]string{"/workspace": "", "sub/dir": "sub/dir"} {
			thaw(t, filepath.Join(cfg.Workspace, dir, "closed"))
			got, err := push(
				t, c, to,
				tar.Header{Name: "d/", Typeflag: tar.TypeDir, Mode: 0o750},
				tar.Header{Name: "d/run", Mode: 0o4755, Size: 3},
				tar.Header{Name: "d/again", Typeflag: tar.TypeLink, Linkname: "d/run"},
				tar.Header{Name: "closed/", Typeflag: tar.TypeDir, Mode: 0o555},
				tar.Header{Name: "closed/f", Mode: 0o444, Size: 200_000},
				tar.Header{Name: "link", Typeflag: tar.TypeSymlink, Linkname: "../../nowhere"},
				tar.Header{Name: "on/the/way", Mode: 0o600},
			)
			if err != nil {
				t.Fatal(err)
			}
			want := wire.PushReply{Destination: filepath.Join("/workspace", dir), EntryCount: 7, BytesWritten: 200_003}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			root := filepath.Join(cfg.Workspace, dir)
			all := seen(t, root)
			for name := range all {
				if dir == "" && strings.HasPrefix(name, "sub") {
					delete(all, name)
				}
			}
			if diff := cmp.Diff(map[string]string{
				"d": "drwxr-x--- " + when, "d/run": "urwxr-xr-x " + when + "xxx", "d/again": "urwxr-xr-x " + when + "xxx",
				"closed": "dr-xr-xr-x " + when, "closed/f": "-r--r--r-- " + when + strings.Repeat("x", 200_000),
				"link": "Lrwxrwxrwx " + when + "../../nowhere",
				"on":   "drwxr-xr-x now ", "on/the": "drwxr-xr-x now ", "on/the/way": "-rw------- " + when,
			}, all); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			one, err1 := os.Stat(filepath.Join(root, "d/run"))
			two, err2 := os.Stat(filepath.Join(root, "d/again"))
			if err1 != nil || err2 != nil || !os.SameFile(one, two) {
				t.Errorf("the hard link is another file: %v, %v", err1, err2)
			}
			noStage(t, cfg)
		}
	})
}

func TestPushMerges(t *testing.T) {
	cfg := testConfig(t)
	c := serve(t, cfg)
	at := func(name string) string { return filepath.Join(cfg.Workspace, name) }
	tree(t, cfg.Workspace, map[string]string{
		"d/stays": "s", "d/old": "old", "d/link": "-> old", "d/deep/f": "f", "way/private/x": "x", "e/": "",
	})
	if err := errors.Join(os.Link(at("d/old"), at("d/other")), os.Chmod(at("way/private"), 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"d/stays", "d/other", "d/deep/f", "way/private/x"} {
		if err := os.Chtimes(at(name), aTime, aTime); err != nil {
			t.Fatal(err)
		}
	}
	before, err := os.Stat(at("d"))
	if err != nil {
		t.Fatal(err)
	}
	thaw(t, at("d/deep"), at("d"))
	if _, err := push(
		t, c, "/workspace",
		tar.Header{Name: "d/", Typeflag: tar.TypeDir, Mode: 0o2555},
		tar.Header{Name: "d/deep/", Typeflag: tar.TypeDir, Mode: 0o500},
		tar.Header{Name: "d/deep/new", Mode: 0o644, Size: 1},
		tar.Header{Name: "d/old", Mode: 0o640, Size: 2},
		tar.Header{Name: "d/twin", Typeflag: tar.TypeLink, Linkname: "d/old"},
		tar.Header{Name: "d/link", Typeflag: tar.TypeSymlink, Linkname: "deep"},
		tar.Header{Name: "way/private/y", Mode: 0o600},
		tar.Header{Name: "e/", Typeflag: tar.TypeDir, Mode: 0o700},
	); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{
		"d": "dgr-xr-xr-x " + when, "d/stays": "-rw-r--r-- " + when + "s",
		"d/old": "-rw-r----- " + when + "xx", "d/twin": "-rw-r----- " + when + "xx", "d/other": "-rw-r--r-- " + when + "old",
		"d/link": "Lrwxrwxrwx " + when + "deep",
		"d/deep": "dr-x------ " + when, "d/deep/f": "-rw-r--r-- " + when + "f", "d/deep/new": "-rw-r--r-- " + when + "x",
		"way": "drwxr-xr-x now ", "way/private": "drwx------ now ", "way/private/x": "-rw-r--r-- " + when + "x", "way/private/y": "-rw------- " + when,
		"e": "drwx------ " + when,
	}, seen(t, cfg.Workspace)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if after, err := os.Stat(at("d")); err != nil || !os.SameFile(before, after) {
		t.Errorf("the directory that was there is another one, %v", err)
	}
	noStage(t, cfg)
}

func TestPushTurnsFilesIntoLinksAndBack(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, c *wire.Client) {
		target := filepath.Join(t.TempDir(), "canary")
		if err := os.WriteFile(target, []byte("whole"), 0o600); err != nil {
			t.Fatal(err)
		}
		tree(t, cfg.Workspace, map[string]string{"d/file": "f", "d/link": "-> " + target, "dangling": "-> nowhere"})
		if _, err := push(
			t, c, "/workspace",
			tar.Header{Name: "d/file", Typeflag: tar.TypeSymlink, Linkname: target},
			tar.Header{Name: "d/link", Mode: 0o644, Size: 2},
			tar.Header{Name: "dangling", Mode: 0o644, Size: 1},
		); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]string{
			"d": "drwxr-xr-x now ", "d/file": "Lrwxrwxrwx " + when + target, "d/link": "-rw-r--r-- " + when + "xx", "dangling": "-rw-r--r-- " + when + "x",
		}, seen(t, cfg.Workspace)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if content, err := os.ReadFile(target); string(content) != "whole" {
			t.Errorf("what the link led to has %q, %v", content, err)
		}
		noStage(t, cfg)
	})
}

func TestPushMergesManyNames(t *testing.T) {
	cfg := testConfig(t)
	c := serve(t, cfg)
	members := []tar.Header{{Name: "d/", Typeflag: tar.TypeDir, Mode: 0o755}}
	for i := range 1500 { // more than are read of a directory at once
		members = append(members, tar.Header{Name: fmt.Sprintf("d/%d", i), Mode: 0o644})
	}
	for range 2 { // into what is missing, and over what is there
		if _, err := push(t, c, "/workspace", members...); err != nil {
			t.Fatal(err)
		}
	}
	if names, err := os.ReadDir(filepath.Join(cfg.Workspace, "d")); err != nil || len(names) != 1500 {
		t.Errorf("%d files, %v", len(names), err)
	}
	noStage(t, cfg)
}

func TestPushChangesNothingWhereSomethingIsInTheWay(t *testing.T) {
	file := func(name string) tar.Header { return tar.Header{Name: name, Mode: 0o600, Size: 1} }
	dir := func(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o700} }
	for name, tt := range map[string]struct {
		to     string
		member tar.Header
		kind   api.Kind
		names  string
	}{
		"directory over file":      {".", dir("d/f/"), api.Exists, "d/f"},
		"file over directory":      {".", file("d/sub"), api.Exists, "d/sub"},
		"link over directory":      {".", tar.Header{Name: "d/sub", Typeflag: tar.TypeSymlink, Linkname: "x"}, api.Exists, "d/sub"},
		"link over FIFO":           {".", tar.Header{Name: "fifo", Typeflag: tar.TypeSymlink, Linkname: "x"}, api.Exists, "fifo"},
		"directory over link":      {".", dir("d/l/"), api.Denied, "d/l"},
		"through a link":           {".", file("out/f"), api.Denied, "out"},
		"through a file":           {".", file("d/f/x"), api.Exists, "d/f"},
		"file over FIFO":           {".", file("fifo"), api.Exists, "fifo"},
		"destination is a link":    {"out", file("f"), api.Denied, "/workspace/out"},
		"destination is a file":    {"d/f", file("f"), api.Invalid, "/workspace/d/f"},
		"destination below a file": {"d/f/x", file("f"), api.Invalid, "/workspace/d/f"},
		"destination leads out":    {"../x", file("f"), api.Invalid, ".."},
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, cfg Config, c *wire.Client) {
				tree(t, cfg.Workspace, map[string]string{"d/f": "f", "d/l": "-> f", "d/sub/x": "x", "out": "-> " + outside(t)})
				if err := unix.Mkfifo(filepath.Join(cfg.Workspace, "fifo"), 0o600); err != nil {
					t.Fatal(err)
				}
				before := seen(t, cfg.Workspace)
				_, err := push(t, c, tt.to, file("a"), dir("d/"), file("d/a"), tt.member, file("z"))
				if api.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.names) {
					t.Errorf("error %v of kind %q, want %q about %q", err, api.KindOf(err), tt.kind, tt.names)
				}
				if diff := cmp.Diff(before, seen(t, cfg.Workspace)); diff != "" {
					t.Errorf("the workspace changed (-before +after):\n%s", diff)
				}
				noStage(t, cfg)
			})
		})
	}
}

// served is the host's end of a connection to an agent.
func served(t *testing.T, a *agent) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	go func() { // ends with the connection
		defer close(done)
		a.serve(t.Context(), theirs, false)
	}()
	t.Cleanup(func() {
		_ = ours.Close()
		<-done
	})
	return ours
}

func TestStalledPushEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig(t)
		conn := served(t, newAgent(cfg))
		start := time.Now()
		whole := tarOf(t, tar.Header{Name: "f", Mode: 0o600, Size: 900})
		_, _ = io.WriteString(conn, `{"action":"push_tree"}`+"\n")
		for _, part := range [][]byte{whole[:100], whole[100:700]} {
			<-time.After(bodyTimeout - time.Second)
			_, _ = io.WriteString(conn, frame(t, wire.FrameData, part))
		}
		reply, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		if f := failure(t, reply); f.Kind != string(api.Timeout) {
			t.Errorf("reply %+v", f)
		}
		if took := time.Since(start); took != 3*bodyTimeout-2*time.Second {
			t.Errorf("took %v", took)
		}
		noStage(t, cfg)
	})
}

func TestPushesAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, c *wire.Client) {
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				var members []tar.Header
				for j := range 30 { // all over the same names, and one of its own
					members = append(members, tar.Header{Name: fmt.Sprintf("d/%d", j), Mode: int64(0o600 + i), Size: int64(i)})
				}
				members = append(members, tar.Header{Name: fmt.Sprintf("own/%d", i)})
				if _, err := push(t, c, "/workspace", members...); err != nil {
					t.Errorf("push %d: %v", i, err)
				}
			})
		}
		all.Wait()
		of := map[string]bool{} // whose files are in d: of one push alone
		for name, text := range seen(t, filepath.Join(cfg.Workspace, "d")) {
			if of[text] = true; len(name) > 2 {
				t.Errorf("%s does not belong there", name)
			}
		}
		if len(of) != 1 {
			t.Errorf("files of several pushes: %v", of)
		}
		if own, err := os.ReadDir(filepath.Join(cfg.Workspace, "own")); err != nil || len(own) != 8 {
			t.Errorf("own has %v, %v", own, err)
		}
		noStage(t, cfg)
	})
}

func TestPushWaitsForAnother(t *testing.T) {
	request := `{"action":"push_tree"}` + "\n" + frame(t, wire.FrameData, tarOf(t, tar.Header{Name: "f", Mode: 0o600})) + frame(t, wire.FrameEnd, nil)
	for name, proceed := range map[string]bool{"until it is done": true, "as long as the host is there": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := testConfig(t)
				a := newAgent(cfg)
				a.merging <- struct{}{} // as another push does
				conn := served(t, a)
				if _, err := io.WriteString(conn, request); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if got := seen(t, cfg.Workspace); len(got) > 0 {
					t.Errorf("it did not wait: %v", got)
				}
				if !proceed {
					_ = conn.Close()
					synctest.Wait()
				}
				<-a.merging
				reply, _ := io.ReadAll(conn)
				if got := len(seen(t, cfg.Workspace)) == 1 && bytes.Contains(reply, []byte("entry_count")); got != proceed {
					t.Errorf("reply %q, %v", reply, seen(t, cfg.Workspace))
				}
				noStage(t, cfg)
			})
		})
	}
}

func TestPushEndsWithTheAgent(t *testing.T) {
	cfg := testConfig(t)
	l := newPipeListener()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, cfg) }() // ends with ctx
	conn := l.dial()
	if _, err := io.WriteString(conn, `{"action":"push_tree"}`+"\n"+frame(t, wire.FrameData, []byte("x"))); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, conn) }() // ends with the connection
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	noStage(t, cfg)
}
