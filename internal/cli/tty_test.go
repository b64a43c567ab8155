package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/testgate"
)

// guestOf makes a fake guest that has a terminal. Each says its size and "ready"; then it
// answers keys, in capitals, until one of them is a q.
func guestOf(role string, fake *fakeClient) {
	play := func(ctx context.Context, stdin io.Reader, stdout io.Writer, size api.TerminalSize, sizes <-chan api.TerminalSize) error {
		_, _ = fmt.Fprintf(stdout, "%dx%d ready", size.Cols, size.Rows)
		switch role {
		case "fails":
			return errors.New("the guest is lost")
		case "panics":
			panic("a defect")
		}
		keys := make(chan byte)
		go func() {
			var key [1]byte
			for {
				if _, err := stdin.Read(key[:]); err != nil {
					return
				}
				keys <- key[0]
			}
		}()
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case size := <-sizes:
				_, _ = fmt.Fprintf(stdout, "%dx%d now", size.Cols, size.Rows)
			case key := <-keys:
				_, _ = fmt.Fprintf(stdout, "<%d>", key)
				if key == 'q' {
					return nil
				}
			}
		}
	}
	switch role {
	case "ends", "fails", "panics":
	default:
		return
	}
	fake.guest = func(ctx context.Context, p *fakeProcess) (int, error) {
		var none bytes.Buffer
		if p.Stdin == nil {
			p.Stdin = &none
		}
		return 7, play(ctx, p.Stdin, p.Stdout, *p.TTY, p.sizes)
	}
	fake.live.attach = func(ctx context.Context, with pyro.ShellAttachment) (*api.Shell, error) {
		if err := play(ctx, with.Stdin, with.Stdout, with.Size, with.Resize); err != nil {
			return nil, err
		}
		s := sampleShell()
		s.State, s.ExitCode = api.ShellStopped, new(7)
		return &s, nil
	}
}

// desk is a terminal at which a pyro with a fake guest runs.
type desk struct {
	t       *testing.T
	keys    *os.File // the other end of the terminal
	tty     *os.File
	before  unix.Termios
	process *exec.Cmd

	mu    sync.Mutex
	shown strings.Builder
	more  chan struct{}
}

func openTerminal(t *testing.T) (keys, tty *os.File) {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	testgate.Require(t, testgate.Terminal, err)
	t.Cleanup(func() { _ = keys.Close() })
	number, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tty.Close() })
	return keys, tty
}

func sitDown(t *testing.T, role string, args ...string) *desk {
	t.Helper()
	d := &desk{t: t, more: make(chan struct{}, 1)}
	d.keys, d.tty = openTerminal(t)
	d.resize(100, 40)
	d.before = d.modes()
	d.process = exec.Command(os.Args[0], args...)
	d.process.Env = append(os.Environ(), asPyro+"="+role, "TERM=vt52")
	d.process.Stdin, d.process.Stdout, d.process.Stderr = d.tty, d.tty, d.tty
	d.process.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := d.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.process.Process.Kill() })
	go func() { // ends when the terminal is closed
		buf := make([]byte, 4096)
		for {
			n, err := d.keys.Read(buf)
			d.mu.Lock()
			d.shown.Write(buf[:n])
			d.mu.Unlock()
			select {
			case d.more <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	}()
	return d
}

func (d *desk) modes() unix.Termios {
	d.t.Helper()
	modes, err := unix.IoctlGetTermios(int(d.tty.Fd()), unix.TCGETS)
	if err != nil {
		d.t.Fatal(err)
	}
	return *modes
}

func (d *desk) resize(cols, rows uint16) {
	d.t.Helper()
	if err := unix.IoctlSetWinsize(int(d.keys.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: cols, Row: rows}); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) screen() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.shown.String()
}

func (d *desk) await(text string) {
	d.t.Helper()
	patience := time.After(testPatience)
	for !strings.Contains(d.screen(), text) {
		select {
		case <-d.more:
		case <-patience:
			d.t.Fatalf("%q is not shown, but %q", text, d.screen())
		}
	}
}

func (d *desk) press(keys string) {
	d.t.Helper()
	if _, err := d.keys.WriteString(keys); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) signal(s os.Signal) {
	d.t.Helper()
	if err := d.process.Process.Signal(s); err != nil {
		d.t.Fatal(err)
	}
}

// leave waits for the end of pyro and returns its exit code.
func (d *desk) leave() int {
	d.t.Helper()
	stuck := time.AfterFunc(testPatience, func() { _ = d.process.Process.Kill() })
	defer stuck.Stop()
	_ = d.process.Wait()
	return d.process.ProcessState.ExitCode()
}

var (
	attachNew   = []string{"workspace", "shell", "attach", testID}
	attachThere = []string{"workspace", "shell", "attach", testID, testShell}
	execHere    = []string{"workspace", "exec", testID, "-it", "--", "bash"}
	runHere     = []string{"run", "host", "-it", "--", "bash"}
)

// TestTerminalIsRestored holds that the terminal is as it was, whatever happened.
func TestTerminalIsRestored(t *testing.T) {
	for name, c := range map[string]struct {
		role  string
		args  []string
		do    func(*desk)
		code  int
		shows string
	}{
		"exec ends":        {"ends", execHere, func(d *desk) { d.press("q") }, 7, "exit_code=7"},
		"run ends":         {"ends", runHere, func(d *desk) { d.press("q") }, 7, "exit_code=7"},
		"exec fails":       {"fails", execHere, nil, 1, "[error] the guest is lost"},
		"exec panics":      {"panics", execHere, nil, 2, "a defect"},
		"exec terminated":  {"ends", execHere, func(d *desk) { d.signal(unix.SIGTERM); d.await("once more"); d.signal(unix.SIGTERM) }, 143, "TERM sent"},
		"exec hung up":     {"ends", execHere, func(d *desk) { d.signal(unix.SIGHUP) }, 129, ""},
		"exec quit":        {"ends", execHere, func(d *desk) { d.signal(unix.SIGQUIT) }, 131, ""},
		"shell ends":       {"ends", attachNew, func(d *desk) { d.press("q") }, 7, "state=stopped"},
		"shell left":       {"ends", attachNew, func(d *desk) { d.press("\x10\x11") }, 0, "state=stopped"},
		"old shell ends":   {"ends", attachThere, func(d *desk) { d.press("q") }, 7, "state=stopped"},
		"old shell left":   {"ends", attachThere, func(d *desk) { d.press("\x10\x11") }, 0, "state=running"},
		"other keys":       {"ends", append([]string{"workspace", "shell", "attach", "--detach-keys", "ctrl-a,d"}, testID), func(d *desk) { d.press("\x01d") }, 0, "ctrl-a,d leaves"},
		"shell fails":      {"fails", attachNew, nil, 1, "[error] the guest is lost"},
		"shell panics":     {"panics", attachThere, nil, 2, "a defect"},
		"shell terminated": {"ends", attachNew, func(d *desk) { d.signal(unix.SIGTERM) }, 143, ""},
		"shell hung up":    {"ends", attachThere, func(d *desk) { d.signal(unix.SIGHUP) }, 129, ""},
		"shell as json":    {"ends", append([]string{"workspace", "shell", "attach", "--json"}, testID), func(d *desk) { d.press("q") }, 7, `"state": "stopped"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := sitDown(t, c.role, c.args...)
			if c.do != nil {
				d.await("100x40 ready")
				if modes := d.modes(); modes.Lflag&(unix.ICANON|unix.ECHO|unix.ISIG) != 0 {
					t.Errorf("the terminal is not raw: %+v", modes)
				}
				c.do(d)
			}
			if code := d.leave(); code != c.code {
				t.Errorf("exit code %d, want %d; shows %q", code, c.code, d.screen())
			}
			d.await(c.shows)
			if diff := cmp.Diff(d.before, d.modes()); diff != "" {
				t.Errorf("modes of the terminal (-before +after):\n%s", diff)
			}
		})
	}
}

func TestTerminalWithoutKeys(t *testing.T) {
	d := sitDown(t, "ends", "workspace", "exec", testID, "-t", "--", "top")
	d.await("100x40 ready")
	if diff := cmp.Diff(d.before, d.modes()); diff != "" {
		t.Errorf("without -i keys that send signals are ours (-before +after):\n%s", diff)
	}
	d.press("\x03") // the terminal makes it an interrupt
	d.await("INT sent to the command")
	d.press("\x03")
	if code := d.leave(); code != 130 {
		t.Errorf("exit code %d", code)
	}
}

func TestTerminalResizes(t *testing.T) {
	for name, args := range map[string][]string{"exec": execHere, "run": runHere, "shell": attachThere} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := sitDown(t, "ends", args...)
			d.await("100x40 ready")
			d.resize(81, 25)
			d.await("81x25 now")
			d.resize(82, 26)
			d.await("82x26 now")
			d.press("\x03\x1c\x1aq") // keys that send signals are the guest's
			d.await("<3><28><26><113>")
			if code := d.leave(); code != 7 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

// TestTerminalIsRawAgain holds that a pyro that was stopped and goes on finds the terminal
// as it needs it.
func TestTerminalIsRawAgain(t *testing.T) {
	d := sitDown(t, "ends", execHere...)
	d.await("100x40 ready")
	if err := unix.IoctlSetTermios(int(d.tty.Fd()), unix.TCSETS, &d.before); err != nil { // as a shell does
		t.Fatal(err)
	}
	d.signal(unix.SIGCONT)
	d.await("100x40 now")
	if modes := d.modes(); modes.Lflag&unix.ICANON != 0 {
		t.Errorf("the terminal is not raw: %+v", modes)
	}
	d.press("q")
	d.leave()
	if diff := cmp.Diff(d.before, d.modes()); diff != "" {
		t.Errorf("modes of the terminal (-before +after):\n%s", diff)
	}
}

func TestExecOnATerminalAsksForOne(t *testing.T) {
	_, tty := openTerminal(t)
	for name, c := range map[string]struct {
		args    []string
		timeout time.Duration
	}{
		"without a timeout": {[]string{"-it"}, oneYear}, "with a timeout": {[]string{"-ti", "--timeout-seconds", "30"}, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{tty: tty, stdin: tty, environ: []string{"A=b", "TERM=vt52"}}
			args := append([]string{"workspace", "exec", testID}, c.args...)
			if code := s.run(t, append(args, "bash")...); code != 0 {
				t.Fatalf("exit code %d: %s", code, s.err.String())
			}
			ran := s.fake.ran[0]
			if ran.TTY == nil || ran.Stdin == nil || ran.Timeout != c.timeout {
				t.Errorf("ran %+v", ran)
			}
			if diff := cmp.Diff([]string{"TERM=vt52"}, ran.Env); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseKeys(t *testing.T) {
	for text, want := range map[string]string{
		"ctrl-p,ctrl-q": "\x10\x11", "ctrl-p ctrl-q": "\x10\x11", "CTRL-P": "\x10", "ctrl-],d": "\x1dd", "ctrl-@": "\x00", "ctrl-\\": "\x1c",
		"~,.": "~.", "none": "",
	} {
		got, err := parseKeys(text)
		if err != nil || string(got) != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", " ", ",", "ctrl-", "ctrl-1", "ctrl-pq", "ab", "é", "\x01"} {
		if keys, err := parseKeys(text); !errors.Is(err, api.Invalid) {
			t.Errorf("%q: %q, %v", text, keys, err)
		}
	}
}

func TestKeyboard(t *testing.T) {
	for name, c := range map[string]struct {
		keys  string
		typed []string // one read each
		want  string
		left  bool
	}{
		"nothing special":      {"pq", []string{"abc", "d"}, "abcd", false},
		"leaves":               {"pq", []string{"abpq", "never"}, "ab", true},
		"leaves in two reads":  {"pq", []string{"abp", "q"}, "ab", true},
		"only begins":          {"pq", []string{"p", "x"}, "px", false},
		"begins at the end":    {"pq", []string{"xp"}, "xp", false},
		"begins twice":         {"pq", []string{"pp", "q"}, "p", true},
		"begins within":        {"aab", []string{"aaab"}, "a", true},
		"begins within, later": {"abac", []string{"ababac"}, "ab", true},
		"never":                {"", []string{"\x10\x11"}, "\x10\x11", false},
		"one key":              {"q", []string{"xq"}, "x", true},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKeyboard(&reads{c.typed}, []byte(c.keys), nil)
			got, err := io.ReadAll(k)
			if err != nil || string(got) != c.want {
				t.Errorf("got %q, %v, want %q", got, err, c.want)
			}
			select {
			case <-k.left:
				if !c.left {
					t.Error("it was left")
				}
			default:
				if c.left {
					t.Error("it was not left")
				}
			}
		})
	}
}

// reads returns each of its texts by a Read of its own.
type reads struct{ texts []string }

func (r *reads) Read(p []byte) (int, error) {
	if len(r.texts) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.texts[0])
	if r.texts[0] = r.texts[0][n:]; r.texts[0] == "" {
		r.texts = r.texts[1:]
	}
	return n, nil
}

// FuzzKeyboard compares what is passed on with a search in all that was typed.
func FuzzKeyboard(f *testing.F) {
	f.Add("aab", "aaab", 2)
	f.Add("pq", "xppq", 1)
	f.Fuzz(func(t *testing.T, keys, typed string, piece int) {
		if keys == "" || piece < 1 {
			return
		}
		var texts []string
		for rest := typed; rest != ""; {
			n := min(piece, len(rest))
			texts, rest = append(texts, rest[:n]), rest[n:]
		}
		want, _, left := strings.Cut(typed, keys)
		if !left {
			want = typed
		}
		got, err := io.ReadAll(newKeyboard(&reads{texts}, []byte(keys), nil))
		if err != nil || string(got) != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	})
}
