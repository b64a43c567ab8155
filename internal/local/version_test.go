package local

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/programs"
	"github.com/pyro-sandbox/pyro/internal/version"
)

// script is a program that answers to --version.
func script(t *testing.T, path, answer string) *string {
	t.Helper()
	program755(t, path, "#!/bin/sh\ncat <<'.'\n"+answer+"\n.\n")
	return &path
}

func TestVersion(t *testing.T) {
	lib := alone(t)
	agent := script(t, filepath.Join(lib, "pyro-agent"), "pyro-agent 1.2.3")
	runsc := script(t, filepath.Join(lib, "pyro-runsc"), "some other program")
	got, err := Version(t.Context())
	if err != nil || got.Version != version.String() || got.GVisor != nil {
		t.Fatalf("%+v, %v", got, err)
	}
	for i, p := range got.Programs {
		if p.Why != nil { // its words are for people
			got.Programs[i].Why = new(strings.SplitN(*p.Why, ":", 2)[0])
		}
	}
	want := []api.ProgramVersion{
		{Name: "pyro-agent", Version: new("1.2.3"), Path: agent},
		{Name: "pyro-gateway", Why: got.Programs[1].Why},
		{Name: "pyro-runsc", Path: runsc, Why: new(*runsc + " is no pyro-runsc")},
	}
	if diff := cmp.Diff(want, got.Programs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if why := got.Programs[1].Why; why == nil || !strings.Contains(*why, "pyro-gateway is not in") {
		t.Errorf("of the one that is missing it says %v", why)
	}
}

// A release says what it carries, but for what a variable puts in its place.
func TestVersionOfWhatIsCarried(t *testing.T) {
	lib := alone(t)
	path := script(t, filepath.Join(lib, "pyro-agent"), "pyro-agent 1.2.3")
	carried := &programs.Bundle{Index: programs.Index{Version: "4.5.6", GVisor: "v7"}}
	for name, want := range map[string]api.ProgramVersion{
		"pyro-agent":   {Name: "pyro-agent", Version: new("1.2.3"), Path: path},
		"pyro-gateway": {Name: "pyro-gateway", Version: new("4.5.6"), Carried: true},
		"pyro-runsc":   {Name: "pyro-runsc", Version: new("4.5.6"), Carried: true},
	} {
		got, gvisor := programVersion(t.Context(), name, carried)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if (gvisor == "v7") != (name == "pyro-runsc") {
			t.Errorf("%s has gVisor %q", name, gvisor)
		}
	}
	t.Setenv("PYRO_RUNSC", filepath.Join(lib, "none"))
	if got, _ := programVersion(t.Context(), "pyro-runsc", carried); got.Carried || got.Why == nil {
		t.Errorf("with another one asked for: %+v", got)
	}
}
