package agent

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/redact"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// printing is a shell's place for output, without a shell.
func printing(t *testing.T) *session {
	t.Helper()
	s := newSession(newAgent(testConfig(t)), "s1", "/workspace", api.TerminalSize{Cols: 80, Rows: 24})
	s.p = &process{}
	t.Cleanup(func() { s.settle.Stop() })
	return s
}

// Reading in pieces gives what reading at once gives, and cursors count code points.
func TestShellReadsInPieces(t *testing.T) {
	s := printing(t)
	s.hide(redact.New("hunter22"))
	text := strings.Repeat("aé語😀\r\n", 5000) + "hunter22" + strings.Repeat("b", 100_000)
	r := rand.New(rand.NewPCG(1, 2))
	for rest := []byte(text); len(rest) > 0; {
		n := 1 + r.IntN(min(len(rest), 5000))
		_, _ = s.Write(rest[:n])
		rest = rest[n:]
	}
	s.finish(status{})
	var got strings.Builder
	for cursor := int64(0); ; {
		piece := s.read(cursor, 1+r.IntN(3000))
		if !utf8.ValidString(piece.Output) || piece.Cursor != cursor || piece.NextCursor-cursor != int64(utf8.RuneCountInString(piece.Output)) {
			t.Fatalf("from %d: %d to %d, %d bytes", cursor, piece.Cursor, piece.NextCursor, len(piece.Output))
		}
		got.WriteString(piece.Output)
		cursor = piece.NextCursor
		if !piece.Truncated {
			break
		}
	}
	if want := strings.ReplaceAll(text, "hunter22", api.RedactedText); got.String() != want {
		t.Errorf("%d bytes came, want %d", got.Len(), len(want))
	}
}

func TestShellForgetsTheOldest(t *testing.T) {
	s := printing(t)
	runtime.GC()
	before := heap()
	piece := []byte(strings.Repeat("0123456789abcde\n", 6400))
	for range 1000 {
		_, _ = s.Write(piece)
	}
	if after := heap(); after > before+4*api.ShellBufferBytes {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
	const all = 1000 * 6400 * 16
	got := s.read(10, 50)
	if got.Cursor != all-int64(s.out.size) || got.Cursor-10 != got.SkippedChars || !got.Truncated || got.NextCursor != got.Cursor+50 {
		t.Errorf("got %d to %d, %d skipped, truncated %v", got.Cursor, got.NextCursor, got.SkippedChars, got.Truncated)
	}
	if s.out.size > api.ShellBufferBytes || s.out.size < api.ShellBufferBytes-2*ringBlock {
		t.Errorf("%d bytes are kept", s.out.size)
	}
	if got := s.read(all, 10); got.Output != "" || got.Cursor != all || got.Truncated {
		t.Errorf("at the end: %+v", got)
	}
	if got := s.read(all+5, 10); got.Cursor != all || got.SkippedChars != 0 || got.Truncated {
		t.Errorf("beyond the end: %+v", got)
	}
}

// A lot through a real terminal stay within what is kept, and several who read it see
// the same.
func TestShellPrintsALot(t *testing.T) {
	c := serveMux(t, testConfig(t))
	id := shellOf(t, c, wire.OpenShellRequest{})
	runtime.GC()
	runtime.GC()
	before, peak := heap(), uint64(0)
	typeIn(t, c, id, "head -c 20000000 /dev/zero | tr '\\0' x; echo; echo =the end; exit")
	ends := make([]int64, 3)
	var readers sync.WaitGroup
	for i := range ends {
		readers.Go(func() {
			look := func() bool {
				got, err := c.ReadShell(t.Context(), wire.ReadShellRequest{ShellID: wire.LaxString(id), Cursor: wire.LaxInt(ends[i]), MaxChars: 1000})
				if err != nil {
					t.Error(err)
					return true
				}
				ends[i] = got.NextCursor
				if i == 0 {
					peak = max(peak, heap())
				}
				if got.Truncated { // to the end
					ends[i] = math.MaxInt64
				}
				return got.State == wire.ShellStopped && got.NextCursor > 20_000_000 && !got.Truncated
			}
			for range 4 { // it is a lot
				if eventually(look) {
					return
				}
			}
			t.Error("it never ended")
		})
	}
	readers.Wait()
	end := ends[0]
	if ends[1] != end || ends[2] != end {
		t.Errorf("they end at %v", ends)
	}
	if end < 20_000_000 {
		t.Errorf("it ends at %d", end)
	}
	if peak > before+4*api.ShellBufferBytes {
		t.Errorf("the heap grew from %d to %d bytes", before, peak)
	}
	if got := readFrom(t, c, id, end-100, 100); !strings.HasSuffix(got.Output, "\r\n=the end\r\nexit\r\n") {
		t.Errorf("it ends with %q", got.Output)
	}
}

func TestShellKeepsControlBytesAndReplacesOthers(t *testing.T) {
	c := serve(t, testConfig(t))
	id := shellOf(t, c, wire.OpenShellRequest{})
	typeIn(t, c, id, `stty -echo; exec printf '\n=\033[1m\377\360\237\230\200\342\202|\a\0end'`)
	got := awaitStopped(t, c, id).Output
	_, got, _ = strings.Cut(got, "\n=")
	if diff := cmp.Diff("\x1b[1m\ufffd😀\ufffd\ufffd|\a\x00end", got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A character whose bytes come one by one is never seen in part.
func TestShellSplitsNoCharacter(t *testing.T) {
	c := serve(t, testConfig(t))
	id := shellOf(t, c, wire.OpenShellRequest{})
	typeIn(t, c, id, `exec sh -c 'echo =; for b in 360 237 230 200 342 202 254; do printf "\\$b"; sleep 0.05; done'`)
	var got wire.ReadShellReply
	for got.State != wire.ShellStopped {
		got = readFrom(t, c, id, 0, 10_000)
		if strings.Contains(got.Output, "\ufffd") {
			t.Fatalf("seen in part: %q", got.Output)
		}
	}
	if !strings.HasSuffix(got.Output, "😀€") {
		t.Errorf("it ends as %q", got.Output)
	}
}

// installOne makes one secret all that there are.
func installOne(t *testing.T, c *wire.Client, name, value string) {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(value))}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, value); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	if _, err := c.InstallSecrets(t.Context(), &out, int64(out.Len())); err != nil {
		t.Fatal(err)
	}
}

func TestShellHidesSecrets(t *testing.T) {
	cfg := testConfig(t)
	dir := filepath.Join(cfg.RunDir, secretsName)
	c := serve(t, cfg)
	installOne(t, c, "TOKEN", "from-a-file-1\n")
	id := shellOf(t, c, wire.OpenShellRequest{
		Env: wire.LaxEnv{"GIVEN": "given-value", "FILES": dir}, RedactValues: wire.LaxStrings{"given-value", "given-value", ""},
	})
	typeIn(t, c, id, `echo "=1 $GIVEN"; cat $FILES/TOKEN; for c in given - val ue; do printf $c; sleep 0.1; done; echo; echo given-val; echo "=2"`)
	got := awaitOutput(t, c, id, "\n=2\r")
	_, got, _ = strings.Cut(got, "\n=1 ")
	if want := "[REDACTED]\r\n[REDACTED]\r\n[REDACTED]\r\ngiven-val\r\n=2\r\n"; !strings.HasPrefix(got, want) {
		t.Errorf("got %q", got)
	}
	installOne(t, c, "LATER", "xxxxxxxxxxxx")
	typeIn(t, c, id, `cat $FILES/LATER; echo; echo from-a-"file-1"; echo =3`)
	got = awaitOutput(t, c, id, "\n=3\r")
	for _, value := range []string{"xxxxxxxxxxxx", "\nfrom-a-file-1", "given-value"} {
		if strings.Contains(got, value) {
			t.Errorf("%q holds %q", got, value)
		}
	}
}

// A prompt that begins like a secret is seen at once, though more of it would be held.
func TestShellShowsPromptThatBeginsLikeSecret(t *testing.T) {
	s := printing(t)
	s.hide(redact.New("$ abcdef", "pass phrase"))
	_, _ = s.Write([]byte("pyro$ "))
	if !eventually(func() bool { return s.read(0, 100).Output == "pyro$ " }) {
		t.Errorf("got %q", s.read(0, 100).Output)
	}
	_, _ = s.Write([]byte("abcdef pass "))
	if got := s.read(0, 100).Output; got != "pyro$ "+api.RedactedText+" " {
		t.Errorf("got %q", got)
	}
	s.finish(status{})
	if got := s.read(0, 100).Output; got != "pyro$ "+api.RedactedText+" pass " {
		t.Errorf("at the end there is %q", got)
	}
}

func TestSecretValuesOfAHostileDirectory(t *testing.T) {
	cfg := testConfig(t)
	files := map[string]string{secretsName + "/DIR/x": "inside-a-directory", secretsName + "/OUT": "-> ../../workspace", secretsName + "/BIG": strings.Repeat("x", 1<<20)}
	tree(t, cfg.RunDir, files)
	values := secretValues(filepath.Join(cfg.RunDir, secretsName))
	if len(values) != 1 || len(values[0]) != api.MaxSecretBytes {
		t.Errorf("%d values", len(values))
	}
	if err := os.RemoveAll(filepath.Join(cfg.RunDir, secretsName)); err != nil {
		t.Fatal(err)
	}
	if values := secretValues(filepath.Join(cfg.RunDir, secretsName)); values != nil {
		t.Errorf("without a directory: %q", values)
	}
}

func attach(t *testing.T, c *wire.Client, req wire.AttachShellRequest) *wire.Stream {
	t.Helper()
	s, err := c.AttachShell(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// until reads a stream until it has sent text.
func until(t *testing.T, s *wire.Stream, text string) {
	t.Helper()
	var got strings.Builder
	for !strings.Contains(got.String(), text) {
		f, err := s.ReadFrame()
		if err != nil || f.Type != wire.FrameStdout {
			t.Fatalf("%q never came, but %q, %v", text, got.String(), err)
		}
		got.Write(f.Payload)
	}
}

func TestAttach(t *testing.T) {
	onEach(t, func(t *testing.T, _ Config, c *wire.Client) {
		id := shellOf(t, c, wire.OpenShellRequest{})
		typeIn(t, c, id, "echo =$((1 + 2))=")
		awaitOutput(t, c, id, "\n=3=")
		one := attach(t, c, wire.AttachShellRequest{ShellID: id, Cols: 90, Rows: 20})
		until(t, one, "\n=3=")
		two := attach(t, c, wire.AttachShellRequest{ShellID: id, Cursor: -1})
		send(t, two, wire.FrameStdin, []byte("stty size\n"))
		until(t, one, "\n20 90\r")
		send(t, one, wire.FrameResize, []byte(`{"cols":91,"rows":21}`))
		send(t, one, wire.FrameResize, []byte(`{"cols":-1}`))
		send(t, one, wire.FrameResize, []byte(`nonsense`))
		send(t, one, wire.FrameStdin, []byte("stty size\n"))
		until(t, two, "\n21 91\r")
		if err := one.Close(); err != nil {
			t.Fatal(err)
		}
		send(t, two, wire.FrameStdin, []byte("sleep 4070\n"))
		if !livesOn("sleep 4070") {
			t.Fatal("it never began")
		}
		send(t, two, wire.FrameStdin, []byte{3})
		if !eventually(func() bool {
			_, after, _ := strings.Cut(outputOf(t, c, id), "^C")
			return strings.Contains(after, "pyro$ ")
		}) {
			t.Fatal("it goes on")
		}
		send(t, two, wire.FrameStdin, []byte("echo =on; exit 5\n"))
		got, err := collect(t, two)
		if err != nil || got.Exit.Code != 5 || !strings.Contains(got.Stdout, "\n=on\r\n") {
			t.Errorf("got %+v, %v", got, err)
		}
		again, err := collect(t, attach(t, c, wire.AttachShellRequest{ShellID: id}))
		if err != nil || again.Exit.Code != 5 || !strings.Contains(again.Stdout, "\n=3=") || !strings.HasSuffix(again.Stdout, got.Stdout[len(got.Stdout)-10:]) {
			t.Errorf("afterwards: %+v, %v", again, err)
		}
	})
}

func TestAttachToNone(t *testing.T) {
	c := serve(t, testConfig(t))
	if _, err := collect(t, attach(t, c, wire.AttachShellRequest{ShellID: "none"})); !errors.Is(err, api.NotFound) {
		t.Errorf("got %v", err)
	}
	shellOf(t, c, wire.OpenShellRequest{})
	if _, err := collect(t, attach(t, c, wire.AttachShellRequest{ShellID: "s1", Cols: 1})); !errors.Is(err, api.Invalid) {
		t.Errorf("half a size: %v", err)
	}
}

// Somebody who reads slower than a shell prints gets all of it nevertheless.
func TestAttachedTerminalMissesNothing(t *testing.T) {
	const size = 12_000_000
	c := serve(t, testConfig(t))
	id := shellOf(t, c, wire.OpenShellRequest{})
	s := attach(t, c, wire.AttachShellRequest{ShellID: id})
	stuck := attach(t, c, wire.AttachShellRequest{ShellID: id}) // and who reads nothing holds up nobody for long
	typeIn(t, c, id, "stty -echo; exec sh -c 'head -c 12000000 /dev/zero | tr \"\\0\" x'")
	if n, missing := countX(t, s); n < size || missing {
		t.Errorf("%d came of %d", n, size)
	}
	if n, missing := countX(t, stuck); !missing {
		t.Errorf("the other got %d of %d, and is not told that some are missing", n, size)
	}
}

func TestClosedShellEndsAttachment(t *testing.T) {
	c := serve(t, testConfig(t))
	id := shellOf(t, c, wire.OpenShellRequest{})
	s := attach(t, c, wire.AttachShellRequest{ShellID: id})
	until(t, s, "pyro$ ")
	if _, err := c.CloseShell(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if got, err := collect(t, s); err != nil || got.Exit.Code != -1 {
		t.Errorf("got %+v, %v", got, err)
	}
}

// countX reads a stream to its end.
func countX(t *testing.T, s *wire.Stream) (n int, missing bool) {
	t.Helper()
	for {
		f, err := s.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if f.Type == wire.FrameExit {
			return n, missing
		}
		n += bytes.Count(f.Payload, []byte("x"))
		missing = missing || bytes.Contains(f.Payload, []byte(" characters are missing here]\r\n"))
	}
}
