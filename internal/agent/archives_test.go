package agent

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

var aTime = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)

// tarOf makes an archive; files without a body have the length that they say.
func tarOf(t testing.TB, members ...tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, h := range members {
		if h.ModTime.IsZero() {
			h.ModTime = aTime
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(bytes.Repeat([]byte("x"), int(h.Size))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func extract(t *testing.T, c *wire.Client, to string, data []byte) (wire.ArchiveReply, error) {
	t.Helper()
	return c.ExtractArchive(t.Context(), to, bytes.NewReader(data), int64(len(data)))
}

func TestExtractKeepsModesAndTimes(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, c *wire.Client) {
		data := tarOf(
			t,
			tar.Header{Name: "d/", Typeflag: tar.TypeDir, Mode: 0o750},
			tar.Header{Name: "d/run", Mode: 0o755, Size: 3},
			tar.Header{Name: "d/secret", Mode: 0o600, Size: 4},
			tar.Header{Name: "read-only/", Typeflag: tar.TypeDir, Mode: 0o555},
			tar.Header{Name: "read-only/f", Mode: 0o444, Size: 200_000},
		)
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		if _, err := z.Write(data); err != nil || z.Close() != nil {
			t.Fatal(err)
		}
		for to, data := range map[string][]byte{"/workspace": data, "/workspace/sub/dir": packed.Bytes()} {
			got, err := extract(t, c, to, data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(wire.ArchiveReply{Destination: to, EntryCount: 5, BytesWritten: 200_007}, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			for name, mode := range map[string]os.FileMode{"d": 0o750, "d/run": 0o755, "d/secret": 0o600, "read-only": 0o555, "read-only/f": 0o444} {
				info, err := os.Stat(filepath.Join(cfg.Workspace, strings.TrimPrefix(to, "/workspace"), name))
				if err != nil || info.Mode().Perm() != mode || !info.ModTime().Equal(aTime) {
					t.Errorf("%s: %v, %v", name, info, err)
				}
			}
			// Who is not root could not remove the directory after the test.
			readOnly := filepath.Join(cfg.Workspace, strings.TrimPrefix(to, "/workspace"), "read-only")
			if err := os.Chmod(readOnly, 0o755); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestExtractKeepsLinks(t *testing.T) {
	cfg := testConfig(t)
	c := serve(t, cfg)
	targets := map[string]string{
		"node_modules/.bin/x": "../x/cli.js", "venv/python": "/usr/bin/python3", "up": "../../..", "dangling": "nowhere", "self": "self",
	}
	var members []tar.Header
	for name, to := range targets {
		members = append(members, tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: to, Mode: 0o777})
	}
	members = append(members, tar.Header{Name: "one", Mode: 0o644, Size: 1}, tar.Header{Name: "two", Typeflag: tar.TypeLink, Linkname: "one"})
	if _, err := extract(t, c, "/workspace", tarOf(t, members...)); err != nil {
		t.Fatal(err)
	}
	for name, want := range targets {
		if got, err := os.Readlink(filepath.Join(cfg.Workspace, name)); err != nil || got != want {
			t.Errorf("%s leads to %q, want %q, %v", name, got, want, err)
		}
	}
	one, err1 := os.Stat(filepath.Join(cfg.Workspace, "one"))
	two, err2 := os.Stat(filepath.Join(cfg.Workspace, "two"))
	if err1 != nil || err2 != nil || !os.SameFile(one, two) {
		t.Errorf("the hard link is another file: %v, %v", err1, err2)
	}
}

func TestExtractDoesNotWriteThroughLink(t *testing.T) {
	dir := outside(t)
	for name, members := range map[string][]tar.Header{
		"link that was there":      {{Name: "there/f", Mode: 0o644, Size: 1}},
		"file link that was there": {{Name: "file", Mode: 0o644, Size: 1}},
		"dangling link":            {{Name: "dangling", Mode: 0o644, Size: 1}},
		"link of the archive":      {{Name: "l", Typeflag: tar.TypeSymlink, Linkname: dir}, {Name: "l/f", Mode: 0o644, Size: 1}},
		"directory over a link":    {{Name: "there/", Typeflag: tar.TypeDir, Mode: 0o700}},
		"hard link to outside":     {{Name: "h", Typeflag: tar.TypeLink, Linkname: dir + "/f"}},
		"dot dot":                  {{Name: "../f", Mode: 0o644, Size: 1}},
		"absolute":                 {{Name: dir + "/f", Mode: 0o644, Size: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t)
			c := serve(t, cfg)
			tree(t, cfg.Workspace, map[string]string{"there": "-> " + dir, "file": "-> " + dir + "/f", "dangling": "-> " + dir + "/new"})
			if reply, err := extract(t, c, "/workspace", tarOf(t, members...)); err == nil {
				t.Errorf("it was accepted: %+v", reply)
			}
		})
	}
	t.Run("destination", func(t *testing.T) {
		cfg := testConfig(t)
		c := serve(t, cfg)
		tree(t, cfg.Workspace, map[string]string{"there": "-> " + dir})
		if _, err := extract(t, c, "/workspace/there", tarOf(t, tar.Header{Name: "f", Size: 1})); api.KindOf(err) != api.Denied {
			t.Errorf("error is %v", err)
		}
	})
}

func TestExtractRefuses(t *testing.T) {
	c := serve(t, testConfig(t))
	long := make([]byte, 2<<20)
	for name, data := range map[string][]byte{
		"nothing":       nil,
		"no tar":        []byte("hello"),
		"a lot of it":   bytes.Repeat([]byte("hello"), 1<<20),
		"half a tar":    tarOf(t, tar.Header{Name: "f", Size: 5000})[:2000],
		"FIFO":          tarOf(t, tar.Header{Name: "f", Typeflag: tar.TypeFifo}),
		"more after it": append(tarOf(t, tar.Header{Name: "f", Size: 1}), bytes.Repeat([]byte("x"), len(long))...),
	} {
		t.Run(name, func(t *testing.T) {
			if reply, err := extract(t, c, "/workspace", data); err == nil {
				t.Errorf("it was accepted: %+v", reply)
			}
		})
	}
	t.Run("negative size", func(t *testing.T) {
		if f := failure(t, ask(t, c, `{"action":"extract_archive","archive_size":-1}`+"\n")); f.Kind != string(api.Invalid) {
			t.Errorf("reply is %+v", f)
		}
	})
	// The error comes although the peer, like the replaced product's client, reads
	// nothing before it has sent everything.
	t.Run("after the whole body", func(t *testing.T) {
		conn := dial(t, c)
		if _, err := io.WriteString(conn, `{"action":"extract_archive","destination":"/etc","archive_size":2097152}`+"\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(long); err != nil {
			t.Fatal(err)
		}
		reply, err := io.ReadAll(conn)
		if err != nil || !bytes.Contains(reply, []byte("must stay inside")) {
			t.Errorf("reply is %q, %v", reply, err)
		}
	})
}

func TestExport(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, c *wire.Client) {
		tree(t, cfg.Workspace, map[string]string{"d/f": "in\n", "d/e/g": strings.Repeat("x", 100_000), "link": "-> ../out", "empty/": ""})
		for path, want := range map[string]struct {
			kind  wire.ArtifactType
			names []string
		}{
			"/workspace": {wire.Directory, []string{"d/", "d/e/", "d/e/g", "d/f", "empty/", "link"}},
			"d":          {wire.Directory, []string{"e/", "e/g", "f"}},
			"d/f":        {wire.File, []string{"f"}},
			"link":       {wire.Symlink, []string{"link"}},
			"empty":      {wire.Directory, nil},
		} {
			e, err := c.ExportArchive(t.Context(), path)
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			data, err := io.ReadAll(e)
			if err = errors.Join(err, e.Close()); err != nil {
				t.Errorf("%s: %v", path, err)
			}
			var names []string
			for r := tar.NewReader(bytes.NewReader(data)); ; {
				h, err := r.Next()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				names = append(names, h.Name)
			}
			if diff := cmp.Diff(want.names, names); diff != "" || e.ArtifactType != want.kind || int(e.EntryCount) != len(names) {
				t.Errorf("%s: %+v, -want +got:\n%s", path, e.ExportReply, diff)
			}
		}
		for path, kind := range map[string]api.Kind{"none": api.NotFound, "link/x": api.Denied} {
			if _, err := c.ExportArchive(t.Context(), path); api.KindOf(err) != kind || err == nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	})
}

// What is exported comes back the same.
func TestExportAndExtract(t *testing.T) {
	cfg := testConfig(t)
	c := serve(t, cfg)
	tree(t, cfg.Workspace, map[string]string{"a/b/c": "1", "a/link": "-> /nowhere", "a/x": "2"})
	e, err := c.ExportArchive(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	if _, err := c.ExtractArchive(t.Context(), "/workspace/b", e, e.ArchiveSize); err != nil {
		t.Fatal(err)
	}
	if got := exec(t, c, "cd '"+cfg.Workspace+"' && diff -r --no-dereference a b"); got.ExitCode != 0 {
		t.Errorf("they differ: %+v", got)
	}
}

func install(t *testing.T, c *wire.Client, members ...tar.Header) (wire.ArchiveReply, error) {
	t.Helper()
	data := tarOf(t, members...)
	return c.InstallSecrets(t.Context(), bytes.NewReader(data), int64(len(data)))
}

func TestInstallSecrets(t *testing.T) {
	cfg := testConfig(t)
	c := serve(t, cfg)
	dir := filepath.Join(cfg.RunDir, "pyro-secrets")
	files := func() map[string]int64 {
		got := map[string]int64{}
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			info, err := e.Info()
			if err != nil || info.Mode() != 0o400 {
				t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
			}
			got[e.Name()] = info.Size()
		}
		return got
	}
	got, err := install(t, c, tar.Header{Name: "TOKEN", Mode: 0o777, Size: 5}, tar.Header{Name: "KEY", Mode: 0o644, Size: 7})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wire.ArchiveReply{Destination: "/run/pyro-secrets", EntryCount: 2, BytesWritten: 12}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int64{"TOKEN": 5, "KEY": 7}, files()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v, %v", info, err)
	}
	t.Run("refused as a whole", func(t *testing.T) {
		for _, bad := range []tar.Header{
			{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"},
			{Name: "h", Typeflag: tar.TypeLink, Linkname: "NEW"},
			{Name: "f", Typeflag: tar.TypeFifo},
			{Name: "../f", Size: 1},
		} {
			if _, err := install(t, c, tar.Header{Name: "NEW", Size: 1}, tar.Header{Name: "TOKEN", Size: 1}, bad); err == nil {
				t.Errorf("%s was accepted", bad.Name)
			}
		}
		if diff := cmp.Diff(map[string]int64{"TOKEN": 5, "KEY": 7}, files()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
	t.Run("replaced as a whole", func(t *testing.T) {
		if _, err := install(t, c, tar.Header{Name: "TOKEN", Size: 9}, tar.Header{Name: "OTHER", Size: 1}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]int64{"TOKEN": 9, "OTHER": 1}, files()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
	left, _ := os.ReadDir(cfg.RunDir)
	if len(left) != 3 {
		t.Errorf("left in the run directory: %v", left)
	}
}

// A reader finds a secret at every moment, and a whole one.
func TestSecretsNeverVanish(t *testing.T) {
	cfg := testConfig(t)
	c := serve(t, cfg)
	if _, err := install(t, c, tar.Header{Name: "TOKEN", Size: 1000}); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() { // ends with stop
		for {
			select {
			case <-stop:
				return
			default:
			}
			content, err := os.ReadFile(filepath.Join(cfg.RunDir, "pyro-secrets", "TOKEN"))
			if err != nil || len(content) != 1000 {
				t.Errorf("%d bytes, %v", len(content), err)
				return
			}
		}
	})
	for range 50 {
		if _, err := install(t, c, tar.Header{Name: "TOKEN", Size: 1000}); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	reader.Wait()
}

// A link, and a member that goes through it.
var (
	tarLink    = tar.Header{Name: "up", Typeflag: tar.TypeSymlink, Linkname: ".."}
	tarThrough = tar.Header{Name: "up/secret", Mode: 0o644, Size: 3}
)
