package agent

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// pulled is what an archive that is pulled holds: type, name, mode, and content or
// target.
func pulled(t *testing.T, c *wire.Client, r wire.PullRequest) ([]string, *wire.PullReply, error) {
	t.Helper()
	var out bytes.Buffer
	reply, err := c.Pull(t.Context(), r, &out)
	if err != nil {
		return nil, nil, err
	}
	var got []string
	for tr := tar.NewReader(&out); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return got, reply, nil
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%c %q %o %.9s%s", h.Typeflag, h.Name, h.Mode, content, h.Linkname))
	}
}

func paths(names ...string) (list [][]byte) {
	for _, name := range names {
		list = append(list, []byte(name))
	}
	return list
}

func TestPull(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, c *wire.Client) {
		long := strings.Repeat("0123456789", 100_000)
		tree(t, cfg.Workspace, map[string]string{
			"d/f": "in", "d/e/": "", "d/e/g\n\xff": "odd", "long": long, "link": "-> /etc/passwd", "z": "",
		})
		special(t, filepath.Join(cfg.Workspace, "fifo"))
		if err := errors.Join(os.Link(filepath.Join(cfg.Workspace, "d/f"), filepath.Join(cfg.Workspace, "again")), os.Chmod(filepath.Join(cfg.Workspace, "z"), 0o750)); err != nil {
			t.Fatal(err)
		}
		for name, tt := range map[string]struct {
			request wire.PullRequest
			want    []string
			reply   wire.PullReply
		}{
			"everything": {
				wire.PullRequest{Path: "/workspace", All: true},
				[]string{
					`0 "again" 644 in`, `5 "d/" 755 `, `5 "d/e/" 755 `, `0 "d/e/g\n\xff" 644 odd`, `1 "d/f" 644 again`,
					`2 "link" 777 /etc/passwd`, `0 "long" 644 012345678`, `0 "z" 750 `,
				},
				wire.PullReply{WorkspacePath: "/workspace", ArtifactType: "directory", EntryCount: 8, BytesWritten: 1_000_005, Skipped: 1},
			},
			"some": {
				wire.PullRequest{Path: ".", Only: paths("z", "link", "d/f", "d/e", "d/none", "fifo", "d/f/below", "link/x", "long")},
				[]string{`5 "d/e/" 755 `, `0 "d/f" 644 in`, `2 "link" 777 /etc/passwd`, `0 "long" 644 012345678`, `0 "z" 750 `},
				wire.PullReply{WorkspacePath: "/workspace", ArtifactType: "directory", EntryCount: 5, BytesWritten: 1_000_002, Skipped: 1},
			},
			"some below a directory": {
				wire.PullRequest{Path: "d", Only: paths("e/g\n\xff")},
				[]string{`0 "e/g\n\xff" 644 odd`},
				wire.PullReply{WorkspacePath: "/workspace/d", ArtifactType: "directory", EntryCount: 1, BytesWritten: 3},
			},
			"none that is there": {
				wire.PullRequest{Path: ".", Only: paths("none")},
				nil,
				wire.PullReply{WorkspacePath: "/workspace", ArtifactType: "directory"},
			},
			"a file": {
				wire.PullRequest{Path: "d/f", All: true},
				[]string{`0 "f" 644 in`},
				wire.PullReply{WorkspacePath: "/workspace/d/f", ArtifactType: "file", EntryCount: 1, BytesWritten: 2},
			},
		} {
			t.Run(name, func(t *testing.T) {
				got, reply, err := pulled(t, c, tt.request)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
				if diff := cmp.Diff(&tt.reply, reply); diff != "" {
					t.Errorf("reply (-want +got):\n%s", diff)
				}
			})
		}
	})
}

func TestPullRefuses(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, c *wire.Client) {
		tree(t, cfg.Workspace, map[string]string{"out": "-> " + outside(t), "f": strings.Repeat("x", 100_000)})
		special(t, filepath.Join(cfg.Workspace, "fifo"))
		sparse(t, filepath.Join(cfg.Workspace, "sparse"), 1<<43)
		for name, tt := range map[string]struct {
			request wire.PullRequest
			kind    api.Kind
		}{
			"outside":               {wire.PullRequest{Path: "../x", All: true}, api.Invalid},
			"through a link":        {wire.PullRequest{Path: "out/f", All: true}, api.Denied},
			"missing":               {wire.PullRequest{Path: "none", All: true}, api.NotFound},
			"missing, with members": {wire.PullRequest{Path: "none", Only: paths("a")}, api.NotFound},
			"a FIFO":                {wire.PullRequest{Path: "fifo", All: true}, api.Unsupported},
			"more than any archive": {wire.PullRequest{Path: "sparse", All: true}, api.Invalid},
			"more than was asked":   {wire.PullRequest{Path: "f", All: true, MaxBytes: 1000}, api.Invalid},
			"nothing":               {wire.PullRequest{Path: "."}, api.Invalid},
			"all and some":          {wire.PullRequest{Path: ".", All: true, Only: paths("f")}, api.Invalid},
			"member outside":        {wire.PullRequest{Path: ".", Only: paths("../f")}, api.Invalid},
		} {
			t.Run(name, func(t *testing.T) {
				if got, _, err := pulled(t, c, tt.request); !errors.Is(err, tt.kind) {
					t.Errorf("%q, error %v of kind %q", got, err, api.KindOf(err))
				}
			})
		}
		if got, _, err := pulled(t, c, wire.PullRequest{Path: ".", Only: paths("out/f", "out")}); err != nil || len(got) != 1 || got[0][0] != '2' {
			t.Errorf("through a link: %q, %v", got, err)
		}
	})
}

// The agent judges the members that it is asked for itself.
func TestPullRefusesBadMembers(t *testing.T) {
	for name, body := range map[string]string{
		"parent":            "\x04../f",
		"absolute":          "\x02/f",
		"empty":             "\x00",
		"NUL":               "\x02a\x00",
		"cut":               "\x05a",
		"endless number":    strings.Repeat("\xff", 20),
		"long":              "\xff\xff\x03",
		"no number's end":   "\xff",
		"good and then bad": "\x01a\x02/a",
	} {
		t.Run(name, func(t *testing.T) {
			for _, action := range []string{"pull_tree", "hash_files"} {
				request := `{"action":"` + action + `"}` + "\n" + frame(t, wire.FrameData, []byte(body)) + frame(t, wire.FrameEnd, nil)
				reply := talk(t, newAgent(testConfig(t)), []byte(request))
				f := lastFrame(t, reply)
				if f.Type != wire.FrameFail || failure(t, f.Payload).Kind != string(api.Invalid) {
					t.Errorf("%s: frame %q %q", action, f.Type, f.Payload)
				}
			}
		})
	}
}

// lastFrame is the last one of an answer.
func lastFrame(t *testing.T, reply []byte) (last wire.Frame) {
	t.Helper()
	r := bytes.NewReader(reply)
	for r.Len() > 0 {
		f, err := wire.ReadFrame(r, new([]byte))
		if err != nil {
			t.Fatalf("%v in %q", err, reply)
		}
		last = f
	}
	return last
}

func TestStalledBodiesEnd(t *testing.T) {
	for _, action := range []string{"hash_files", "pull_tree", `put_file","path":"f`} {
		t.Run(action, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn := served(t, newAgent(testConfig(t)))
				_, _ = fmt.Fprintf(conn, `{"action":"%s"}`+"\n%s", action, frame(t, wire.FrameData, []byte("\x03")))
				start := time.Now()
				r := bufio.NewReader(conn)
				first, err := r.Peek(1)
				if err != nil {
					t.Fatal(err)
				}
				var kind string
				if first[0] == '{' {
					line, _ := r.ReadBytes('\n')
					kind = failure(t, line).Kind
				} else if f, err := wire.ReadFrame(r, new([]byte)); err == nil {
					kind = failure(t, f.Payload).Kind
				}
				if took := time.Since(start); kind != string(api.Timeout) || took != bodyTimeout {
					t.Errorf("kind %q after %v", kind, took)
				}
			})
		})
	}
}

// A host that reads nothing ends what it asked for.
func TestUnreadPullEnds(t *testing.T) {
	cfg := testConfig(t)
	sparse(t, filepath.Join(cfg.Workspace, "sparse"), 1<<36)
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer func() { _ = ours.Close() }()
		start := time.Now()
		done := make(chan struct{})
		go func() { // ends with the agent's deadline
			defer close(done)
			newAgent(cfg).serve(t.Context(), theirs, false)
		}()
		_, _ = io.WriteString(ours, `{"action":"pull_tree","all":true}`+"\n")
		<-done
		if took := time.Since(start); took > 2*bodyTimeout {
			t.Errorf("took %v", took)
		}
	})
}

func TestOutflowKeepsTheBytes(t *testing.T) {
	var sent bytes.Buffer
	out := &outflow{conn: sink{w: &sent}}
	var want []byte
	for i, n := range []int{1, 0, fullPiece - 1, 5, fullPiece, 3*fullPiece + 7, 10} {
		p := bytes.Repeat([]byte{byte(i)}, n)
		want = append(want, p...)
		if k, err := out.Write(p); k != n || err != nil {
			t.Fatal(k, err)
		}
	}
	out.end(struct{}{}, nil)
	var got []byte
	var kinds []byte
	for r := bytes.NewReader(sent.Bytes()); r.Len() > 0; {
		f, err := wire.ReadFrame(r, new([]byte))
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, byte(f.Type))
		if f.Type == wire.FrameData {
			got = append(got, f.Payload...)
		}
	}
	if !bytes.Equal(want, got) || !slices.Equal(kinds, []byte("ddddddx")) {
		t.Errorf("%d bytes in frames %q, want %d", len(got), kinds, len(want))
	}
}

// sink is a connection that takes all.
type sink struct {
	net.Conn
	w io.Writer
}

func (s sink) Write(p []byte) (int, error)      { return s.w.Write(p) }
func (s sink) SetWriteDeadline(time.Time) error { return nil }
