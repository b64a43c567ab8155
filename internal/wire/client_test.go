package wire

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
)

// The seven cases of the replaced product's client come first, under their subjects:
// a round trip, an upload, a shell, an error, a reply that is none, the bridge, and
// no transport at all (the last two stand in transport_test.go).

func TestClientRoundTrip(t *testing.T) {
	var got recorded
	c, _ := fakeAgent(t, recording(&got, 0, `{"stdout":"ok\n","stderr":"","exit_code":0,"duration_ms":7}`+"\n"))
	reply, err := c.Exec(t.Context(), ExecRequest{Command: "echo ok", TimeoutSeconds: 30})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ExecReply{Stdout: "ok\n", DurationMS: 7}, reply); diff != "" {
		t.Errorf("reply (-want +got):\n%s", diff)
	}
	line, _ := got.get()
	if want := `{"action":"exec","command":"echo ok","timeout_seconds":30,"env":null}`; line != want {
		t.Errorf("request %s, want %s", line, want)
	}
}

func TestClientUploadRoundTrip(t *testing.T) {
	const reply = `{"destination":"/workspace/in","entry_count":1,"bytes_written":5}` + "\n"
	for name, tc := range map[string]struct {
		upload func(context.Context, *Client, io.Reader) (ArchiveReply, error)
		line   string
	}{
		"extract_archive": {
			func(ctx context.Context, c *Client, r io.Reader) (ArchiveReply, error) {
				return c.ExtractArchive(ctx, "/workspace/in", r, 11)
			},
			`{"action":"extract_archive","destination":"/workspace/in","archive_size":11}`,
		},
		"install_secrets": {
			func(ctx context.Context, c *Client, r io.Reader) (ArchiveReply, error) {
				return c.InstallSecrets(ctx, r, 11)
			},
			`{"action":"install_secrets","archive_size":11}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got recorded
			c, _ := fakeAgent(t, recording(&got, 11, reply))
			// What lies behind the announced size is not sent.
			answer, err := tc.upload(t.Context(), c, iotest.OneByteReader(strings.NewReader("not\na tar\x00\xffmore")))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(ArchiveReply{"/workspace/in", 1, 5}, answer); diff != "" {
				t.Errorf("reply (-want +got):\n%s", diff)
			}
			line, body := got.get()
			if line != tc.line || body != "not\na tar\x00\xff" {
				t.Errorf("sent %s and %q, want %s and the announced bytes", line, body, tc.line)
			}
		})
	}
}

func TestClientShellRoundTrip(t *testing.T) {
	const summary = `{"shell_id":"s1","cwd":"/workspace","cols":80,"rows":24,"state":"running","started_at":12.5,"ended_at":null,"exit_code":null`
	shell := ShellReply{ShellID: "s1", Cwd: "/workspace", Cols: 80, Rows: 24, State: ShellRunning, StartedAt: 12.5}
	for name, tc := range map[string]struct {
		ask   func(context.Context, *Client) (any, error)
		line  string
		extra string
		want  any
	}{
		"open": {
			func(ctx context.Context, c *Client) (any, error) {
				return c.OpenShell(ctx, OpenShellRequest{ShellID: "s1", Cwd: "/workspace", Cols: 80, Rows: 24})
			},
			`{"action":"open_shell","shell_id":"s1","cwd":"/workspace","cols":80,"rows":24,"env":null,"redact_values":null}`,
			``, shell,
		},
		"read": {
			func(ctx context.Context, c *Client) (any, error) {
				return c.ReadShell(ctx, ReadShellRequest{ShellID: "s1", Cursor: 3, MaxChars: 10})
			},
			`{"action":"read_shell","shell_id":"s1","cursor":3,"max_chars":10}`,
			`,"cursor":3,"next_cursor":5,"output":"hi","truncated":true`,
			ReadShellReply{ShellReply: shell, Cursor: 3, NextCursor: 5, Output: "hi", Truncated: true},
		},
		"write": {
			func(ctx context.Context, c *Client) (any, error) {
				return c.WriteShell(ctx, WriteShellRequest{ShellID: "s1", Input: "ls", AppendNewline: true})
			},
			`{"action":"write_shell","shell_id":"s1","input":"ls","append_newline":true}`,
			`,"input_length":2,"append_newline":true`,
			WriteShellReply{ShellReply: shell, InputLength: 2, AppendNewline: true},
		},
		"signal": {
			func(ctx context.Context, c *Client) (any, error) { return c.SignalShell(ctx, "s1", "INT") },
			`{"action":"signal_shell","shell_id":"s1","signal":"INT"}`,
			`,"signal":"INT"`,
			SignalShellReply{ShellReply: shell, Signal: "INT"},
		},
		"close": {
			func(ctx context.Context, c *Client) (any, error) { return c.CloseShell(ctx, "s1") },
			`{"action":"close_shell","shell_id":"s1"}`,
			`,"closed":true`,
			CloseShellReply{ShellReply: shell, Closed: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got recorded
			c, _ := fakeAgent(t, recording(&got, 0, summary+tc.extra+"}\n"))
			reply, err := tc.ask(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, reply); diff != "" {
				t.Errorf("reply (-want +got):\n%s", diff)
			}
			if line, _ := got.get(); line != tc.line {
				t.Errorf("request %s, want %s", line, tc.line)
			}
		})
	}
}

func TestClientKeepsAgentError(t *testing.T) {
	long := strings.Repeat("ж", MaxErrorText)
	for name, tc := range map[string]struct {
		reply string
		text  string
		kind  api.Kind
	}{
		"text alone":      {`{"error":"path does not exist: /workspace/x"}`, "path does not exist: /workspace/x", api.Internal},
		"text and kind":   {`{"error":"no such file","kind":"not_found"}`, "no such file", api.NotFound},
		"unknown kind":    {`{"error":"no","kind":"fatal"}`, "no", api.Internal},
		"beside a result": {`{"stdout":"x","exit_code":0,"error":"late"}`, "late", api.Internal},
		"no text":         {`{"error":7}`, "7", api.Internal},
		"empty text":      {`{"error":""}`, "the agent failed and did not say why", api.Internal},
		"endless text":    {`{"error":"` + long + `"}`, long[:MaxErrorText], api.Internal},
		"format verbs":    {`{"error":"%s%d\u001b[31m"}`, "%s%d\x1b[31m", api.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := fakeAgent(t, answering(tc.reply+"\n"))
			_, err := c.Exec(t.Context(), ExecRequest{Command: "true"})
			if err == nil || err.Error() != tc.text || !errors.Is(err, tc.kind) {
				t.Errorf("error %v of kind %q, want %q of kind %q", err, api.KindOf(err), clip(tc.text, 80), tc.kind)
			}
		})
	}
	t.Run("null is no error", func(t *testing.T) {
		c, _ := fakeAgent(t, answering(`{"exit_code":3,"error":null}`+"\n"))
		reply, err := c.Exec(t.Context(), ExecRequest{Command: "true"})
		if err != nil || reply.ExitCode != 3 {
			t.Errorf("reply %+v, error %v", reply, err)
		}
	})
}

func TestClientRefusesNonObject(t *testing.T) {
	for _, reply := range []string{`[1,2]`, `"text"`, `7`, `null`, `true`, ``, `not json`} {
		t.Run(reply, func(t *testing.T) {
			c, _ := fakeAgent(t, answering(reply+"\n"))
			_, err := c.OpenShell(t.Context(), OpenShellRequest{ShellID: "s1"})
			if !errors.Is(err, ErrProtocol) {
				t.Fatalf("error %v, want ErrProtocol", err)
			}
			if want := "JSON object"; !strings.Contains(err.Error(), want) {
				t.Errorf("error %q does not contain %q", err, want)
			}
		})
	}
}

func TestClientDefaultsOfMissingFields(t *testing.T) {
	stoppedShell := ShellReply{Cwd: "/workspace", State: ShellStopped}
	for name, tc := range map[string]struct {
		ask  func(context.Context, *Client) (any, error)
		want any
	}{
		"exec": {func(ctx context.Context, c *Client) (any, error) {
			return c.Exec(ctx, ExecRequest{Command: "true"})
		}, ExecReply{ExitCode: -1}},
		"extract_archive": {func(ctx context.Context, c *Client) (any, error) {
			return c.ExtractArchive(ctx, "/workspace/x", strings.NewReader(""), 0)
		}, ArchiveReply{Destination: "/workspace/x"}},
		"install_secrets": {func(ctx context.Context, c *Client) (any, error) {
			return c.InstallSecrets(ctx, strings.NewReader(""), 0)
		}, ArchiveReply{Destination: "/run/pyro-secrets"}},
		"open_shell": {func(ctx context.Context, c *Client) (any, error) {
			return c.OpenShell(ctx, OpenShellRequest{})
		}, stoppedShell},
		"read_shell": {func(ctx context.Context, c *Client) (any, error) {
			return c.ReadShell(ctx, ReadShellRequest{Cursor: 9})
		}, ReadShellReply{ShellReply: stoppedShell, Cursor: 9, NextCursor: 9}},
		"hello of the base protocol": {func(ctx context.Context, c *Client) (any, error) {
			return c.Hello(ctx)
		}, Hello{}},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := fakeAgent(t, answering("{}\n"))
			reply, err := tc.ask(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, reply); diff != "" {
				t.Errorf("reply (-want +got):\n%s", diff)
			}
		})
	}
}

func TestClientReadFile(t *testing.T) {
	for name, tc := range map[string]struct {
		reply string
		want  string
		bad   bool
	}{
		"bytes":             {`{"path":"/workspace/f","size_bytes":3,"content_b64":"AP8K"}`, "\x00\xff\n", false},
		"empty":             {`{"path":"/workspace/f","size_bytes":0,"content_b64":""}`, "", false},
		"no size":           {`{"content_b64":"AP8K"}`, "\x00\xff\n", false},
		"no content":        {`{"path":"/workspace/f","size_bytes":0}`, "", true},
		"content no string": {`{"content_b64":5}`, "", true},
		"no padding":        {`{"content_b64":"AA"}`, "", true},
		"line break":        {`{"content_b64":"AP8K\n"}`, "", true},
		"foreign alphabet":  {`{"content_b64":"_-8K"}`, "", true},
		"trailing bits":     {`{"content_b64":"AB=="}`, "", true},
		"size lies":         {`{"size_bytes":4,"content_b64":"AP8K"}`, "", true},
		"more than asked":   {`{"content_b64":"` + strings.Repeat("AAAA", 30) + `"}`, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := fakeAgent(t, answering(tc.reply+"\n"))
			got, err := c.ReadFile(t.Context(), "/workspace/f", 64)
			if tc.bad != errors.Is(err, ErrProtocol) || string(got.Content) != tc.want {
				t.Errorf("content %q, error %v", got.Content, err)
			}
		})
	}
}

func TestClientUploadFails(t *testing.T) {
	for name, tc := range map[string]struct {
		script guest
		body   io.Reader
		want   error
	}{
		"agent refuses before it has read": {
			answering(`{"error":"archive is too large","kind":"invalid"}` + "\n"), endless{}, api.Invalid,
		},
		"agent hangs up":            {answering(""), endless{}, api.Unavailable},
		"agent claims success":      {answering(`{"entry_count":1}` + "\n"), endless{}, ErrProtocol},
		"archive ends early":        {recording(new(recorded), 1<<20, "{}\n"), strings.NewReader("short"), io.ErrUnexpectedEOF},
		"archive cannot be read":    {recording(new(recorded), 1<<20, "{}\n"), iotest.ErrReader(errDisk), errDisk},
		"size is negative":          {answering("{}\n"), nil, api.Invalid},
		"agent sends without end":   {flood, endless{}, ErrProtocol},
		"agent closes without word": {func(net.Conn, *bufio.Reader) {}, endless{}, api.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := fakeAgent(t, tc.script)
			size := int64(1 << 20)
			if tc.body == nil {
				size = -1
			}
			_, err := c.ExtractArchive(t.Context(), "/workspace", tc.body, size)
			if !errors.Is(err, tc.want) {
				t.Errorf("error %v of kind %q, want %v", err, api.KindOf(err), tc.want)
			}
		})
	}
}

var errDisk = errors.New("the disk is gone")

// endless never runs out of zeros.
type endless struct{}

func (endless) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// flood sends until the host closes, and reads nothing.
func flood(conn net.Conn, _ *bufio.Reader) {
	_, _ = io.Copy(conn, repeating("a"))
}

func TestClientExport(t *testing.T) {
	const header = `{"workspace_path":"/workspace","artifact_type":"directory","archive_size":5,"entry_count":1,"bytes_written":2}` + "\n"
	for name, tc := range map[string]struct {
		reply string
		body  string
		want  error // of the header or, behind it, of the body
	}{
		"exact":         {header + "ab\ncd", "ab\ncd", nil},
		"short body":    {header + "ab", "ab", io.ErrUnexpectedEOF},
		"long body":     {header + "ab\ncdX", "ab\ncd", ErrProtocol},
		"no body":       {header, "", io.ErrUnexpectedEOF},
		"negative size": {`{"archive_size":-1}` + "\n", "", ErrProtocol},
		"no size":       {"{}\n", "", ErrProtocol},
		"empty header":  {"\n", "", ErrProtocol},
		"nothing":       {"", "", ErrProtocol},
		"huge size":     {`{"archive_size":9223372036854775807}` + "\nxy", "xy", io.ErrUnexpectedEOF},
		"larger size":   {`{"archive_size":9223372036854775808}` + "\n", "", ErrProtocol},
		"unknown type":  {`{"archive_size":0,"artifact_type":"device"}` + "\n", "", ErrProtocol},
		"error":         {`{"error":"path does not exist","kind":"not_found"}` + "\n", "", api.NotFound},
		"endless head":  {strings.Repeat("a", MaxShortLine+9), "", ErrProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := fakeAgent(t, answering(tc.reply))
			e, err := c.ExportArchive(t.Context(), "/workspace")
			var body []byte
			if err == nil {
				body, err = io.ReadAll(e)
				_ = e.Close()
			}
			if string(body) != tc.body || !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) {
				t.Errorf("body %q, error %v; want %q, %v", body, err, tc.body, tc.want)
			}
		})
	}
	t.Run("closed before its end", func(t *testing.T) {
		c, _ := fakeAgent(t, answering(header+"ab\ncd"))
		e, err := c.ExportArchive(t.Context(), "/workspace")
		if err != nil {
			t.Fatal(err)
		}
		_ = e.Close()
		if _, err := io.ReadAll(e); err != nil && api.KindOf(err) != api.Unavailable {
			t.Errorf("read after close: %v", err)
		}
	})
}

func TestClientRefusesTextThatIsNot(t *testing.T) {
	c, dialled := fakeAgent(t, answering("{}\n"))
	_, write := c.WriteFile(t.Context(), "/workspace/f", "\xff")
	_, exec := c.Exec(t.Context(), ExecRequest{Command: "\xff"})
	_, stream := c.Stream(t.Context(), StreamRequest{Argv: []string{"\xff"}})
	_, long := c.WriteFile(t.Context(), "/workspace/f", strings.Repeat("a", MaxRequestLine))
	for name, err := range map[string]error{"write": write, "exec": exec, "stream": stream, "long": long} {
		if !errors.Is(err, api.Invalid) {
			t.Errorf("%s: error %v, want invalid", name, err)
		}
	}
	if dialled.Load() != 0 {
		t.Errorf("dialled %d times for requests that cannot be sent", dialled.Load())
	}
}
