package cli

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
)

// versioned runs `pyro version` of an installation.
func versioned(t *testing.T, programs func(context.Context) (*api.Version, error), args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	a := &app{Env: Env{
		Args: append([]string{"version"}, args...), Stdin: forbidden{t}, Stdout: &out, Stderr: &errs,
		Version: "1.2.3", Programs: programs, Licenses: "all rights\n",
	}}
	a.open, a.terminal = newFake().open, isTerminal
	return a.run(t.Context()), out.String(), errs.String()
}

func installation(context.Context) (*api.Version, error) {
	return &api.Version{
		Version: "1.2.3", Go: "go1.99", Platform: "linux/amd64", GVisor: text("v5"),
		Programs: []api.ProgramVersion{
			{Name: "pyro-agent", Version: text("1.2.3"), Carried: true},
			{Name: "pyro-gateway", Why: text("it is \x1b[31mgone")},
			{Name: "pyro-runsc", Version: text("v5"), Path: text("/lib/pyro-runsc")},
		},
	}, nil
}

func TestVersionNamesAllPrograms(t *testing.T) {
	code, out, errs := versioned(t, installation)
	want := `pyro 1.2.3
gVisor v5
pyro-agent 1.2.3, in pyro itself
pyro-gateway unknown: it is gone
pyro-runsc v5, /lib/pyro-runsc
go1.99 linux/amd64
`
	if code != 0 || out != want || errs != "" {
		t.Errorf("%d, %s%s; want %s", code, out, errs, want)
	}
}

func TestVersionAsJSON(t *testing.T) {
	code, out, errs := versioned(t, installation, "--json")
	if code != 0 || !strings.Contains(out, `"version": "1.2.3"`) || !strings.Contains(out, `"gvisor": "v5"`) || errs != "" {
		t.Errorf("%d, %s%s", code, out, errs)
	}
}

func TestVersionPrintsLicenses(t *testing.T) {
	if code, out, errs := versioned(t, installation, "--licenses"); code != 0 || out != "all rights\n" || errs != "" {
		t.Errorf("%d, %s%s", code, out, errs)
	}
	if code, out, _ := versioned(t, installation, "--licenses", "--json"); code != 2 || strings.Contains(out, "all rights") {
		t.Errorf("%d, %s", code, out)
	}
}

func TestVersionThatCannotBeSaid(t *testing.T) {
	broken := func(context.Context) (*api.Version, error) {
		return nil, &api.Error{Kind: api.Internal, Hint: "install it anew", Err: errors.New("index.json: broken")}
	}
	if code, out, errs := versioned(t, broken); code != 1 || out != "" || !strings.Contains(errs, "[hint] install it anew") {
		t.Errorf("%d, %s%s", code, out, errs)
	}
}
