package wiretest

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/internal/wire"
)

const sample = `About something.
agent: yes
-- workspace/a/b.txt --
text
-- call --
exec
{"command":"x"}
-- host --
{"command":"x"}
-- guest quoted --
"{\"duration_ms\":12}" * 1
"\x00" * 3
`

func parse(t *testing.T, text string) *Case {
	t.Helper()
	c, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestParse(t *testing.T) {
	c := parse(t, sample)
	if !c.Agent || c.Call != "exec" || string(c.Args) != `{"command":"x"}` || string(c.Workspace["a/b.txt"]) != "text\n" {
		t.Errorf("case %+v", c)
	}
	want := []Turn{{Host, []byte("{\"command\":\"x\"}\n")}, {Guest, []byte("{\"duration_ms\":12}\x00\x00\x00")}}
	if diff := cmp.Diff(want, c.Turns); diff != "" {
		t.Errorf("turns (-want +got):\n%s", diff)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"unknown section":    "-- gast --\nx\n",
		"no literal":         "-- host quoted --\nx\n",
		"words behind":       "-- host quoted --\n\"x\" and\n",
		"negative count":     "-- host quoted --\n\"x\" * -1\n",
		"count of no number": "-- host quoted --\n\"x\" * y\n",
	} {
		t.Run(name, func(t *testing.T) {
			if c, err := Parse([]byte(text)); err == nil {
				t.Errorf("accepted as %+v", c)
			}
		})
	}
}

func TestQuote(t *testing.T) {
	for _, data := range []string{"", "a", "a\nb", "\x00\x00", strings.Repeat("\x00", 600), "a" + strings.Repeat("\x00", 9) + "\n\xff\"\\" + strings.Repeat("\x00", 8)} {
		got, err := unquote(quote([]byte(data)))
		if err != nil || string(got) != data {
			t.Errorf("%q became %q, error %v", data, got, err)
		}
	}
}

// talk lets one case play the host and another the guest.
func talk(host, guest *Case) (hostErr, guestErr error) {
	a, b := net.Pipe()
	served := make(chan error, 1)
	go func() { served <- guest.Serve(b) }() // ends with the last turn, or when Play has closed a
	return host.Play(a), <-served
}

func TestPlay(t *testing.T) {
	stream := func(frames ...string) string {
		var b bytes.Buffer
		for _, f := range frames {
			_ = wire.WriteFrame(&b, wire.FrameType(f[0]), []byte(f[1:]))
		}
		return "-- host --\n{}\n-- guest quoted --\n" + string(quote(b.Bytes()))
	}
	for name, tc := range map[string]struct {
		want, got string
		ok        bool
	}{
		"same":              {"-- host --\n{}\n-- guest --\n{\"a\":1}\n", "-- host --\n{}\n-- guest --\n{\"a\":1}\n", true},
		"other duration":    {"-- host --\n{}\n-- guest --\n{\"duration_ms\":1}\n", "-- host --\n{}\n-- guest --\n{\"duration_ms\":234}\n", true},
		"other value":       {"-- host --\n{}\n-- guest --\n{\"a\":1}\n", "-- host --\n{}\n-- guest --\n{\"a\":2}\n", false},
		"no answer":         {"-- host --\n{}\n-- guest --\n{\"a\":1}\n", "-- host --\n{}\n", false},
		"frames cut else":   {stream("oab", "oc", `x{"duration_us":1}`), stream("oa", "obc", `x{"duration_us":22}`), true},
		"frames of another": {stream("oab", "x{}"), stream("eab", "x{}"), false},
		"frames in order":   {stream("oa", "eb", "x{}"), stream("eb", "oa", "x{}"), false},
		"frame is missing":  {stream("oa", "x{}"), stream("oa"), false},
	} {
		t.Run(name, func(t *testing.T) {
			err, served := talk(parse(t, tc.want), parse(t, tc.got))
			if (err == nil) != tc.ok || served != nil {
				t.Errorf("host %v, guest %v", err, served)
			}
		})
	}
}

func TestServeComparesTheRequest(t *testing.T) {
	_, err := talk(parse(t, "-- host --\n{\"a\":1}\n-- guest --\n{}\n"), parse(t, "-- host --\n{\"a\":2}\n-- guest --\n{}\n"))
	if err == nil || !strings.Contains(err.Error(), "turn 0") {
		t.Errorf("another request was served: %v", err)
	}
}

func TestRecordAndRewrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.txtar")
	if err := os.WriteFile(file, []byte("About.\n-- host quoted --\n\"old\\n\"\n-- guest --\n{}\n-- result --\nold\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := Load(t, filepath.Dir(file))[0]
	a, b := net.Pipe()
	go func() { // ends when the guest has closed
		_, _ = io.WriteString(a, "{\"archive_size\":3}\n\x00\x01\x02")
		_, _ = io.Copy(io.Discard, a)
	}()
	sent, err := c.Record(b)
	if err != nil {
		t.Fatal(err)
	}
	c.Rewrite(t, sent, []byte("new\n"))
	again := Load(t, filepath.Dir(file))[0]
	if got := string(again.Turns[0].Data); got != "{\"archive_size\":3}\n\x00\x01\x02" || string(again.Result) != "new\n" {
		t.Errorf("rewritten to %q and result %q", got, again.Result)
	}
}

func TestLay(t *testing.T) {
	root := t.TempDir()
	parse(t, sample).Lay(t, root)
	if got, err := os.ReadFile(filepath.Join(root, "a", "b.txt")); err != nil || string(got) != "text\n" {
		t.Errorf("file %q, error %v", got, err)
	}
}
