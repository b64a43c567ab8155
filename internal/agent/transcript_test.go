package agent

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/pyro-sandbox/pyro/internal/wire"
	"github.com/pyro-sandbox/pyro/internal/wire/wiretest"
)

// The real agent answers the conversations that the client is tested with.
func TestTranscripts(t *testing.T) {
	played := 0
	for _, c := range wiretest.Load(t, filepath.Join("..", "wire", "testdata")) {
		if !c.Agent {
			continue
		}
		played++
		t.Run(c.Name, func(t *testing.T) {
			onEach(t, func(t *testing.T, cfg Config, client *wire.Client) {
				c.Lay(t, cfg.Workspace)
				if err := c.Play(dial(t, client)); err != nil {
					t.Error(err)
				}
			})
		})
	}
	if played == 0 {
		t.Error("no conversation is meant for the agent")
	}
}

// FuzzHandle sends arbitrary bytes to an agent: nothing may panic, and nothing
// outside the workspace may change or come out.
func FuzzHandle(f *testing.F) {
	for _, seed := range []string{
		`{"action":"hello"}`,
		`{"action":"list_workspace","path":"/workspace","recursive":"x"}`,
		`{"action":"read_workspace_file","path":"out/secret","max_bytes":"7"}`,
		`{"action":"read_workspace_file","path":"/workspace/../secret"}`,
		`{"action":"write_workspace_file","path":"out/secret","text":"x"}`,
		`{"action":"delete_workspace_path","path":"out/secret"}`,
		`{"action":"delete_workspace_path","path":["a",1e99]}`,
		`{"action":"export_archive","path":"out"}`,
		`{"action":"extract_archive","archive_size":1e3}` + "\n" + string(tarOf(f, tarLink, tarThrough)),
		`{"action":"install_secrets","archive_size":3072}` + "\n" + string(tarOf(f, tarLink, tarThrough)),
		`{"action":"push_tree"}` + "\n" + frame(f, wire.FrameData, tarOf(f, tarLink, tarThrough)) + frame(f, wire.FrameEnd, nil),
		`{"action":"push_tree","destination":"out"}` + "\n" + frame(f, wire.FrameData, tarOf(f, tarLink)) + frame(f, wire.FrameEnd, nil),
		`{"action":"compare_tree"}` + "\n" + frame(f, wire.FrameData, []byte(`{"p":"b3V0L3NlY3JldA==","k":"file"}`)) + frame(f, wire.FrameEnd, nil),
		`{"action":"walk_tree","recursive":true}`, `{"action":"walk_tree","path":"out","recursive":true,"max_entries":1}`,
		`{"action":"hash_files"}` + "\n" + frame(f, wire.FrameData, []byte("\x04file\x0aout/secret")) + frame(f, wire.FrameEnd, nil),
		`{"action":"pull_tree","all":true}`, `{"action":"pull_tree","path":"out/secret","all":true}`,
		`{"action":"pull_tree"}` + "\n" + frame(f, wire.FrameData, []byte("\x04file\x0aout/secret")) + frame(f, wire.FrameEnd, nil),
		`{"action":"stat_path","path":"out/secret"}`, `{"action":"read_range","path":"file"}`, `{"action":"read_range","path":"a/b","offset":-1}`,
		`{"action":"put_file","path":"file"}` + "\n" + frame(f, wire.FrameData, []byte("x")) + frame(f, wire.FrameEnd, nil),
		`{"action":"put_file","path":"out/x/y","parents":true}` + "\n" + frame(f, wire.FrameData, []byte("x")) + frame(f, wire.FrameEnd, nil),
		`{"action":"make_dir","path":"out/x","parents":true}`, `{"action":"move_path","from":"out/secret","to":"x"}`,
		`{"action":"move_path","from":"a","to":"out/x","overwrite":true}`, `{"action":"remove_path","path":"out","recursive":true}`,
		`{"action":"apply_patch"}` + "\n" + frame(f, wire.FrameData, []byte(section("out/secret", "x", "y"))) + frame(f, wire.FrameEnd, nil),
		`{"action":"apply_patch"}` + "\n" + frame(f, wire.FrameData, []byte(section("a/b", "c", "y"))) + frame(f, wire.FrameEnd, nil),
		`{"action":"remove_path","path":"out/secret"}`, `{"action":"move_path","from":"out","to":"x/../../y"}`,
		`{"action":"read_shell"}`, `{"action":"attach_shell","cursor":-5}` + "\n" + frame(f, wire.FrameStdin, []byte("x")),
		`{"action":"signal_shell","signal":9}`, `{"action":"resize_shell","cols":1e9}`, `{"action":"list_shells"}`,
		`{"action":"logs_service","service_name":"x","tail_lines":-1}`, `{"action":"stop_service"}`, `{"action":"list_services"}`,
		`{"action":"follow_service","service_name":"x"}`, `[]`, "", "\n", "\xff",
	} {
		f.Add([]byte(seed + "\n"))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		line, _, _ := bytes.Cut(data, []byte("\n"))
		switch req, _ := wire.DecodeRequest(line); req.(type) {
		case *wire.ExecRequest, *wire.StreamRequest, *wire.OpenShellRequest, *wire.StartServiceRequest, *wire.DialRequest:
			return // it would run, or connect to, what it says
		}
		cfg := testConfig(t)
		around := filepath.Dir(cfg.Workspace)
		const secret = "4c1f5d0e-not-for-the-guest"
		tree(t, around, map[string]string{"secret": secret, "workspace/out": "-> ..", "workspace/file": "-> ../secret", "workspace/a/b": "c"})
		reply := talk(t, newAgent(cfg), data)
		if bytes.Contains(reply, []byte(secret)) {
			t.Errorf("the reply holds what lies outside: %q", reply)
		}
		if bytes.Contains(reply, []byte("agent fault")) {
			t.Errorf("it panicked: %q", reply)
		}
		content, err := os.ReadFile(filepath.Join(around, "secret"))
		names, _ := os.ReadDir(around)
		if err != nil || string(content) != secret || len(names) != 3 {
			t.Errorf("outside the workspace: %q, %v, %v", content, names, err)
		}
	})
}

// talk sends data on a connection of its own, as a peer that then sends no more, and
// returns the answer.
func talk(t *testing.T, a *agent, data []byte) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.serve(t.Context(), ended{theirs, bytes.NewReader(data)}, false)
	}()
	reply, err := io.ReadAll(ours)
	if err != nil {
		t.Fatal(err)
	}
	<-done
	return reply
}

// ended is a connection on which everything has come already.
type ended struct {
	net.Conn
	r *bytes.Reader
}

func (e ended) Read(p []byte) (int, error) { return e.r.Read(p) }
