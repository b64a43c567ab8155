package agent

import (
	"archive/tar"
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// frame is one frame as it goes over the wire.
func frame(t testing.TB, kind wire.FrameType, payload []byte) string {
	t.Helper()
	var out bytes.Buffer
	if err := wire.WriteFrame(&out, kind, payload); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestPushIsAllOrNothing(t *testing.T) {
	whole := tarOf(t, tar.Header{Name: "d/", Typeflag: tar.TypeDir, Mode: 0o700}, tar.Header{Name: "d/f", Mode: 0o600, Size: 5000})
	data := func(b []byte) string { return frame(t, wire.FrameData, b) }
	end := frame(t, wire.FrameEnd, nil)
	for name, tt := range map[string]struct {
		frames string
		kind   api.Kind
		text   string
	}{
		"nothing":                   {"", api.Canceled, "connection"},
		"cut before the last frame": {data(whole), api.Canceled, "connection"},
		"cut in a frame":            {data(whole[:700]) + data(whole[700:])[:99], api.Canceled, "connection"},
		"cut in a head":             {data(whole) + end[:3], api.Canceled, "connection"},
		"host gives up":             {data(whole) + frame(t, wire.FrameFail, []byte(`{"error":"no such file"}`)), api.Canceled, "no such file"},
		"host gives up in the middle": {
			data(whole[:700]) + frame(t, wire.FrameFail, []byte("\xff{{")) + data(whole[700:]) + end, api.Canceled, "gave up",
		},
		"end in the middle":        {data(whole[:700]) + end + data(whole[700:]), api.Invalid, "unexpected EOF"},
		"end at once":              {end, api.Invalid, "unexpected EOF"},
		"end with a payload":       {data(whole) + frame(t, wire.FrameEnd, []byte("x")), api.Invalid, "frame"},
		"frame of a command":       {data(whole) + frame(t, wire.FrameStdin, nil) + end, api.Invalid, "frame"},
		"frame of another type":    {"\x00\x00\x00\x00\x00" + data(whole) + end, api.Invalid, "frame"},
		"frame that is too long":   {"d\x00\x10\x00\x01" + string(whole), api.Invalid, "announces"},
		"no frames":                {string(whole), api.Invalid, "frame"},
		"no archive":               {data([]byte("not a tar")) + end, api.Invalid, "archive"},
		"compressed":               {data([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03")) + end, api.Invalid, "archive"},
		"second archive behind it": {data(whole) + data(whole) + end, api.Invalid, "after its end"},
		"name that leads out":      {data(tarOf(t, tar.Header{Name: "a"}, tar.Header{Name: "../x"})) + end, api.Denied, "outside"},
		"device": {
			data(tarOf(t, tar.Header{Name: "a"}, tar.Header{Name: "dev", Typeflag: tar.TypeChar})) + end, api.Unsupported, "dev",
		},
		"through its own link": {
			data(tarOf(t, tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: ".."}, tar.Header{Name: "l/x"})) + end, api.Denied, "l",
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t)
			tree(t, cfg.Workspace, map[string]string{"d/f": "f", "g": "g"})
			before := seen(t, cfg.Workspace)
			f := failure(t, talk(t, newAgent(cfg), []byte(`{"action":"push_tree"}`+"\n"+tt.frames)))
			if f.Kind != string(tt.kind) || !strings.Contains(f.Error, tt.text) {
				t.Errorf("reply %+v, want %q about %q", f, tt.kind, tt.text)
			}
			if diff := cmp.Diff(before, seen(t, cfg.Workspace)); diff != "" {
				t.Errorf("the workspace changed (-before +after):\n%s", diff)
			}
			noStage(t, cfg)
		})
	}
}

func TestPushInManyFrames(t *testing.T) {
	whole := tarOf(t, tar.Header{Name: "f", Mode: 0o600, Size: 900})
	var request strings.Builder
	request.WriteString(`{"action":"push_tree"}` + "\n")
	for _, b := range whole {
		request.WriteString(frame(t, wire.FrameData, []byte{b}) + frame(t, wire.FrameData, nil))
	}
	request.WriteString(frame(t, wire.FrameEnd, nil) + "what comes behind it is not read")
	onEach(t, func(t *testing.T, cfg Config, c *wire.Client) {
		want := `{"destination":"/workspace","entry_count":1,"bytes_written":900}` + "\n"
		if got := ask(t, c, request.String()); string(got) != want {
			t.Errorf("reply %q, want %q", got, want)
		}
	})
}

// endless is no archive.
type endless struct{}

func (endless) Read(b []byte) (int, error) { return copy(b, strings.Repeat("x", len(b))), nil }

// A refusal reaches a host that is still sending, however much that is.
func TestPushIsRefusedEarly(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, c *wire.Client) {
		tree(t, cfg.Workspace, map[string]string{"f": "f"})
		for _, to := range []string{"f", "../x", "dir"} { // the last fails by what is sent
			if _, err := c.PushTree(t.Context(), to, endless{}); !errors.Is(err, api.Invalid) {
				t.Errorf("%s: %v", to, err)
			}
		}
		noStage(t, cfg)
	})
}
