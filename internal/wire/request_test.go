package wire

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
)

func TestDecodeRequest(t *testing.T) {
	for name, tc := range map[string]struct {
		line string
		want Request
	}{
		"no action is exec":    {`{"command":"ls"}`, &ExecRequest{Action: "exec", Command: "ls", TimeoutSeconds: 30}},
		"null action is exec":  {`{"action":null}`, &ExecRequest{Action: "exec", TimeoutSeconds: 30}},
		"every key, null":      {`{"action":"exec","command":"ls","timeout_seconds":5,"env":null}`, &ExecRequest{Action: "exec", Command: "ls", TimeoutSeconds: 5}},
		"blanks and CRLF":      {"  {\"command\" : \"ls\"\t}\r\n", &ExecRequest{Action: "exec", Command: "ls", TimeoutSeconds: 30}},
		"escapes":              {`{"comm\u0061nd":"\u00fc\ud83d\ude00\ud800"}`, &ExecRequest{Action: "exec", Command: "ü😀\ufffd", TimeoutSeconds: 30}},
		"unknown fields":       {`{"command":"ls","x":[{"command":"no"}],"y":"}"}`, &ExecRequest{Action: "exec", Command: "ls", TimeoutSeconds: 30}},
		"keys differ by case":  {`{"command":"ls","COMMAND":"rm","Action":"hello"}`, &ExecRequest{Action: "exec", Command: "ls", TimeoutSeconds: 30}},
		"last of a key counts": {`{"command":"a","command":"b"}`, &ExecRequest{Action: "exec", Command: "b", TimeoutSeconds: 30}},
		"extract":              {`{"action":"extract_archive","archive_size":"10"}`, &ExtractRequest{Action: ActionExtractArchive, Destination: "/workspace", ArchiveSize: 10}},
		"secrets":              {`{"action":"install_secrets","archive_size":3}`, &SecretsRequest{Action: ActionInstallSecrets, ArchiveSize: 3}},
		"export":               {`{"action":"export_archive"}`, &ExportRequest{Action: ActionExportArchive, Path: "/workspace"}},
		"list":                 {`{"action":"list_workspace","recursive":1}`, &ListRequest{Action: ActionList, Path: "/workspace", Recursive: true}},
		"read":                 {`{"action":"read_workspace_file","path":"a"}`, &ReadRequest{Action: ActionReadFile, Path: "a", MaxBytes: MaxFile}},
		"write":                {`{"action":"write_workspace_file","path":"a","text":7}`, &WriteRequest{Action: ActionWriteFile, Path: "a", Text: "7"}},
		"delete":               {`{"action":"delete_workspace_path","path":"a"}`, &DeleteRequest{Action: ActionDelete, Path: "a"}},
		"open shell": {
			`{"action":"open_shell","shell_id":"s","redact_values":["a",5]}`,
			&OpenShellRequest{Action: ActionOpenShell, ShellID: "s", Cwd: "/workspace", Cols: 120, Rows: 30, RedactValues: LaxStrings{"a", "5"}},
		},
		"read shell":   {`{"action":"read_shell","shell_id":"s"}`, &ReadShellRequest{Action: ActionReadShell, ShellID: "s", MaxChars: 65536}},
		"write shell":  {`{"action":"write_shell","shell_id":"s"}`, &WriteShellRequest{Action: ActionWriteShell, ShellID: "s", AppendNewline: true}},
		"signal shell": {`{"action":"signal_shell","shell_id":"s"}`, &SignalShellRequest{Action: ActionSignalShell, ShellID: "s", Signal: "INT"}},
		"close shell":  {`{"action":"close_shell","shell_id":"s"}`, &CloseShellRequest{Action: ActionCloseShell, ShellID: "s"}},
		"hello":        {`{"action":"hello"}`, &HelloRequest{Action: ActionHello}},
		"stream":       {`{"action":"exec_stream","argv":["a"],"env":{"A":"b"}}`, &StreamRequest{Action: ActionStream, Argv: []string{"a"}, Env: map[string]string{"A": "b"}}},
		"push":         {`{"action":"push_tree"}`, &PushRequest{Action: ActionPush, Destination: "/workspace"}},
		"compare":      {`{"action":"compare_tree","destination":"a"}`, &CompareRequest{Action: ActionCompare, Destination: "a"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := DecodeRequest([]byte(tc.line))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeRequestRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		line string
		kind api.Kind
		says string
	}{
		"empty line":     {``, api.Invalid, "JSON object"},
		"blanks":         {"  \r\n", api.Invalid, "JSON object"},
		"list":           {`[]`, api.Invalid, "JSON object"},
		"text":           {`exec`, api.Invalid, "JSON object"},
		"cut off":        {`{"command":"ls"`, api.Invalid, "JSON object"},
		"two objects":    {`{}{}`, api.Invalid, "JSON object"},
		"lone brace":     {`{`, api.Invalid, "JSON object"},
		"open string":    {`{"a\`, api.Invalid, "JSON object"},
		"bad UTF-8":      {"{\"command\":\"\xff\"}", api.Invalid, "UTF-8"},
		"deep":           {`{"x":` + strings.Repeat("[", 1<<20) + `}`, api.Invalid, "levels"},
		"unknown action": {`{"action":"reboot","command":"ls"}`, api.Unsupported, `unknown action "reboot"`},
		"empty action":   {`{"action":""}`, api.Unsupported, `unknown action ""`},
		"number action":  {`{"action":5}`, api.Unsupported, `unknown action "5"`},
		"long action":    {`{"action":"` + strings.Repeat("a", 9999) + `"}`, api.Unsupported, "unknown action"},
		"bad integer":    {`{"timeout_seconds":"soon"}`, api.Invalid, `timeout_seconds: "soon" is no integer`},
		"bad env":        {`{"env":["A=b"]}`, api.Invalid, "env: is no object"},
		"bad argv":       {`{"action":"exec_stream","argv":"ls"}`, api.Invalid, "argv"},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := DecodeRequest([]byte(tc.line))
			if req != nil || !errors.Is(err, tc.kind) || !strings.Contains(err.Error(), tc.says) || len(err.Error()) > 200 {
				t.Errorf("request %v, error %v of kind %q; want %q of kind %q", req, err, api.KindOf(err), tc.says, tc.kind)
			}
		})
	}
}

func TestLaxTyping(t *testing.T) {
	type fields struct {
		I LaxInt     `json:"i"`
		S LaxString  `json:"s"`
		B LaxBool    `json:"b"`
		E LaxEnv     `json:"e"`
		L LaxStrings `json:"l"`
	}
	start := fields{I: 7, S: "old", B: true}
	with := func(change func(*fields)) fields { f := start; change(&f); return f }
	integer := func(i LaxInt) fields { return with(func(f *fields) { f.I = i }) }
	text := func(s LaxString) fields { return with(func(f *fields) { f.S = s }) }
	truth := func(b LaxBool) fields { return with(func(f *fields) { f.B = b }) }
	for line, want := range map[string]fields{
		`{"i":null,"s":null,"b":null,"e":null,"l":null}`: start,
		`{"i":3}`:                    integer(3),
		`{"i":-0}`:                   integer(0),
		`{"i":"-12"}`:                integer(-12),
		`{"i":" +5\n"}`:              integer(5),
		`{"i":2.9}`:                  integer(2),
		`{"i":-2.9}`:                 integer(-2),
		`{"i":1e3}`:                  integer(1000),
		`{"i":true}`:                 integer(1),
		`{"i":false}`:                integer(0),
		`{"i":9223372036854775807}`:  integer(1<<63 - 1),
		`{"i":-9223372036854775808}`: integer(-1 << 63),
		`{"s":5}`:                    text("5"),
		`{"s":1.50}`:                 text("1.50"),
		`{"s":true}`:                 text("True"),
		`{"s":false}`:                text("False"),
		`{"s":["a", 1]}`:             text(`["a", 1]`),
		`{"s":{"k":null}}`:           text(`{"k":null}`),
		`{"b":false}`:                truth(false),
		`{"b":"false"}`:              truth(true),
		`{"b":""}`:                   truth(false),
		`{"b":0}`:                    truth(false),
		`{"b":-0.0e5}`:               truth(false),
		`{"b":1e999}`:                truth(true),
		`{"b":[ ]}`:                  truth(false),
		`{"b":{}}`:                   truth(false),
		`{"b":[0]}`:                  truth(true),
		`{"e":{"A":1,"B":null,"C":"x","D":true}}`: with(func(f *fields) { f.E = LaxEnv{"A": "1", "C": "x", "D": "True"} }),
		`{"l":["a",2]}`: with(func(f *fields) { f.L = LaxStrings{"a", "2"} }),
	} {
		t.Run(line, func(t *testing.T) {
			got := start
			if err := json.Unmarshal([]byte(line), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
		})
	}
	for _, line := range []string{
		`{"i":""}`, `{"i":"1.5"}`, `{"i":"0x10"}`, `{"i":[]}`, `{"i":{}}`, `{"i":1e999}`, `{"i":9223372036854775808}`,
		`{"i":-1e19}`, `{"i":"99999999999999999999"}`, `{"e":[]}`, `{"e":"A=b"}`, `{"l":"a"}`, `{"l":{}}`,
	} {
		t.Run(line, func(t *testing.T) {
			var got fields
			if err := json.Unmarshal([]byte(line), &got); err == nil {
				t.Errorf("accepted as %+v", got)
			}
		})
	}
}

func TestReadLine(t *testing.T) {
	for name, tc := range map[string]struct {
		in, line, rest string
		err            error
	}{
		"line and body":       {"abc\n\x00body\n", "abc", "\x00body\n", nil},
		"empty line":          {"\nbody", "", "body", nil},
		"end of the stream":   {"abc", "abc", "", nil},
		"nothing":             {"", "", "", io.EOF},
		"as long as allowed":  {strings.Repeat("a", 100) + "\nb", strings.Repeat("a", 100), "b", nil},
		"one byte too long":   {strings.Repeat("a", 101) + "\n", "", "", ErrLineTooLong},
		"too long, no end":    {strings.Repeat("a", 4096), "", "", ErrLineTooLong},
		"longer than buffer":  {strings.Repeat("a", 50) + "\n", strings.Repeat("a", 50), "", nil},
		"CR stays":            {"abc\r\n", "abc\r", "", nil},
		"allowed, at the end": {strings.Repeat("a", 100), strings.Repeat("a", 100), "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := bufio.NewReaderSize(strings.NewReader(tc.in), 16)
			line, err := ReadLine(r, 100)
			if string(line) != tc.line || !errors.Is(err, tc.err) {
				t.Fatalf("line %q, error %v", line, err)
			}
			if rest, _ := io.ReadAll(r); tc.err == nil && string(rest) != tc.rest {
				t.Errorf("left is %q, want %q", rest, tc.rest)
			}
		})
	}
}

func TestReceive(t *testing.T) {
	for name, tc := range map[string]struct {
		send string
		want api.Kind // of the error
	}{
		"request":  {`{"action":"hello"}` + "\n", ""},
		"garbage":  {"x\n", api.Invalid},
		"too long": {strings.Repeat("a", MaxRequestLine+1), api.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			host, agent := net.Pipe()
			defer func() { _ = agent.Close() }()
			go func() { // ends when the line is sent, or with the agent's end
				_, _ = io.WriteString(host, tc.send)
				_ = host.Close()
			}()
			req, err := Receive(agent, bufio.NewReader(agent), time.Minute)
			if tc.want == "" {
				if _, ok := req.(*HelloRequest); !ok || err != nil {
					t.Errorf("request %v, error %v", req, err)
				}
			} else if !errors.Is(err, tc.want) {
				t.Errorf("error %v of kind %q, want %q", err, api.KindOf(err), tc.want)
			}
		})
	}
	t.Run("idle", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			host, agent := net.Pipe()
			start := time.Now()
			_, err := Receive(agent, bufio.NewReader(agent), time.Minute)
			var timeout net.Error
			if !errors.As(err, &timeout) || !timeout.Timeout() || time.Since(start) != time.Minute {
				t.Errorf("error %v after %v", err, time.Since(start))
			}
			_, _ = host.Close(), agent.Close()
		})
	})
}

func TestReply(t *testing.T) {
	var out strings.Builder
	if err := Reply(&out, ExecReply{Stdout: "<&>\u2028\x00ü\n"}); err != nil {
		t.Fatal(err)
	}
	want := `{"stdout":"<&>\u2028\u0000ü\n","stderr":"","exit_code":0,"duration_ms":0}` + "\n"
	if out.String() != want {
		t.Errorf("reply %s, want %s", out.String(), want)
	}
}

func TestFailureOf(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want Failure
	}{
		"kind":    {&api.Error{Kind: api.NotFound, Op: "read", Err: errors.New("gone")}, Failure{"read: gone", "not_found"}},
		"no kind": {errors.New("x"), Failure{"x", "internal"}},
		"no text": {errors.New(""), Failure{"internal", "internal"}},
		"long":    {errors.New(strings.Repeat("é", MaxErrorText)), Failure{strings.Repeat("é", MaxErrorText/2), "internal"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, FailureOf(tc.err)); diff != "" {
				t.Errorf("failure (-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzDecodeRequest(f *testing.F) {
	for _, line := range []string{
		``, `{}`, `{"command":"ls","timeout_seconds":"5","env":{"A":1}}`, `{"action":"list_workspace","recursive":"no"}`,
		`{"action":"exec_stream","argv":["a","b"],"timeout_ms":5}`, `{"a":"\"}","b":[{}, [1,2]] , "c" : -1e5 }`, `{"\ud800":1}`,
		`{"action":"open_shell","redact_values":[null,{"a":1}]}`, `{"a":1}}`, `{"a`, `{"a":"\`, `{,}`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		req, err := DecodeRequest(line)
		if (req == nil) == (err == nil) {
			t.Fatalf("request %v, error %v", req, err)
		}
		if err != nil {
			return
		}
		again, err := json.Marshal(req)
		if err != nil {
			t.Fatal(err)
		}
		twice, err := DecodeRequest(again)
		if err != nil {
			t.Fatalf("encoded as %s, which is refused: %v", again, err)
		}
		if _, ok := req.(*StreamRequest); ok {
			return // leaves out what is empty, so nil and empty lists become one
		}
		if diff := cmp.Diff(req, twice); diff != "" {
			t.Errorf("encoded as %s, which is another request (-first +second):\n%s", again, diff)
		}
	})
}

func FuzzReply(f *testing.F) {
	for _, reply := range []string{
		`{"error":"x","kind":"denied"}`, `{"stdout":"x","exit_code":0}`, `{"entries":[{"path":"/a","artifact_type":"symlink","link_target":"b"}]}`,
		`{"entries":[[],]}`, `{"started_at":1e999}`, `{"archive_size":-1}`, `{"capabilities":["a",null]}`, "{}\n{}", `{"entries":[{"path":"a"} , {}]}`,
	} {
		f.Add([]byte(reply))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, into := range []any{
			&ExecReply{}, &ArchiveReply{}, &ExportReply{ArtifactType: File}, &ListReply{ArtifactType: File}, &readReply{}, &WriteReply{},
			&DeleteReply{}, &ReadShellReply{ShellReply: stopped()}, &CloseShellReply{ShellReply: stopped()}, &Hello{}, &Exit{},
		} {
			err := decodeReply(data, into)
			if err == nil {
				continue
			}
			var reported *api.Error
			if !errors.As(err, &reported) && !errors.Is(err, ErrProtocol) {
				t.Errorf("%T: error %v is neither the agent's nor ErrProtocol", into, err)
			}
			if len(err.Error()) > MaxErrorText+200 {
				t.Errorf("%T: error of %d bytes", into, len(err.Error()))
			}
		}
	})
}
