package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/redact"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// A count of lines shows no part of a secret of several.
func TestServiceLogHidesSecretsBeforeLinesAreCounted(t *testing.T) {
	l, err := newServiceLog(filepath.Join(t.TempDir(), "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	l.hide(redact.New("first line\nsecond line\nthird line\n"))
	for _, piece := range []string{"start first", " line\nsecond ", "line\nthird l", "ine", "\nend fir"} {
		if n, err := l.Write([]byte(piece)); n != len(piece) || err != nil {
			t.Fatal(n, err)
		}
	}
	l.flush()
	for lines, want := range map[int]string{1: "end fir", 2: "start [REDACTED]\nend fir", 9: "start [REDACTED]\nend fir"} {
		if got, _ := l.tail(lines); got != want {
			t.Errorf("%d lines: %q", lines, got)
		}
	}
}

// What a service prints last is kept while it runs, though it begins like a secret.
func TestServiceLogShowsWhatBeginsLikeASecret(t *testing.T) {
	l, err := newServiceLog(filepath.Join(t.TempDir(), "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	l.hide(redact.New("> secret"))
	_, _ = l.Write([]byte("ready> "))
	if !eventually(func() bool { got, _ := l.tail(1); return got == "ready> " }) {
		got, _ := l.tail(1)
		t.Errorf("got %q", got)
	}
}

// A secret that was taken away stays hidden in what begins afterwards: others may have it.
func TestSecretsThatWereStayHidden(t *testing.T) {
	c := serve(t, testConfig(t))
	installOne(t, c, "OLD", "value-that-was")
	installOne(t, c, "NEW", "value-that-is")
	id := shellOf(t, c, wire.OpenShellRequest{})
	typeIn(t, c, id, `stty -echo; echo =1 value-that-was value-that-is; echo "=2"`)
	if got := awaitOutput(t, c, id, "\n=2\r"); !strings.Contains(got, "\n=1 [REDACTED] [REDACTED]\r") {
		t.Errorf("got %q", got)
	}
}

// A start that is refused leaves the log of the service that runs where it is.
func TestRefusedStartLeavesTheLog(t *testing.T) {
	cfg := testConfig(t)
	c := serve(t, cfg)
	begin(t, c, wire.StartServiceRequest{ServiceName: "x", Command: "echo kept; exec sleep 6140"})
	path := filepath.Join(cfg.RunDir, servicesName, "x.stdout")
	kept := func() bool { text, _ := os.ReadFile(path); return string(text) == "kept\n" }
	if !eventually(kept) {
		t.Fatal("it is not there")
	}
	_, err := c.StartService(t.Context(), wire.StartServiceRequest{ServiceName: "x", Command: "true", Cwd: "/workspace", ReadyTimeoutSeconds: 1, ReadyIntervalMS: 1})
	if api.KindOf(err) != api.Conflict || !kept() {
		t.Errorf("%v; the log is there: %v", err, kept())
	}
}

// Many shells share what is kept of them.
func TestShellsShareMemory(t *testing.T) {
	var all sessions
	full := []byte(strings.Repeat("x", api.ShellBufferBytes))
	open := func(i int) *session {
		s := printing(t)
		s.id = fmt.Sprint(i)
		if err := all.enter(s, func() error { return nil }); err != nil {
			t.Fatal(err)
		}
		_, _ = s.Write(full)
		return s
	}
	held := func() (sum int) {
		for _, s := range all.byID {
			sum += s.out.size
		}
		return sum
	}
	first := open(0)
	if first.out.size != api.ShellBufferBytes {
		t.Errorf("one shell keeps %d bytes", first.out.size)
	}
	for i := 1; i < api.MaxShells; i++ {
		if open(i); held() > shellMemory {
			t.Fatalf("%d shells keep %d bytes", i+1, held())
		}
	}
	if got := first.read(0, 1); got.SkippedChars == 0 || !got.Truncated {
		t.Errorf("what the first has lost is not told: %+v", got)
	}
	for i := 1; i < api.MaxShells; i++ {
		if _, err := all.take(wire.LaxString(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	if _, _ = first.Write(full); first.out.size != api.ShellBufferBytes {
		t.Errorf("alone again it keeps %d bytes", first.out.size)
	}
}

// Logs share the run directory with the secrets, and leave room there.
func TestServiceLogsShareTheirSpace(t *testing.T) {
	cfg := testConfig(t)
	c := serve(t, cfg)
	begin(t, c, wire.StartServiceRequest{ServiceName: "s0", Command: `head -c 9000000 /dev/zero | tr '\0' x; head -c 9000000 /dev/zero | tr '\0' y >&2; echo end`})
	awaitEnd(t, c, "s0")
	for n := 1; n < 8; n++ {
		begin(t, c, wire.StartServiceRequest{ServiceName: wire.LaxString(fmt.Sprint("s", n)), Command: `head -c 9000000 /dev/zero | tr '\0' x; echo end`})
		awaitEnd(t, c, fmt.Sprint("s", n))
	}
	var size int64
	files, _ := filepath.Glob(filepath.Join(cfg.RunDir, servicesName, "*"))
	for _, file := range files {
		if info, err := os.Stat(file); err == nil {
			size += info.Size()
		}
	}
	if size > logSpace {
		t.Errorf("%d bytes in %d files", size, len(files))
	}
	for n := range 8 {
		one := wire.LaxInt(1)
		logs, err := c.LogsService(t.Context(), fmt.Sprint("s", n), &one)
		if err != nil || !logs.Truncated || !strings.HasSuffix(logs.Stdout, "xend\n") {
			t.Errorf("s%d: %d bytes, truncated %v, %v", n, len(logs.Stdout), logs.Truncated, err)
		}
	}
}
