package pyro

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// servedTree is what a guest hands out, through a supervisor that judges nothing.
type servedTree struct {
	kind string // directory where it is empty
	seed []api.SeedEntry
	tar  []byte
	end  *api.TreeEnd    // nil: as it should be
	fail *api.ErrorReply // instead of the end
	cut  bool            // neither
}

// answer plays the supervisor.
func (s servedTree) answer(w http.ResponseWriter, r *http.Request) {
	serveFrames(w, func(p *peer) {
		kind := s.kind
		if kind == "" {
			kind = "directory"
		}
		half := len(s.seed) / 2
		p.json(wire.FrameHead, api.TreeHead{ArtifactType: kind, Seed: s.seed[:half]})
		p.json(wire.FrameHead, api.TreeHead{ArtifactType: kind, Seed: s.seed[half:]})
		for piece := range slices.Chunk(s.tar, 100_000) {
			if p.send(wire.FrameStdout, string(piece)) != nil {
				return
			}
		}
		switch {
		case s.cut:
		case s.fail != nil:
			p.json(wire.FrameFail, s.fail)
		case s.end != nil:
			p.json(wire.FrameExit, s.end)
		default:
			p.json(wire.FrameExit, api.TreeEnd{ArtifactType: kind, ExecutionMode: api.ModeGuestVsock})
		}
	})
}

// serveFrames answers with frames.
func serveFrames(w http.ResponseWriter, script func(*peer)) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", api.Frames)
	script(&peer{conn: conn, in: rw.Reader})
}

// exporting is a workspace that hands this out.
func exporting(t *testing.T, s servedTree) *Workspace {
	t.Helper()
	return serve(t, newTestClient(t, ""), supervisorScript{more: map[string]http.HandlerFunc{"GET /v1/tree": s.answer}})
}

// what a guest can put into an archive.
func tarFile(name, content string) *tarMember {
	return &tarMember{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(content)), ModTime: time.Unix(1_500_000_000, 0)}, content}
}

func tarDir(name string) *tarMember {
	return &tarMember{tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755, ModTime: time.Unix(1_500_000_000, 0)}, ""}
}

func tarLink(name, target string) *tarMember {
	return &tarMember{tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777, ModTime: time.Unix(1_500_000_000, 0)}, ""}
}

func tarHard(name, target string) *tarMember {
	return &tarMember{tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target, Mode: 0o644, ModTime: time.Unix(1_500_000_000, 0)}, ""}
}

func tarSpecial(kind byte, name string) *tarMember {
	return &tarMember{tar.Header{Typeflag: kind, Name: name, Mode: 0o644, Devmajor: 1, Devminor: 3}, ""}
}

type tarMember struct {
	tar.Header
	content string
}

func (m *tarMember) mode(mode int64) *tarMember { m.Mode = mode; return m }

func (m *tarMember) owned() *tarMember {
	m.Uid, m.Gid, m.Uname, m.Gname = 12345, 54321, "mallory", "mallory"
	return m
}

func (m *tarMember) xattr(key, value string) *tarMember {
	m.PAXRecords = map[string]string{"SCHILY.xattr." + key: value}
	return m
}

func tarOf(t *testing.T, members ...*tarMember) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, m := range members {
		if err := w.WriteHeader(&m.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, m.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// seededAs is what the seed has at a path.
func seededAs(path, content string) api.SeedEntry {
	sum := sha256.Sum256([]byte(content))
	return api.SeedEntry{Path: []byte(path), SHA256: hex.EncodeToString(sum[:])}
}

func (p *peer) json(t wire.FrameType, v any) {
	payload, err := json.Marshal(v)
	if err == nil {
		err = p.send(t, string(payload))
	}
	_ = err // the client has what it wants
}

// stands is what is below a directory: mode, kind, and content or target.
func stands(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			found[name] = info.Mode().String()
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			found[name] = "-> " + target
			return err
		case !d.Type().IsRegular():
			found[name] = info.Mode().String()
		default:
			data, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrPermission) {
				data, err = []byte("?"), nil
			}
			found[name] = info.Mode().String() + " " + string(data)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// exportingBy is exporting by a script.
func exportingBy(t *testing.T, script func(*peer)) *Workspace {
	t.Helper()
	return serve(t, newTestClient(t, ""), supervisorScript{more: map[string]http.HandlerFunc{
		"GET /v1/tree": func(w http.ResponseWriter, _ *http.Request) { serveFrames(w, script) },
	}})
}
