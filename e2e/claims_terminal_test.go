package e2e

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pyro-sandbox/pyro/internal/testgate"
	"golang.org/x/sys/unix"
)

// sequences are what makes terminals do something. Each has text around it.
func sequences() []string {
	list := []string{
		"\x1b]52;c;cm0gLXJmIC8=\a", "\x1b]52;c;?\x1b\\", // clipboard, written and asked for
		"\x1b]8;;file:///etc/passwd\x1b\\click\x1b]8;;\x1b\\", // link
		"\x1b]0;title\a", "\x1b]2;title\x1b\\", "\x1b[21t", "\x1b[20t", "\x1b]l", // title, and its report
		"\x1bP$qm\x1b\\", "\x1bP+q544e\x1b\\", "\x1bP1$r0m\x1b\\", // DECRQSS, XTGETTCAP
		"\x1b[c", "\x1b[>c", "\x1b[=c", "\x1b[5n", "\x1b[6n", "\x1b[?15n", "\x1bZ", "\x05", // reports
		"\x1b]10;?\a", "\x1b]11;?\a", "\x1b]4;1;?\a", "\x1b]50;?\a", "\x1b]777;notify;a;b\a", "\x1b]9;note\a", "\x1b]99;;x\x1b\\",
		"\x1b]1337;File=inline=1:AAAA\a", "\x1b]1337;SetUserVar=x=eQ==\a", "\x1b]133;A\a", "\x1b]7;file://h/tmp\a", "\x1b_Gf=24;AAAA\x1b\\", "\x1bPq#0~\x1b\\",
		"\x1b[2J", "\x1b[3J", "\x1b[H", "\x1b[1A\x1b[2Kover", "\x1b[1;1Hover", "\x1b[s\x1b[u", "\x1b7\x1b8", "\x1b[999D", "\x1b[1T", "\x1b[1L",
		"\x1b[?1049h", "\x1b[?1000h", "\x1b[?1003h", "\x1b[?2004h", "\x1b[?25l", "\x1b[?5h", "\x1b[4h", "\x1b[20h", "\x1b[?7l", "\x1b[!p",
		"\x1bc", "\x1b#8", "\x1b(0lqk\x1b(B", "\x0elqk\x0f", "\x1bD", "\x1bM", "\x1bE", "\x1bH", "\x1b=", "\x1b>", "\x1bN", "\x1b^x\x1b\\", "\x1bXx\x1b\\",
		"\x1b[31mred\x1b[0m", "\x1b[8mhidden\x1b[0m", "\x1b[38;5;1m", "\x1b[10;20r", "\x1b[5i", "\x1b[4i", "\x1b[8;1;1t", "\x1b[2;1;1t", "\x1b[200~", "\x1b[1 q",
		"\a", "\b\b\b", "\v", "\f", "\x00", "\x7f", "\x18", "\x1a", "hide\rshow", "\r", "a\r\r\nb",
		"\u009b31m", "\u009d0;t\u009c", "\u0090q\u009c", "\u0085", "\x9b2J", "\x9d0;t\x9c", "\x90q\x9c", "\x85", "\xc2", "\xed\xa0\x80", "\xff\xfe", "\xc0\x9b",
		"\u202ereversed", "\u202a\u202b\u202d\u202c", "\u2066\u2067\u2068\u2069", "\u200e\u200f\u061c", "\u2028\u2029", "\u206a\u206f",
		"\x1b", "\x1b[", "\x1b]", "\x1bP", "\x1b[31", "\x1b]52;c;", "\x1b[\x1b]0;t\a", "\x1b\x1b[2J", "\x1b[1\a2m",
	}
	for c := range 0x20 { // every control character by itself
		if c != '\n' && c != '\t' {
			list = append(list, fmt.Sprintf("%c", c))
		}
	}
	return list
}

// terminal returns a pseudo-terminal that changes nothing of what is written to it,
// and a function that ends it and returns what arrived.
func terminal(t *testing.T) (tty *os.File, arrived func() []byte) {
	t.Helper()
	pty, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	testgate.Require(t, testgate.Terminal, err)
	t.Cleanup(func() { _ = pty.Close() })
	if err := unix.IoctlSetPointerInt(int(pty.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(pty.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0)
	testgate.Require(t, testgate.Terminal, err)
	mode, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	mode.Oflag &^= unix.OPOST
	mode.Lflag &^= unix.ECHO | unix.ICANON
	if err := unix.IoctlSetTermios(int(tty.Fd()), unix.TCSETS, mode); err != nil {
		t.Fatal(err)
	}
	all := make(chan []byte, 1)
	go func() { // ends with EIO, when nobody has the terminal open
		data, _ := io.ReadAll(pty)
		all <- data
	}()
	return tty, func() []byte {
		_ = tty.Close()
		return <-all
	}
}

// active describes the first thing in a text that a terminal would act upon.
func active(text []byte) string {
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		ending := r == '\r' && bytes.HasPrefix(text[i+1:], []byte("\n"))
		switch {
		case r == '\n', r == '\t', ending:
		case r == utf8.RuneError && n == 1, r < 0x20, r >= 0x7f && r <= 0x9f,
			r == 0x061c, r == 0x200e, r == 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x206f:
			return fmt.Sprintf("%U in %q", r, text[max(0, i-30):min(len(text), i+30)])
		}
		i += n
	}
	return ""
}

// TestClaimC14OutputCannotDriveTheTerminal prints all sequences in every way in which
// a guest's words reach a terminal.
func TestClaimC14OutputCannotDriveTheTerminal(t *testing.T) {
	s := newSiege(t)
	list := sequences()
	if len(list) < 80 {
		t.Fatalf("only %d sequences", len(list))
	}
	text := "first\n"
	for i, seq := range list {
		text += fmt.Sprintf("%d:%s:\n", i, seq)
	}
	s.write(t, "seed/sequences", text+"last\n")
	s.besiege(t)
	evil := strings.ReplaceAll(strings.Join(list, ""), "\x00", "")
	both := "cat sequences; cat sequences >&2"
	for name, tc := range map[string]struct {
		args []string
		says string
	}{
		"output":           {[]string{"workspace", "exec", s.id, "--", "sh", "-c", both}, "last"},
		"output, in bytes": {[]string{"workspace", "exec", s.id, "--", "sh", "-c", "dd if=sequences bs=7 2>&1"}, "last"},
		"logs":             {[]string{"workspace", "logs", s.id}, "last"},
		"no such program":  {[]string{"workspace", "exec", s.id, "--", evil}, ""},
		"arguments":        {[]string{"workspace", "exec", s.id, "--", "printf", "%s", evil}, ""},
		"names of files":   {[]string{"workspace", "exec", s.id, "--", "sh", "-c", `touch "$(printf 'a\033]0;t\007\302\233b')"; printf '%s\n' *; ls -b nothing*`}, "a"},
		"logs of both":     {[]string{"workspace", "logs", s.id, "--last", "3"}, "#"},
		"status":           {[]string{"workspace", "status", s.id}, s.id},
		"list":             {[]string{"workspace", "list"}, s.id},
		"an error":         {[]string{"workspace", "status", evil}, "error"},
		"a name":           {[]string{"workspace", "update", s.id, "--name", "n\x1b]0;t\a\u202e"}, ""},
		"a label":          {[]string{"workspace", "update", s.id, "--label", "k=\x1b[2J"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			tty, arrived := terminal(t)
			cmd := s.command(t, s.pyro, tc.args...)
			if strings.HasPrefix(name, "logs") { // the first of all, perhaps
				s.inside(t, "sh", "-c", both)
			}
			cmd.Stdout, cmd.Stderr = tty, tty
			_ = cmd.Run() // many are meant to fail
			got := arrived()
			if len(got) == 0 || !bytes.Contains(got, []byte(tc.says)) {
				t.Errorf("nothing was shown: %q", got)
			}
			if what := active(got); what != "" {
				t.Errorf("the terminal gets %s", what)
			}
		})
	}
	raw := s.command(t, s.pyro, "workspace", "exec", s.id, "--", "cat", "sequences")
	if out, err := raw.Output(); err != nil || string(out) != text+"last\n" {
		t.Errorf("what is no terminal gets other bytes: %d of %d, %v", len(out), len(text)+5, err)
	}
}
