package wire_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"iter"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
	"github.com/pyro-sandbox/pyro/internal/wire/wiretest"
)

var update = flag.Bool("update", false, "rewrite requests and results of testdata/*.txtar from what the client does")

// outcome is what a client's method returned.
type outcome struct {
	Reply any    `json:"reply,omitempty"`
	Body  string `json:"body,omitempty"` // of an export: its length and head
	Error string `json:"error,omitempty"`
}

func TestTranscripts(t *testing.T) {
	for _, c := range wiretest.Load(t, "testdata") {
		t.Run(c.Name, func(t *testing.T) {
			if c.Call == "" {
				answersAreReplies(t, c)
				return
			}
			host, guest := net.Pipe()
			var sent []byte
			served := make(chan error, 1)
			go func() { // ends with the last turn, or with the host's end of the pipe
				var err error
				if *update {
					sent, err = c.Record(guest)
				} else {
					err = c.Serve(guest)
				}
				served <- err
			}()
			got := encode(t, call(t, host, c))
			if err := <-served; err != nil {
				t.Error(err)
			}
			if *update {
				c.Rewrite(t, sent, got)
				return
			}
			if diff := cmp.Diff(string(c.Result), string(got)); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
		})
	}
}

// answersAreReplies looks at a conversation that no client of ours begins.
func answersAreReplies(t *testing.T, c *wiretest.Case) {
	t.Helper()
	if !c.Agent || len(c.Turns) != 2 {
		t.Fatal("without a call there must be a request and a reply, and the agent must answer so")
	}
	if !json.Valid(c.Turns[1].Data) {
		t.Error("the reply is no JSON")
	}
}

func encode(t *testing.T, o outcome) []byte {
	t.Helper()
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(o); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// call makes the call of a case over conn, which is closed afterwards.
func call(t *testing.T, conn net.Conn, c *wiretest.Case) outcome {
	t.Helper()
	client := &wire.Client{Dial: func(context.Context) (net.Conn, error) { return conn, nil }}
	req, err := wire.DecodeRequest(withAction(c))
	if err != nil {
		t.Fatal(err)
	}
	var o outcome
	switch req := req.(type) {
	case *wire.ExportRequest:
		o, err = export(t.Context(), client, req)
	case *wire.StreamRequest:
		o.Reply, err = stream(c, func() (*wire.Stream, error) { return client.Stream(t.Context(), *req) })
	case *wire.AttachShellRequest:
		o.Reply, err = stream(c, func() (*wire.Stream, error) { return client.AttachShell(t.Context(), *req) })
	case *wire.FollowServiceRequest:
		o.Reply, err = stream(c, func() (*wire.Stream, error) { return client.FollowService(t.Context(), req.ServiceName, req.TailLines) })
	case *wire.DialRequest:
		o.Body, err = tunnel(t.Context(), client, req, c)
	case *wire.WalkRequest, *wire.HashRequest, *wire.PullRequest, *wire.ReadRangeRequest:
		o, err = fetch(t.Context(), client, req, c)
	default:
		o.Reply, err = ask(t.Context(), client, req, c)
	}
	if err != nil {
		return outcome{Error: err.Error()}
	}
	return o
}

// withAction is the request that the arguments of a call make.
func withAction(c *wiretest.Case) []byte {
	args := strings.TrimPrefix(string(c.Args), "{")
	if args != "}" {
		args = "," + args
	}
	return []byte(`{"action":"` + c.Call + `"` + args)
}

func ask(ctx context.Context, client *wire.Client, req wire.Request, c *wiretest.Case) (any, error) {
	_, body, _ := bytes.Cut(c.Turns[0].Data, []byte("\n"))
	switch req := req.(type) {
	case *wire.HelloRequest:
		return client.Hello(ctx)
	case *wire.ExecRequest:
		return client.Exec(ctx, *req)
	case *wire.ExtractRequest:
		return client.ExtractArchive(ctx, string(req.Destination), bytes.NewReader(body), int64(len(body)))
	case *wire.SecretsRequest:
		return client.InstallSecrets(ctx, bytes.NewReader(body), int64(len(body)))
	case *wire.ListRequest:
		return client.List(ctx, *req)
	case *wire.ReadRequest:
		return client.ReadFile(ctx, string(req.Path), int(req.MaxBytes))
	case *wire.WriteRequest:
		return client.WriteFile(ctx, string(req.Path), string(req.Text))
	case *wire.DeleteRequest:
		return client.Delete(ctx, string(req.Path))
	case *wire.OpenShellRequest:
		return client.OpenShell(ctx, *req)
	case *wire.ReadShellRequest:
		return client.ReadShell(ctx, *req)
	case *wire.WriteShellRequest:
		return client.WriteShell(ctx, *req)
	case *wire.StartServiceRequest:
		return client.StartService(ctx, *req)
	case *wire.StatusServiceRequest:
		return client.StatusService(ctx, string(req.ServiceName))
	case *wire.LogsServiceRequest:
		return client.LogsService(ctx, string(req.ServiceName), req.TailLines)
	case *wire.StopServiceRequest:
		return client.StopService(ctx, string(req.ServiceName))
	case *wire.ListServicesRequest:
		return client.ListServices(ctx)
	case *wire.SignalShellRequest:
		return client.SignalShell(ctx, string(req.ShellID), string(req.Signal))
	case *wire.CloseShellRequest:
		return client.CloseShell(ctx, string(req.ShellID))
	case *wire.ListShellsRequest:
		return client.ListShells(ctx)
	case *wire.ResizeShellRequest:
		return client.ResizeShell(ctx, req.ShellID, api.TerminalSize{Cols: req.Cols, Rows: req.Rows})
	case *wire.PushRequest:
		return client.PushTree(ctx, req.Destination, bytes.NewReader(payloads(body)))
	case *wire.CompareRequest:
		return client.CompareTree(ctx, req.Destination, entries(payloads(body)))
	}
	return askFiles(ctx, client, req, payloads(body))
}

// askFiles is ask for single paths and patches; body is what followed the request.
func askFiles(ctx context.Context, client *wire.Client, req wire.Request, body []byte) (any, error) {
	switch req := req.(type) {
	case *wire.StatRequest:
		return client.Stat(ctx, req.Path)
	case *wire.PutRequest:
		return client.Put(ctx, *req, bytes.NewReader(body))
	case *wire.MakeDirRequest:
		return client.MakeDir(ctx, req.Path, req.Parents)
	case *wire.MoveRequest:
		return client.Move(ctx, req.From, req.To, req.Overwrite)
	case *wire.RemoveRequest:
		return client.Remove(ctx, req.Path, req.Recursive)
	case *wire.PatchRequest:
		return client.ApplyPatch(ctx, bytes.NewReader(body), wire.PatchOptions{Check: req.Check})
	}
	return nil, errors.New("the test cannot make this call")
}

// fetch makes the calls whose answers come in frames.
func fetch(ctx context.Context, client *wire.Client, req wire.Request, c *wiretest.Case) (outcome, error) {
	_, body, _ := bytes.Cut(c.Turns[0].Data, []byte("\n"))
	var got struct {
		Reply   any                `json:"reply,omitempty"`
		Entries []*wire.WalkEntry  `json:"entries,omitempty"`
		Digests []*wire.FileDigest `json:"digests,omitempty"`
	}
	var content bytes.Buffer
	var err error
	switch req := req.(type) {
	case *wire.WalkRequest:
		got.Reply, err = client.Walk(ctx, *req, func(e *wire.WalkEntry) error { got.Entries = append(got.Entries, e); return nil })
	case *wire.HashRequest:
		err = client.Hash(ctx, req.Path, slices.Values(members(payloads(body))), func(d *wire.FileDigest) error { got.Digests = append(got.Digests, d); return nil })
	case *wire.PullRequest:
		req.Only = members(payloads(body))
		got.Reply, err = client.Pull(ctx, *req, &content)
	case *wire.ReadRangeRequest:
		got.Reply, err = client.ReadRange(ctx, req.Path, req.Offset, req.Length, &content)
	}
	if name, _, _ := strings.Cut(content.String(), "\x00"); name != "" {
		return outcome{Reply: got.Reply, Body: name}, err
	}
	return outcome{Reply: got}, err
}

// members are paths as they follow a request.
func members(body []byte) (paths [][]byte) {
	r := bufio.NewReader(bytes.NewReader(body))
	for {
		path, err := wire.ReadPath(r)
		if err != nil {
			return paths
		}
		paths = append(paths, path)
	}
}

func export(ctx context.Context, client *wire.Client, req *wire.ExportRequest) (outcome, error) {
	e, err := client.ExportArchive(ctx, string(req.Path))
	if err != nil {
		return outcome{}, err
	}
	defer func() { _ = e.Close() }()
	body, err := io.ReadAll(e)
	name, _, _ := strings.Cut(string(body), "\x00")
	return outcome{Reply: e.ExportReply, Body: name}, err
}

// stream sends the frames of the host's second turn and returns what comes.
func stream(c *wiretest.Case, begin func() (*wire.Stream, error)) ([]string, error) {
	s, err := begin()
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	frames, buf := bytes.NewReader(c.Turns[1].Data), []byte(nil)
	for frames.Len() > 0 {
		f, err := wire.ReadFrame(frames, &buf)
		if err != nil {
			return nil, err
		}
		if err := s.WriteFrame(f.Type, f.Payload); err != nil {
			return nil, err
		}
	}
	var got []string
	for {
		f, err := s.ReadFrame()
		if errors.Is(err, io.EOF) {
			return got, nil
		}
		if err != nil {
			return got, err
		}
		got = append(got, string(f.Type)+" "+string(f.Payload))
	}
}

// tunnel sends the payload of the host's second turn and returns what comes back.
func tunnel(ctx context.Context, client *wire.Client, req *wire.DialRequest, c *wiretest.Case) (string, error) {
	conn, err := client.DialTunnel(ctx, req.Address)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write(payloads(c.Turns[2].Data)); err != nil {
		return "", err
	}
	if err := conn.CloseWrite(); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn)
	return string(answer), err
}

// payloads is what frames hold together.
func payloads(frames []byte) (all []byte) {
	r, buf := bytes.NewReader(frames), []byte(nil)
	for {
		f, err := wire.ReadFrame(r, &buf)
		if err != nil {
			return all
		}
		all = append(all, f.Payload...)
	}
}

// entries are the entries of a tree by their lines.
func entries(lines []byte) iter.Seq[wire.TreeEntry] {
	return func(yield func(wire.TreeEntry) bool) {
		for line := range bytes.Lines(lines) {
			e, err := wire.DecodeTreeEntry(line)
			if err != nil || !yield(e) {
				return
			}
		}
	}
}
