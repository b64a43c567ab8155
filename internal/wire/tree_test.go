package wire

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
)

// takeTree reads a request and its frames to the last one. It returns what the data
// frames hold together.
func takeTree(r *bufio.Reader) (line, data string, err error) {
	text, err := ReadLine(r, MaxRequestLine)
	var all, buf []byte
	for err == nil {
		var f Frame
		f, err = ReadFrame(r, &buf)
		if f.Type == FrameEnd {
			break
		}
		all = append(all, f.Payload...)
	}
	return string(text), string(all), err
}

// receiving notes a tree and answers when all of it has come.
func receiving(into *recorded, reply string) guest {
	return func(conn net.Conn, r *bufio.Reader) {
		line, data, err := takeTree(r)
		if err != nil {
			return
		}
		into.mu.Lock()
		into.line, into.body = line, data
		into.mu.Unlock()
		_, _ = io.WriteString(conn, reply)
	}
}

func entryNamed(path string) TreeEntry { return TreeEntry{Path: []byte(path), Kind: "file"} }

func TestClientPushTree(t *testing.T) {
	var got recorded
	c, _ := fakeAgent(t, receiving(&got, `{"destination":"/workspace/in","entry_count":3,"bytes_written":5}`+"\n"))
	for _, tree := range []string{"", "a tree\x00\xff", strings.Repeat("0123456789", 100_000)} {
		reply, err := c.PushTree(t.Context(), "in", iotest.HalfReader(strings.NewReader(tree)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(PushReply{"/workspace/in", 3, 5}, reply); diff != "" {
			t.Errorf("reply (-want +got):\n%s", diff)
		}
		if line, body := got.get(); line != `{"action":"push_tree","destination":"in"}` || body != tree {
			t.Errorf("sent %s and %d bytes, want %d", line, len(body), len(tree))
		}
	}
}

func TestClientCompareTree(t *testing.T) {
	var got recorded
	c, _ := fakeAgent(t, receiving(&got, `{"count":9,"needed":"gQE="}`+"\n"))
	entries := []TreeEntry{
		{Path: []byte("d"), Kind: "directory", Mode: 0o1755},
		{Path: []byte("d/l\xff"), Kind: "symlink", MTime: -1, Target: []byte("\"\n")},
	}
	for range 7 {
		entries = append(entries, entryNamed("f"))
	}
	needed, err := c.CompareTree(t.Context(), "/workspace", slices.Values(entries))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]bool{true, false, false, false, false, false, false, true, true}, needed); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	line, body := got.get()
	want := `{"p":"ZA==","k":"directory","m":1005,"s":0,"t":0,"l":null}` + "\n" +
		`{"p":"ZC9s/w==","k":"symlink","m":0,"s":0,"t":-1,"l":"Igo="}` + "\n" +
		strings.Repeat(`{"p":"Zg==","k":"file","m":0,"s":0,"t":0,"l":null}`+"\n", 7)
	if line != `{"action":"compare_tree","destination":"/workspace"}` || body != want {
		t.Errorf("sent %s and\n%s", line, body)
	}
}

func TestHostileTreeReplies(t *testing.T) {
	push := func(ctx context.Context, c *Client) error {
		_, err := c.PushTree(ctx, ".", strings.NewReader("tree"))
		return err
	}
	compare := func(ctx context.Context, c *Client) error {
		_, err := c.CompareTree(ctx, ".", slices.Values(slices.Repeat([]TreeEntry{entryNamed("f")}, 9)))
		return err
	}
	for name, tt := range map[string]struct {
		ask   func(context.Context, *Client) error
		reply string
	}{
		"no reply":          {push, ""},
		"frames":            {push, "o\x00\x00\x00\x01x"},
		"negative count":    {push, `{"entry_count":-1}`},
		"negative bytes":    {push, `{"bytes_written":-1}`},
		"endless line":      {push, `{"destination":"` + strings.Repeat("a", 1<<20)},
		"endless bits":      {compare, `{"count":9,"needed":"` + strings.Repeat("A", 2<<20)},
		"too many bits":     {compare, `{"count":9,"needed":"gQEA"}`},
		"too few bits":      {compare, `{"count":9,"needed":"gQ=="}`},
		"no bits":           {compare, `{"count":9}`},
		"another count":     {compare, `{"count":10,"needed":"gQE="}`},
		"no count":          {compare, `{"needed":"gQE="}`},
		"bits of no entry":  {compare, `{"count":9,"needed":"gQM="}`},
		"bits are no text":  {compare, `{"count":9,"needed":{"0":1}}`},
		"bits are no bytes": {compare, `{"count":9,"needed":"g*E="}`},
		"count is text":     {compare, `{"count":"9","needed":"gQE="}`},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := fakeAgent(t, receiving(new(recorded), tt.reply))
			var err error
			used := allocated(func() { err = tt.ask(t.Context(), c) })
			if !errors.Is(err, ErrProtocol) || !errors.Is(err, api.Internal) {
				t.Errorf("error %v of kind %q, want ErrProtocol", err, api.KindOf(err))
			}
			if used > 16<<20 {
				t.Errorf("allocated %d bytes", used)
			}
		})
	}
}

// endlessEntries is a tree without end.
func endlessEntries(yield func(TreeEntry) bool) {
	for yield(entryNamed("f")) {
	}
}

// An answer that comes early ends the call, though nobody reads what is sent.
func TestTreeIsAnsweredEarly(t *testing.T) {
	for name, tt := range map[string]struct {
		reply string
		kind  api.Kind
		text  string
	}{
		"refused":       {`{"error":"no space left on device","kind":"unavailable"}`, api.Unavailable, "no space left on device"},
		"said to be ok": {`{"count":1,"needed":"AQ=="}`, api.Internal, "before all that was announced"},
		"garbage":       {"x", api.Internal, ErrProtocol.Error()},
		"end":           {"", api.Unavailable, "send"},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := fakeAgent(t, func(conn net.Conn, r *bufio.Reader) {
				var buf []byte
				_, _ = ReadLine(r, MaxRequestLine)
				_, _ = ReadFrame(r, &buf)
				_, _ = io.WriteString(conn, tt.reply)
			})
			_, pushed := c.PushTree(t.Context(), ".", endless{})
			_, compared := c.CompareTree(t.Context(), ".", endlessEntries)
			for _, err := range []error{pushed, compared} {
				if api.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("error %v of kind %q, want %q and %q", err, api.KindOf(err), tt.kind, tt.text)
				}
			}
		})
	}
}

func TestTreeThatCannotBeRead(t *testing.T) {
	broken := errors.New("disk on fire")
	for name, tt := range map[string]struct {
		err  error
		kind api.Kind
	}{
		"plain error":   {broken, api.Invalid},
		"of a kind":     {&api.Error{Kind: api.Denied, Hint: "use sudo", Err: broken}, api.Denied},
		"end too early": {io.ErrUnexpectedEOF, api.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan error, 1)
			c, _ := fakeAgent(t, func(_ net.Conn, r *bufio.Reader) {
				_, _, err := takeTree(r)
				ended <- err
			})
			_, err := c.PushTree(t.Context(), ".", io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(tt.err)))
			if api.KindOf(err) != tt.kind || !errors.Is(err, tt.err) {
				t.Errorf("error %v of kind %q, want %q", err, api.KindOf(err), tt.kind)
			}
			if err := <-ended; err == nil {
				t.Error("the agent was told that the tree is whole")
			}
		})
	}
}

func TestCompareTreeChecksEntries(t *testing.T) {
	c, _ := fakeAgent(t, func(_ net.Conn, r *bufio.Reader) { _, _, _ = takeTree(r) })
	for _, e := range []TreeEntry{{}, entryNamed("../x"), {Path: []byte("a"), Kind: "device"}} {
		if _, err := c.CompareTree(t.Context(), ".", slices.Values([]TreeEntry{e})); !errors.Is(err, api.Invalid) {
			t.Errorf("%+v: %v", e, err)
		}
	}
	if _, err := c.CompareTree(t.Context(), "\xff", slices.Values([]TreeEntry{})); !errors.Is(err, api.Invalid) {
		t.Errorf("a destination that is no text: %v", err)
	}
}

func TestCancelEndsATree(t *testing.T) {
	for name, wait := range map[string]func(r *bufio.Reader) error{
		"in the middle": func(r *bufio.Reader) error { _, err := ReadLine(r, MaxRequestLine); return err },
		"at the end":    func(r *bufio.Reader) error { _, _, err := takeTree(r); return err },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			c, _ := fakeAgent(t, func(conn net.Conn, r *bufio.Reader) {
				_ = wait(r)
				cancel()
				<-ctx.Done()
				_, _ = conn.Read(make([]byte, 1)) // nothing comes but what is under way
			})
			_, err := c.PushTree(ctx, ".", io.LimitReader(endless{}, 1<<20))
			if !errors.Is(err, api.Canceled) {
				t.Errorf("error %v of kind %q, want canceled", err, api.KindOf(err))
			}
		})
	}
}

func TestTreeDeadlines(t *testing.T) {
	stall := func(conn net.Conn, r *bufio.Reader) {
		_, _ = ReadLine(r, MaxRequestLine)
		_, _ = conn.Read(nil)
		<-time.After(24 * time.Hour)
	}
	for name, tt := range map[string]struct {
		script guest
		size   int64
		within time.Duration
	}{
		"takes nothing":           {stall, 1 << 20, archiveTimeout},
		"takes all, says nothing": {silent, 1, archiveTimeout},
		"has long to merge":       {silent, 100 * mergeRate, archiveTimeout + 100*time.Second},
		"answers in drops": {func(conn net.Conn, r *bufio.Reader) {
			if _, _, err := takeTree(r); err == nil {
				slow(conn, r)
			}
		}, 1, archiveTimeout},
		"takes it in drops": {func(_ net.Conn, r *bufio.Reader) {
			_, _ = ReadLine(r, MaxRequestLine)
			for {
				if _, err := io.CopyN(io.Discard, r, 5+pieceSize); err != nil {
					return
				}
				<-time.After(25 * time.Second) // 21 more than it earns
			}
		}, 1 << 30, archiveTimeout + 12*time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := fakeAgent(t, tt.script)
				start := time.Now()
				_, err := c.PushTree(t.Context(), ".", io.LimitReader(endless{}, tt.size))
				if !errors.Is(err, api.Timeout) {
					t.Errorf("error %v of kind %q, want a timeout", err, api.KindOf(err))
				}
				if took := time.Since(start); took.Round(time.Second) != tt.within {
					t.Errorf("took %v, want %v", took, tt.within)
				}
			})
		})
	}
}

// pausing is a reader of pieces with a pause before each.
type pausing struct {
	pieces int
	pause  time.Duration
}

func (p *pausing) Read(b []byte) (int, error) {
	if p.pieces == 0 {
		return 0, io.EOF
	}
	p.pieces--
	<-time.After(p.pause)
	return copy(b, "piece"), nil
}

// A host that is slow to read its own disk does not use up the agent's time.
func TestSlowSourceIsNotTheAgentsFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got recorded
		c, _ := fakeAgent(t, receiving(&got, "{}\n"))
		if _, err := c.PushTree(t.Context(), ".", &pausing{20, archiveTimeout - time.Second}); err != nil {
			t.Error(err)
		}
		if _, body := got.get(); len(body) != 100 {
			t.Errorf("%d bytes came", len(body))
		}
	})
}
