package cli

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// serving runs `pyro serve` with a server that is told to take callers, and ends.
func serving(t *testing.T, stdin io.Reader, args ...string) (asked *ServeRequest, code int, stdout, stderr string) {
	t.Helper()
	var out, errs output
	code = Run(t.Context(), Env{
		Args: append([]string{"serve"}, args...), Stdin: stdin, Stdout: &out, Stderr: &errs,
		ServeAPI: func(ctx context.Context, s ServeRequest, ready func(url, madeUp string) error) error {
			asked = &s
			madeUp := ""
			if strings.HasPrefix(s.Listen, "127") {
				madeUp = "made-up"
			}
			if err := ready("unix:///s", madeUp); err != nil || !s.Private {
				return err
			}
			<-ctx.Done() // the end of stdin
			return nil
		},
	})
	return asked, code, out.String(), errs.String()
}

func TestServeIsAskedWhatWasTyped(t *testing.T) {
	for name, c := range map[string]struct {
		args   []string
		want   *ServeRequest // nil: it is refused
		stdout string
		stderr string
	}{
		"nothing":      {nil, &ServeRequest{Rate: DefaultRate}, "", "listening on unix:///s\n"},
		"JSON":         {[]string{"--json"}, &ServeRequest{Rate: DefaultRate}, "{\"url\":\"unix:///s\"}\n", ""},
		"private":      {[]string{"--private", "--json"}, &ServeRequest{Rate: DefaultRate, Private: true, Quiet: true}, "{\"url\":\"unix:///s\"}\n", ""},
		"a token":      {[]string{"--listen", "127.0.0.1:0"}, &ServeRequest{Listen: "127.0.0.1:0", Rate: DefaultRate}, "", "token: made-up\nlistening on unix:///s\n"},
		"its JSON":     {[]string{"--listen", "127.0.0.1:0", "--json"}, &ServeRequest{Listen: "127.0.0.1:0", Rate: DefaultRate}, "{\"token\":\"made-up\",\"url\":\"unix:///s\"}\n", ""},
		"all":          {[]string{"--listen=x:1", "--token-file=t", "--tls-cert=c", "--tls-key=k", "--rate=7", "--log-format=json", "--no-mcp"}, &ServeRequest{Listen: "x:1", TokenFile: "t", TLSCert: "c", TLSKey: "k", Rate: 7, LogJSON: true, NoMCP: true}, "", "listening on unix:///s\n"},
		"no limit":     {[]string{"--rate=-1"}, &ServeRequest{Rate: -1}, "", "listening on unix:///s\n"},
		"rate 0":       {[]string{"--rate=0"}, nil, "", ""},
		"no key":       {[]string{"--tls-cert=c"}, nil, "", ""},
		"two places":   {[]string{"--private", "--listen=x:1"}, nil, "", ""},
		"a wrong form": {[]string{"--log-format=xml"}, nil, "", ""},
		"another URL":  {[]string{"--url=unix:///s"}, nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			asked, code, stdout, stderr := serving(t, strings.NewReader(""), c.args...)
			if diff := cmp.Diff(c.want, asked); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
			if c.want == nil {
				if code != 2 || stderr == "" {
					t.Errorf("exit code %d, %q", code, stderr)
				}
				return
			}
			if code != 0 || stdout != c.stdout || stderr != c.stderr {
				t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
			}
		})
	}
}
