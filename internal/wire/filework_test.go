package wire

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
)

func TestClientPull(t *testing.T) {
	var sent recorded
	long := strings.Repeat("x", MaxFrame)
	c, _ := fakeAgent(t, receiving(&sent, frame('d', "a ta")+frame('d', "")+frame('d', long)+
		frame('x', `{"workspace_path":"/workspace/d","artifact_type":"directory","entry_count":2,"bytes_written":5,"skipped":1}`)))
	var got bytes.Buffer
	reply, err := c.Pull(t.Context(), PullRequest{Path: "d", Only: [][]byte{[]byte("a/\xff"), []byte("b")}, MaxBytes: MaxFrame + 4}, &got)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&PullReply{"/workspace/d", Directory, 2, 5, 1}, reply); diff != "" || got.String() != "a ta"+long {
		t.Errorf("%d bytes, reply (-want +got):\n%s", got.Len(), diff)
	}
	if line, body := sent.get(); line != `{"action":"pull_tree","path":"d","all":false}` || body != "\x03a/\xff\x01b" {
		t.Errorf("sent %s and %q", line, body)
	}
}

func TestClientReadRange(t *testing.T) {
	var sent recorded
	c, _ := fakeAgent(t, recording(&sent, 0, frame('d', "par")+frame('d', "t")+
		frame('x', `{"path":"/workspace/f","size":9,"offset":5,"length":4,"mode":420,"mtime_ns":-3}`)))
	var got bytes.Buffer
	reply, err := c.ReadRange(t.Context(), "f", 5, 7, &got)
	if err != nil {
		t.Fatal(err)
	}
	want := &ReadRangeReply{Path: "/workspace/f", Size: 9, Offset: 5, Length: 4, Mode: 0o644, MTime: -3}
	if diff := cmp.Diff(want, reply); diff != "" || got.String() != "part" {
		t.Errorf("%q, reply (-want +got):\n%s", got.String(), diff)
	}
	if line, _ := sent.get(); line != `{"action":"read_range","path":"f","offset":5,"length":7}` {
		t.Errorf("sent %s", line)
	}
	for _, r := range [][2]int64{{-1, 5}, {0, -2}} {
		if _, err := c.ReadRange(t.Context(), "f", r[0], r[1], &got); !errors.Is(err, api.Invalid) {
			t.Errorf("%v: error %v", r, err)
		}
	}
}

func TestHostileFileReplies(t *testing.T) {
	pull := func(ctx context.Context, c *Client) error {
		_, err := c.Pull(ctx, PullRequest{Path: ".", All: true}, io.Discard)
		return err
	}
	read := func(ctx context.Context, c *Client) error {
		_, err := c.ReadRange(ctx, "f", 1, 3, io.Discard)
		return err
	}
	stat := func(ctx context.Context, c *Client) error { _, err := c.Stat(ctx, "f"); return err }
	put := func(ctx context.Context, c *Client) error {
		_, err := c.Put(ctx, PutRequest{Path: "f"}, strings.NewReader("text"))
		return err
	}
	remove := func(ctx context.Context, c *Client) error { _, err := c.Remove(ctx, "f", true); return err }
	patch := func(ctx context.Context, c *Client) error {
		_, err := c.ApplyPatch(ctx, strings.NewReader("patch"), PatchOptions{})
		return err
	}
	const mib = 1 << 20
	for name, tt := range map[string]struct {
		ask   func(context.Context, *Client) error
		reply string
		heap  uint64 // bytes that may be allocated; 0: 2 MiB
	}{
		"pull: unknown type":      {pull, frame('x', `{"artifact_type":"special"}`), 0},
		"pull: negative":          {pull, frame('x', `{"entry_count":-1}`), 0},
		"pull: other frame":       {pull, frame('e', "x"), 0},
		"read: too much":          {read, frame('d', "12") + frame('d', "34"), 0},
		"read: less than it says": {read, frame('d', "12") + frame('x', `{"offset":1,"length":3}`), 0},
		"read: more than it says": {read, frame('d', "123") + frame('x', `{"offset":1,"length":2}`), 0},
		"read: elsewhere":         {read, frame('d', "123") + frame('x', `{"offset":2,"length":3}`), 0},
		"read: negative":          {read, frame('x', `{"offset":1,"length":-1}`), 0},
		"read: mode":              {read, frame('x', `{"offset":1,"mode":4096}`), 0},
		"stat: nothing":           {stat, "{}\n", 0},
		"stat: unknown kind":      {stat, `{"path":"L2Y=","kind":"socket"}`, 0},
		"stat: relative":          {stat, `{"path":"Zg==","kind":"file"}`, 0},
		"stat: NUL":               {stat, `{"path":"L2YA","kind":"file"}`, 0},
		"stat: target of a file":  {stat, `{"path":"L2Y=","kind":"file","target":"Zg=="}`, 0},
		"stat: link to nothing":   {stat, `{"path":"L2Y=","kind":"symlink"}`, 0},
		"stat: negative size":     {stat, `{"path":"L2Y=","kind":"file","size":-1}`, 0},
		"stat: mode":              {stat, `{"path":"L2Y=","kind":"file","mode":4096}`, 0},
		"stat: endless":           {stat, `{"path":"` + strings.Repeat("L", 8*mib), 0},
		"put: negative":           {put, `{"size_bytes":-1}`, 0},
		"put: text for a number":  {put, `{"size_bytes":"1"}`, 0},
		"remove: negative":        {remove, `{"removed":-1}`, 0},
		"patch: empty entries":    {patch, `{"entries":[` + strings.Repeat("{},", 5*mib/3) + `{}]}`, 64 * mib},
		"patch: empty lists":      {patch, `{"entries":[` + strings.Repeat("[],", 5*mib/3) + `[]]}`, 64 * mib},
		"patch: one too many":     {patch, `{"entries":[` + strings.Repeat(`{"path":"YQ==","status":"added"},`, MaxPatchedFiles) + `{"path":"YQ==","status":"added"}]}`, 64 * mib},
		"patch: no list":          {patch, `{"entries":{}}`, 0},
		"patch: outside":          {patch, `{"entries":[{"path":"Li4vYQ==","status":"added"}]}`, 0},
		"patch: from outside":     {patch, `{"entries":[{"path":"YQ==","from":"L2E=","status":"added"}]}`, 0},
		"patch: unknown status":   {patch, `{"entries":[{"path":"YQ==","status":"x"}]}`, 0},
		"patch: repeated key":     {patch, `{"entries":[{"path":"YQ==","path":"Yg==","status":"added"}]}`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := fakeAgent(t, answering(tt.reply))
			var err error
			used := allocated(func() { err = tt.ask(t.Context(), c) })
			if !errors.Is(err, ErrProtocol) || !errors.Is(err, api.Internal) {
				t.Errorf("error %v of kind %q, want ErrProtocol", err, api.KindOf(err))
			}
			if err != nil && len(err.Error()) > MaxErrorText {
				t.Errorf("error of %d bytes", len(err.Error()))
			}
			if used > max(tt.heap, 2*mib) {
				t.Errorf("allocated %d bytes", used)
			}
		})
	}
}

// An archive without end is stopped by whoever takes it, and by its bound.
func TestEndlessPullIsStopped(t *testing.T) {
	full := errors.New("full")
	for name, tt := range map[string]struct {
		most int64
		into io.Writer
		want error
	}{
		"by its bound":  {5 * MaxFrame, io.Discard, api.Invalid},
		"by its writer": {0, failing{full}, full},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := fakeAgent(t, answering(strings.Repeat(frame('d', strings.Repeat("x", MaxFrame)), 8)))
			if _, err := c.Pull(t.Context(), PullRequest{Path: ".", All: true, MaxBytes: tt.most}, tt.into); !errors.Is(err, tt.want) {
				t.Errorf("error %v of kind %q", err, api.KindOf(err))
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestRequestsOfFileWork(t *testing.T) {
	mode := uint32(0o755)
	for name, tt := range map[string]struct {
		ask  func(context.Context, *Client) error
		want string
	}{
		"put": {func(ctx context.Context, c *Client) error {
			_, err := c.Put(ctx, PutRequest{Path: "f", Mode: &mode, Exclusive: true}, strings.NewReader("text"))
			return err
		}, `{"action":"put_file","path":"f","mode":493,"exclusive":true,"parents":false}text`},
		"patch": {func(ctx context.Context, c *Client) error {
			_, err := c.ApplyPatch(ctx, strings.NewReader("text"), PatchOptions{Check: true})
			return err
		}, `{"action":"apply_patch","check":true}text`},
	} {
		t.Run(name, func(t *testing.T) {
			var sent recorded
			c, _ := fakeAgent(t, receiving(&sent, "{}\n"))
			if err := tt.ask(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			if line, body := sent.get(); line+body != tt.want {
				t.Errorf("sent %s%s", line, body)
			}
		})
	}
	for name, tt := range map[string]struct {
		ask  func(context.Context, *Client) error
		want string
	}{
		"stat":   {func(ctx context.Context, c *Client) error { _, err := c.Stat(ctx, "f\n"); return err }, `{"action":"stat_path","path":"f\n"}`},
		"mkdir":  {func(ctx context.Context, c *Client) error { _, err := c.MakeDir(ctx, "f", true); return err }, `{"action":"make_dir","path":"f","parents":true}`},
		"move":   {func(ctx context.Context, c *Client) error { _, err := c.Move(ctx, "f", "g", false); return err }, `{"action":"move_path","from":"f","to":"g","overwrite":false}`},
		"remove": {func(ctx context.Context, c *Client) error { _, err := c.Remove(ctx, "f", true); return err }, `{"action":"remove_path","path":"f","recursive":true}`},
	} {
		t.Run(name, func(t *testing.T) {
			var sent recorded
			c, _ := fakeAgent(t, recording(&sent, 0, `{"path":"L2Y=","kind":"file"}`+"\n"))
			_ = tt.ask(t.Context(), c)
			if line, _ := sent.get(); line != tt.want {
				t.Errorf("sent %s", line)
			}
		})
	}
}

func TestPatchedFilesKeepTheirBytes(t *testing.T) {
	want := &PatchReply{Entries: PatchEntries{{Path: "a\xff", Status: "added"}, {Path: "b", Status: "added", From: "c\n"}}}
	line, err := encodeLine(want)
	if err != nil {
		t.Fatal(err)
	}
	var sent recorded
	c, _ := fakeAgent(t, receiving(&sent, string(line)))
	got, err := c.ApplyPatch(t.Context(), strings.NewReader(""), PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestLongPatchIsNotSent(t *testing.T) {
	c, _ := fakeAgent(t, silent)
	if _, err := c.ApplyPatch(t.Context(), endless{}, PatchOptions{}); !errors.Is(err, api.Invalid) {
		t.Errorf("error %v of kind %q", err, api.KindOf(err))
	}
}
