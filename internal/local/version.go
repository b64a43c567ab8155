package local

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/programs"
	"github.com/pyro-sandbox/pyro/internal/version"
)

// names are the programs that pyro starts.
var names = []string{"pyro-agent", "pyro-gateway", gvisorProgram}

const (
	gvisorProgram = "pyro-runsc"
	gvisorModule  = "gvisor.dev/gvisor"

	// askTime bounds `PROGRAM --version`, which takes some milliseconds.
	askTime = 5 * time.Second
	// maxAnswer is far more than a version has.
	maxAnswer = 200
)

// Version says which pyro this is, and which programs it would start a sandbox with.
// It unpacks nothing. A program that is missing or says nothing is in the answer
// with the reason.
func Version(ctx context.Context) (*api.Version, error) {
	v := &api.Version{Version: version.String(), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	carried, err := programs.Carried()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		p, gvisor := programVersion(ctx, name, carried)
		v.Programs = append(v.Programs, p)
		if gvisor != "" {
			v.GVisor = &gvisor
		}
	}
	return v, ctx.Err()
}

// programVersion looks where a sandbox would be started from. The second result is
// the version of gVisor that is in it, if any.
func programVersion(ctx context.Context, name string, carried *programs.Bundle) (api.ProgramVersion, string) {
	p := api.ProgramVersion{Name: name}
	path, err := installed(name)
	if _, missing := errors.AsType[notInstalled](err); missing && carried != nil {
		p.Version, p.Carried = &carried.Version, true
		if name != gvisorProgram {
			return p, ""
		}
		return p, carried.GVisor
	}
	if err != nil {
		p.Why = optional(err.Error())
		return p, ""
	}
	p.Path = &path
	if p.Version, err = ask(ctx, name, path); err != nil {
		p.Why = optional(err.Error())
	}
	return p, gvisorIn(path)
}

// ask runs a program of ours for what it says of itself.
func ask(ctx context.Context, name, path string) (*string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.Env = []string{}
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s --version: %w", path, errors.Join(err, context.Cause(ctx)))
	}
	said, answer, ok := strings.Cut(strings.TrimSpace(string(out)), " ")
	if !ok || said != name || len(answer) > maxAnswer || strings.ContainsAny(answer, " \n") {
		return nil, fmt.Errorf("%s is no %s: it calls itself %.40q", path, name, out)
	}
	return &answer, nil
}

// gvisorIn reads which gVisor a program was built with.
func gvisorIn(path string) string {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return ""
	}
	for _, dep := range info.Deps {
		if dep.Path == gvisorModule {
			return dep.Version
		}
	}
	return ""
}
