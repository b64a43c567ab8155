package mcpserver

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/pyro-sandbox/pyro"
)

// hello are the first two lines of a client of the old era.
const hello = `{"jsonrpc":"2.0","id":"hello","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
`

// talk is a connection by pipes. What is read of it is lines.
type talk struct {
	t     *testing.T
	to    *io.PipeWriter
	from  *bufio.Reader
	ended chan error // of ServeStdio
	stop  context.CancelFunc
}

// reply is a line of a server.
type reply struct {
	ID     json.RawMessage
	Method string
	Result json.RawMessage
	Error  *struct {
		Code    int
		Message string
	}
}

// untouched are options of a server whose client must not be needed.
func untouched(t *testing.T) Options {
	t.Helper()
	return Options{Open: func() (*pyro.Client, error) {
		t.Error("the client was opened")
		return nil, io.EOF
	}}
}

func newTalk(t *testing.T, s *Server) *talk {
	t.Helper()
	in, to := io.Pipe()
	from, out := io.Pipe()
	ctx, stop := context.WithCancel(t.Context())
	k := &talk{t: t, to: to, from: bufio.NewReader(from), ended: make(chan error, 1), stop: stop}
	go func() { // ends with the pipes, which the cleanup closes
		err := s.ServeStdio(ctx, in, out)
		_ = out.Close()
		k.ended <- err
	}()
	t.Cleanup(func() {
		stop()
		_, _ = to.Close(), from.Close()
	})
	return k
}

func serverWith(t *testing.T, o Options, add func(*mcp.Server)) *Server {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if add != nil {
		add(s.mcp)
	}
	return s
}

func (k *talk) say(lines string) {
	k.t.Helper()
	if _, err := io.WriteString(k.to, lines); err != nil {
		k.t.Fatal(err)
	}
}

// hear reads the next line.
func (k *talk) hear() reply {
	k.t.Helper()
	line, err := k.from.ReadBytes('\n')
	if err != nil {
		k.t.Fatalf("%v after %q", err, line)
	}
	var r reply
	if err := json.Unmarshal(line, &r); err != nil {
		k.t.Fatalf("no message: %q", line)
	}
	return r
}

// greeted is a talk that has been through initialize.
func greeted(t *testing.T, s *Server) *talk {
	t.Helper()
	k := newTalk(t, s)
	k.say(hello)
	if r := k.hear(); r.Error != nil || string(r.ID) != `"hello"` {
		t.Fatalf("initialize: %s", r.Error.Message)
	}
	return k
}

func (r reply) code() int {
	if r.Error == nil {
		return 0
	}
	return r.Error.Code
}

// waits is a tool that waits for gate, or the end of its call, of which it tells ended.
func waits(gate <-chan struct{}, ended func(error)) func(*mcp.Server) {
	return func(s *mcp.Server) {
		mcp.AddTool(s, &mcp.Tool{Name: "wait"}, func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			select {
			case <-gate:
			case <-ctx.Done():
			}
			if ended != nil {
				ended(ctx.Err())
			}
			return &mcp.CallToolResult{}, nil, ctx.Err()
		})
	}
}

func callTool(id any, tool string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%v,"method":"tools/call","params":{"name":%q,"arguments":{}}}`+"\n", id, tool)
}

func TestABadLineCostsOneAnswer(t *testing.T) {
	t.Parallel()
	k := greeted(t, serverWith(t, untouched(t), nil))
	for name, c := range badLines {
		k.say(c.line + "\n")
		if r := k.hear(); r.code() != c.code || string(r.ID) != c.id {
			t.Errorf("%s: code %d for id %s, want %d for %s", name, r.code(), r.ID, c.code, c.id)
		}
	}
	k.say(`{"jsonrpc":"2.0","id":77,"method":"ping"}` + "\n")
	if r := k.hear(); r.Error != nil || string(r.ID) != "77" {
		t.Errorf("ping afterwards: %v", r)
	}
}

func TestLinesThatTheLibraryMustNotMind(t *testing.T) {
	t.Parallel()
	k := greeted(t, serverWith(t, untouched(t), nil))
	ping := `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	for name, line := range map[string]string{
		"a carriage return":              ping + "\r\n",
		"space behind":                   ping + " \t \n",
		"space before":                   "  \t" + ping + "\n",
		"space within":                   `{ "jsonrpc" : "2.0" , "id" : 1 , "method" : "ping" }` + "\n",
		"empty lines":                    "\n\r\n  \n" + ping + "\n",
		"an answer that nobody wants":    `{"jsonrpc":"2.0","id":99,"result":{}}` + "\n" + ping + "\n",
		"an unknown notification":        `{"jsonrpc":"2.0","method":"notifications/none"}` + "\n" + ping + "\n",
		"a request without an id":        `{"jsonrpc":"2.0","method":"tools/list"}` + "\n" + ping + "\n",
		"a call without an id":           `{"jsonrpc":"2.0","method":"tools/call","params":{"name":"vm_run","arguments":{}}}` + "\n" + ping + "\n",
		"the end of no request":          `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}` + "\n" + ping + "\n",
		"the end of a request's request": `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":{}}}` + "\n" + ping + "\n",
		"a notification with bad params": `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":"x"}}` + "\n" + ping + "\n",
	} {
		k.say(line)
		if r := k.hear(); r.Error != nil || string(r.ID) != "1" {
			t.Fatalf("%s: %+v", name, r)
		}
	}
}

func TestRequestsAreRefusedWithACode(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		line string
		code int
	}{
		"unknown method":             {`"method":"nope"`, -32601},
		"empty method":               {`"method":""`, -32601},
		"a notification with an id":  {`"method":"notifications/initialized"`, -32600},
		"unknown tool":               {`"method":"tools/call","params":{"name":"nope","arguments":{}}`, -32602},
		"a tool's name a number":     {`"method":"tools/call","params":{"name":5}`, -32602},
		"a call without params":      {`"method":"tools/call"`, -32600},
		"unknown cursor":             {`"method":"tools/list","params":{"cursor":"nope"}`, -32602},
		"a feature that is not here": {`"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"x"},"argument":{"name":"a","value":"b"}}`, -32601},
		"a second initialize":        {`"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}`, -32600},
		"logging":                    {`"method":"logging/setLevel","params":{"level":"info"}`, -32601},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := greeted(t, serverWith(t, untouched(t), nil))
			k.say(`{"jsonrpc":"2.0","id":5,` + c.line + "}\n")
			if r := k.hear(); r.code() != c.code || string(r.ID) != "5" {
				t.Errorf("code %d for id %s, want %d", r.code(), r.ID, c.code)
			}
			k.say(`{"jsonrpc":"2.0","id":6,"method":"ping"}` + "\n")
			if r := k.hear(); r.Error != nil {
				t.Error("it is gone")
			}
		})
	}
}

func TestBeforeInitialize(t *testing.T) {
	t.Parallel()
	k := newTalk(t, serverWith(t, untouched(t), nil))
	for _, c := range []struct {
		line string
		code int
	}{
		{`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, -32600},
		{callTool(1, "workspace_list"), -32600},
		{`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":5,"capabilities":{},"clientInfo":{"name":"x","version":"1"}}}`, -32600},
		{`{"jsonrpc":"2.0","id":1,"method":"ping"}`, 0},
	} {
		k.say(strings.TrimSpace(c.line) + "\n")
		if r := k.hear(); r.code() != c.code {
			t.Errorf("%s: code %d, want %d", c.line, r.code(), c.code)
		}
	}
	k.say(hello)
	if r := k.hear(); r.Error != nil {
		t.Errorf("initialize afterwards: %v", r.Error)
	}
}

func TestLongLines(t *testing.T) {
	t.Parallel()
	k := greeted(t, serverWith(t, untouched(t), nil))
	line := func(size int) string {
		frame := `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"x":""}}}`
		return strings.Replace(frame, `""`, `"`+strings.Repeat("x", size-len(frame))+`"`, 1) + "\n"
	}
	for _, c := range []struct {
		size, code int
		id         string
	}{
		{3_900_000, 0, "1"}, {maxLine - 1, 0, "1"}, {maxLine + 1, -32600, "null"}, {16 << 20, -32600, "null"}, {100, 0, "1"},
	} {
		k.say(line(c.size))
		if r := k.hear(); r.code() != c.code || string(r.ID) != c.id {
			t.Errorf("%d bytes: code %d for id %s, want %d for %s", c.size, r.code(), r.ID, c.code, c.id)
		}
	}
}

// TestAnswersGoOutAfterTheEndOfTheInput is printf … | pyro mcp serve.
func TestAnswersGoOutAfterTheEndOfTheInput(t *testing.T) {
	t.Parallel()
	s := serverWith(t, untouched(t), nil)
	in := hello
	for i := range 20 {
		in += fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/list"}`+"\n", i)
	}
	var out bytes.Buffer
	if err := s.ServeStdio(t.Context(), strings.NewReader(in), &out); err != nil {
		t.Error(err)
	}
	if n := strings.Count(out.String(), "\n"); n != 21 {
		t.Errorf("%d answers, want 21", n)
	}
}

func TestTheEndOfTheInputCancelsWhatTakesLonger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var reasons []error
		s := serverWith(t, untouched(t), waits(nil, func(err error) { reasons = append(reasons, err) }))
		if err := s.ServeStdio(t.Context(), strings.NewReader(hello+callTool(1, "wait")), io.Discard); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took < pause || took > 2*pause || len(reasons) != 1 || reasons[0] == nil {
			t.Errorf("it took %v, want little more than %v; the call ended with %v", took, pause, reasons)
		}
	})
}

func TestAnIDInFlightIsRefused(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	k := greeted(t, serverWith(t, untouched(t), waits(gate, nil)))
	k.say(callTool(`"a"`, "wait") + callTool(`"\u0061"`, "wait"))
	if r := k.hear(); r.code() != -32600 || string(r.ID) != `"\u0061"` {
		t.Errorf("the second: %+v", r)
	}
	close(gate)
	if r := k.hear(); r.Error != nil || string(r.ID) != `"a"` {
		t.Errorf("the first: %+v", r)
	}
	k.say(callTool(`"a"`, "wait")) // it may be used again
	if r := k.hear(); r.Error != nil {
		t.Errorf("the third: %+v", r)
	}
}

func TestFiveHundredCallsAtOnce(t *testing.T) {
	t.Parallel()
	const n = 500
	gate := make(chan struct{})
	var mu sync.Mutex
	at, most := 0, 0
	s := serverWith(t, untouched(t), func(s *mcp.Server) {
		mcp.AddTool(s, &mcp.Tool{Name: "count"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			mu.Lock()
			at++
			most = max(most, at)
			mu.Unlock()
			<-gate
			mu.Lock()
			at--
			mu.Unlock()
			return &mcp.CallToolResult{}, nil, nil
		})
	})
	k := greeted(t, s)
	for i := range n {
		k.say(callTool(i, "count"))
	}
	close(gate)
	seen := make(map[string]bool)
	for range n {
		r := k.hear()
		if r.Error != nil {
			t.Fatal(r.Error.Message)
		}
		seen[string(r.ID)] = true
	}
	if len(seen) != n || most > maxCalls {
		t.Errorf("%d answers, want %d; %d were at work at a time, want at most %d", len(seen), n, most, maxCalls)
	}
}

func TestTooManyRequestsAreRefused(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	k := greeted(t, serverWith(t, untouched(t), waits(gate, nil)))
	for i := range maxPending {
		k.say(callTool(i, "wait"))
	}
	k.say(callTool(maxPending, "wait"))
	if r := k.hear(); r.code() != codeBusy || string(r.ID) != fmt.Sprint(maxPending) {
		t.Errorf("one more: %+v", r)
	}
	close(gate)
	for range maxPending {
		k.hear()
	}
	k.say(callTool(1, "wait"))
	if r := k.hear(); r.Error != nil {
		t.Errorf("afterwards: %+v", r)
	}
}

func TestAPanicIsAnError(t *testing.T) {
	t.Parallel()
	k := greeted(t, serverWith(t, untouched(t), func(s *mcp.Server) {
		mcp.AddTool(s, &mcp.Tool{Name: "panic"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			panic("secret: 5up3r")
		})
	}))
	k.say(callTool(1, "panic"))
	if r := k.hear(); r.code() != -32603 || strings.Contains(r.Error.Message, "5up3r") {
		t.Errorf("got %+v", r)
	}
	k.say(`{"jsonrpc":"2.0","id":2,"method":"ping"}` + "\n")
	if r := k.hear(); r.Error != nil {
		t.Error("it is gone")
	}
}

// stuck is a client that reads nothing.
type stuck struct {
	began chan struct{} // closed with the first write
	once  sync.Once
	until <-chan struct{}
}

func (s *stuck) Write(p []byte) (int, error) {
	s.once.Do(func() { close(s.began) })
	<-s.until
	return len(p), nil
}

func TestAClientThatReadsNothingHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(stop context.CancelFunc, input *io.PipeWriter){
		"a signal":             func(stop context.CancelFunc, _ *io.PipeWriter) { stop() },
		"the end of the input": func(_ context.CancelFunc, input *io.PipeWriter) { _ = input.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serverWith(t, untouched(t), nil)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			in, to := io.Pipe()
			until := make(chan struct{})
			defer close(until)
			out := &stuck{began: make(chan struct{}), until: until}
			ended := make(chan error, 1)
			go func() { ended <- s.ServeStdio(ctx, in, out) }() // ends below
			if _, err := io.WriteString(to, hello); err != nil {
				t.Fatal(err)
			}
			<-out.began
			end(stop, to)
			select {
			case err := <-ended:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(30 * time.Second):
				t.Fatal("it does not end")
			}
		})
	}
}

func TestASignalEndsCalls(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	at := make(chan struct{})
	s := serverWith(t, untouched(t), func(s *mcp.Server) {
		mcp.AddTool(s, &mcp.Tool{Name: "wait"}, func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			close(at)
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, nil, ctx.Err()
		})
	})
	k := greeted(t, s)
	k.say(callTool(1, "wait"))
	<-at
	k.stop()
	go func() { _, _ = io.Copy(io.Discard, k.from) }() // ends with the pipe
	if err := <-k.ended; err != nil {
		t.Error(err)
	}
	if err := <-ended; err == nil {
		t.Error("the call went on")
	}
}

// TestNothingButMessagesComesOut has tools print what looks like messages of a server.
func TestNothingButMessagesComesOut(t *testing.T) {
	t.Parallel()
	forged := `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}` + "\n" + `{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}` + "\r\n\x1b[2J\u2028\x00"
	s := serverWith(t, untouched(t), func(s *mcp.Server) {
		mcp.AddTool(s, &mcp.Tool{Name: "say"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, map[string]string, error) {
			return nil, map[string]string{"stdout": forged}, nil
		})
		mcp.AddTool(s, &mcp.Tool{Name: "fail"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			return nil, nil, fmt.Errorf("it said %s", forged)
		})
	})
	k := greeted(t, s)
	for _, tool := range []string{"say", "fail"} {
		k.say(callTool(1, tool))
		r := k.hear()
		var result mcp.CallToolResult
		if err := json.Unmarshal(r.Result, &result); err != nil || r.Method != "" || string(r.ID) != "1" {
			t.Fatalf("%s: %v: %+v", tool, err, r)
		}
		if got, _ := json.Marshal(result.Content); !strings.Contains(string(got), "list_changed") {
			t.Errorf("%s: the output is not in the result: %s", tool, got)
		}
	}
	k.say(`{"jsonrpc":"2.0","id":2,"method":"ping"}` + "\n")
	if r := k.hear(); string(r.ID) != "2" {
		t.Errorf("something came between: %+v", r)
	}
}

// into decodes the result of a call that went well.
func (r reply) into(t *testing.T, v any) {
	t.Helper()
	if r.Error != nil {
		t.Fatal(r.Error.Message)
	}
	if err := json.Unmarshal(r.Result, v); err != nil {
		t.Fatalf("%v in %s", err, r.Result)
	}
}
