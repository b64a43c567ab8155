package wire

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

// repeating is a text without end.
type repeating string

func (s repeating) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = s[i%len(s)]
	}
	return len(p), nil
}

// allocated is how many bytes f allocated, what it freed again included.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestHostileReplies(t *testing.T) {
	hello := func(ctx context.Context, c *Client) error { _, err := c.Hello(ctx); return err }
	list := func(ctx context.Context, c *Client) error { _, err := c.List(ctx, ListRequest{}); return err }
	exec := func(ctx context.Context, c *Client) error { _, err := c.Exec(ctx, ExecRequest{}); return err }
	open := func(ctx context.Context, c *Client) error {
		_, err := c.OpenShell(ctx, OpenShellRequest{})
		return err
	}
	read := func(ctx context.Context, c *Client) error {
		_, err := c.ReadShell(ctx, ReadShellRequest{MaxChars: 10})
		return err
	}
	const mib = 1 << 20
	for name, tc := range map[string]struct {
		ask   func(context.Context, *Client) error
		reply string
		heap  uint64 // bytes that may be allocated; 0: not looked at
	}{
		"endless line":        {hello, strings.Repeat("a", 8*mib), mib},
		"endless string":      {read, `{"output":"` + strings.Repeat("a", 8*mib), mib},
		"no end":              {hello, `{"version":"1"`, 0},
		"NUL":                 {hello, "{\"version\":\"1\x00\"}\n", 0},
		"NUL behind":          {hello, "{}\n\x00", 0},
		"bad UTF-8":           {hello, "{\"version\":\"\xff\"}\n", 0},
		"byte order mark":     {hello, "\ufeff{}\n", 0},
		"two objects":         {hello, "{}\n{}\n", 0},
		"trailing garbage":    {hello, "{} x\n", 0},
		"repeated key":        {exec, `{"exit_code":1,"exit_code":0}`, 0},
		"repeated in escapes": {exec, `{"exit_code":1,"\u0065xit_code":0}`, 0},
		"deep nesting":        {list, `{"entries":` + strings.Repeat("[", mib), 16 * mib},
		"deep unknown field":  {hello, `{"x":` + strings.Repeat(`{"x":`, 1000) + `1` + strings.Repeat("}", 1001), mib},
		"many empty lists":    {list, `{"entries":[` + strings.Repeat("[],", 5*mib/3) + `[]]}`, 64 * mib},
		"many empty entries":  {list, `{"entries":[` + strings.Repeat("{},", 5*mib/3) + `{}]}`, 64 * mib},
		"many keys":           {list, `{` + manyKeys(100000) + `"a":1}`, 16 * mib},
		"huge exponent":       {exec, `{"exit_code":1e999999999}`, 0},
		"endless number":      {exec, `{"exit_code":` + strings.Repeat("9", mib) + `}`, 0},
		"fraction":            {exec, `{"exit_code":0.5}`, 0},
		"above 64 bits":       {exec, `{"duration_ms":9223372036854775808}`, 0},
		"negative duration":   {exec, `{"duration_ms":-1}`, 0},
		"negative size":       {list, `{"entries":[{"path":"/a","artifact_type":"file","size_bytes":-1}]}`, 0},
		"entry twice a key":   {list, `{"entries":[{"path":"/a","path":"/b","artifact_type":"file"}]}`, 0},
		"unknown type":        {list, `{"artifact_type":"socket"}`, 0},
		"wrong type":          {exec, `{"stdout":["x"]}`, 0},
		"number for text":     {exec, `{"stdout":5}`, 0},
		"time without end":    {open, `{"started_at":1e999}`, 0},
		"unknown state":       {open, `{"state":"paused"}`, 0},
		"negative columns":    {open, `{"cols":-1}`, 0},
		"cursor backwards":    {read, `{"cursor":9,"next_cursor":3}`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := fakeAgent(t, answering(tc.reply))
			var err error
			used := allocated(func() { err = tc.ask(t.Context(), c) })
			if !errors.Is(err, ErrProtocol) || !errors.Is(err, api.Internal) {
				t.Errorf("error %v of kind %q, want ErrProtocol", err, api.KindOf(err))
			}
			if err != nil && len(err.Error()) > MaxErrorText {
				t.Errorf("error of %d bytes", len(err.Error()))
			}
			if tc.heap > 0 && used > tc.heap {
				t.Errorf("allocated %d bytes, allowed are %d", used, tc.heap)
			}
		})
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`"k`)
		for ; i > 0; i /= 26 {
			b.WriteByte('a' + byte(i%26))
		}
		b.WriteString(`":1,`)
	}
	return b.String()
}

func TestKeysAreToldApartByCase(t *testing.T) {
	c, _ := fakeAgent(t, answering(`{"exit_code":1,"EXIT_CODE":0,"exit_code\u0000":5,"extra":[1]}`+"\n"))
	reply, err := c.Exec(t.Context(), ExecRequest{})
	if err != nil || reply.ExitCode != 1 {
		t.Errorf("reply %+v, error %v", reply, err)
	}
}

// slow sends one byte every five seconds.
func slow(conn net.Conn, _ *bufio.Reader) {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for range tick.C {
		if _, err := io.WriteString(conn, " "); err != nil {
			return
		}
	}
}

// silent reads and never answers.
func silent(conn net.Conn, _ *bufio.Reader) { _, _ = io.Copy(io.Discard, conn) }

func TestDeadlines(t *testing.T) {
	for name, tc := range map[string]struct {
		script guest
		ask    func(context.Context, *Client) error
		within time.Duration
	}{
		"no answer": {silent, func(ctx context.Context, c *Client) error {
			_, err := c.Hello(ctx)
			return err
		}, usualTimeout},
		"an answer byte by byte": {slow, func(ctx context.Context, c *Client) error {
			_, err := c.Hello(ctx)
			return err
		}, usualTimeout},
		"an exec": {silent, func(ctx context.Context, c *Client) error {
			_, err := c.Exec(ctx, ExecRequest{TimeoutSeconds: 100})
			return err
		}, 100*time.Second + execMargin},
		"an exec without end": {silent, func(ctx context.Context, c *Client) error {
			ctx, cancel := context.WithTimeout(ctx, time.Hour)
			defer cancel()
			_, err := c.Exec(ctx, ExecRequest{TimeoutSeconds: 1<<63 - 1})
			return err
		}, time.Hour},
		"an export's header": {silent, func(ctx context.Context, c *Client) error {
			_, err := c.ExportArchive(ctx, "/workspace")
			return err
		}, archiveTimeout},
		"a stream with a timeout": {silent, func(ctx context.Context, c *Client) error {
			s, err := c.Stream(ctx, StreamRequest{Command: "x", TimeoutMS: 2000})
			if err == nil {
				_, err = s.ReadFrame()
			}
			return err
		}, 2*time.Second + execMargin},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := fakeAgent(t, tc.script)
				start := time.Now()
				err := tc.ask(t.Context(), c)
				if !errors.Is(err, api.Timeout) {
					t.Errorf("error %v of kind %q, want a timeout", err, api.KindOf(err))
				}
				if took := time.Since(start); took != tc.within {
					t.Errorf("took %v, want %v", took, tc.within)
				}
			})
		})
	}
}

func TestExecOutwaitsAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := fakeAgent(t, func(conn net.Conn, r *bufio.Reader) {
			_, _ = ReadLine(r, MaxRequestLine)
			<-time.After(3*time.Second + execMargin/2) // the agent's timeout, and its drain
			_, _ = io.WriteString(conn, `{"stdout":"partial","exit_code":124}`+"\n")
		})
		reply, err := c.Exec(t.Context(), ExecRequest{Command: "sleep 9", TimeoutSeconds: 3})
		if err != nil || reply.ExitCode != 124 || reply.Stdout != "partial" {
			t.Errorf("reply %+v, error %v", reply, err)
		}
	})
}

func TestUploadDeadlineFollowsProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 200 * slowestRate
		c, _ := fakeAgent(t, func(conn net.Conn, r *bufio.Reader) {
			_, _ = ReadLine(r, MaxRequestLine)
			for range 4 { // in all longer than archiveTimeout, at once shorter
				_, _ = io.CopyN(io.Discard, r, size/4)
				<-time.After(archiveTimeout - time.Second)
			}
			_, _ = io.WriteString(conn, `{"entry_count":2}`+"\n")
		})
		reply, err := c.ExtractArchive(t.Context(), "/workspace", endless{}, size)
		if err != nil || reply.EntryCount != 2 {
			t.Errorf("reply %+v, error %v", reply, err)
		}
	})
}

func TestCancelEndsACall(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c, _ := fakeAgent(t, func(conn net.Conn, r *bufio.Reader) {
		_, _ = ReadLine(r, MaxRequestLine)
		cancel()
		silent(conn, r)
	})
	_, err := c.Exec(ctx, ExecRequest{Command: "sleep 9", TimeoutSeconds: 9})
	if !errors.Is(err, api.Canceled) {
		t.Errorf("error %v of kind %q, want canceled", err, api.KindOf(err))
	}
}

func TestNothingSentIsSentTwice(t *testing.T) {
	for name, script := range map[string]guest{
		"connection lost":  answering(""),
		"half a reply":     answering(`{"stdout":`),
		"error":            answering(`{"error":"bad byte"}`),
		"before the line":  func(net.Conn, *bufio.Reader) {},
		"non-object reply": answering(`[]`),
	} {
		t.Run(name, func(t *testing.T) {
			c, dialled := fakeAgent(t, script)
			c.ConnectWindow = time.Hour
			if _, err := c.Exec(t.Context(), ExecRequest{Command: "x"}); err == nil {
				t.Error("no error")
			}
			if dialled.Load() != 1 {
				t.Errorf("dialled %d times", dialled.Load())
			}
		})
	}
}

func TestConnectIsRepeated(t *testing.T) {
	refusedOnce := &api.Error{Kind: api.Unavailable, Err: errors.New("connection refused")}
	for name, tc := range map[string]struct {
		window   time.Duration
		err      error
		attempts int
		ok       bool
	}{
		"until it works":               {10 * time.Second, refusedOnce, 4, true},
		"not without a window":         {0, refusedOnce, 1, false},
		"not past the window":          {2 * connectPause, refusedOnce, 3, false},
		"not what can never work":      {10 * time.Second, &api.Error{Kind: api.Unsupported, Err: errors.New("no")}, 1, false},
		"not what breaks the protocol": {10 * time.Second, ErrProtocol, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := fakeAgent(t, answering(`{"exit_code":0}`+"\n"))
				attempts, dial := 0, c.Dial
				c.ConnectWindow = tc.window
				c.Dial = func(ctx context.Context) (net.Conn, error) {
					if attempts++; attempts < 4 {
						return nil, tc.err
					}
					return dial(ctx)
				}
				_, err := c.Exec(t.Context(), ExecRequest{Command: "x"})
				if attempts != tc.attempts || (err == nil) != tc.ok {
					t.Errorf("%d attempts, error %v; want %d attempts", attempts, err, tc.attempts)
				}
				if err != nil && !errors.Is(err, tc.err) {
					t.Errorf("error %v, want %v", err, tc.err)
				}
			})
		})
	}
}
