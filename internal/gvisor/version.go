package gvisor

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

// versionTime bounds `pyro-runsc --version`, which takes some milliseconds.
const versionTime = 10 * time.Second

// Version asks the helper which gVisor it is, and refuses a program that is no
// pyro-runsc.
func (e *Engine) Version(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, versionTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, e.helper, "--version")
	cmd.Env = []string{}
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s --version: %w", e.helper, err)
	}
	name, version, ok := strings.Cut(strings.TrimSpace(string(out)), " ")
	if !ok || name != "pyro-runsc" || strings.ContainsAny(version, " \n") || len(version) > 100 {
		return "", &api.Error{
			Kind: api.Unsupported, Hint: "unset PYRO_RUNSC, or let it name a build of pyro-runsc",
			Err: fmt.Errorf("%s is no pyro-runsc: it calls itself %.40q", e.helper, out),
		}
	}
	return version, nil
}
