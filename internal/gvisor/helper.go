package gvisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

// helper is the program pyro-runsc. It is opened once, and everything that belongs
// to one engine runs that very file: what an upgrade puts in its place while a sandbox
// runs is of another version, and must neither save that one's disk nor give its name
// to it.
type helper struct {
	path string

	mu      sync.Mutex
	file    *os.File // closed when nobody knows the helper any more
	version string   // empty until it was asked
}

func newHelper(path string) *helper { return &helper{path: path} }

func (h *helper) open() (*os.File, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.file != nil {
		return h.file, nil
	}
	file, err := os.Open(h.path)
	if err != nil {
		return nil, err
	}
	h.file = file
	return file, nil
}

// versionTime bounds `pyro-runsc --version`, which takes some milliseconds.
const versionTime = 10 * time.Second

// Version asks the helper which gVisor it is, once, and refuses a program that is no
// pyro-runsc.
func (e *Engine) Version(ctx context.Context) (string, error) {
	h := e.helper
	h.mu.Lock()
	version := h.version
	h.mu.Unlock()
	if version != "" {
		return version, nil
	}
	version, err := h.ask(ctx)
	if err != nil {
		return "", err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.version = version
	return version, nil
}

func (h *helper) ask(ctx context.Context) (string, error) {
	self, err := h.open()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, versionTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/fd/3", "--version")
	cmd.Args[0] = "pyro-runsc"
	cmd.Env = []string{}
	cmd.ExtraFiles = []*os.File{self}
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s --version: %w", h.path, errors.Join(err, context.Cause(ctx)))
	}
	name, version, ok := strings.Cut(strings.TrimSpace(string(out)), " ")
	if !ok || name != "pyro-runsc" || strings.ContainsAny(version, " \n") || len(version) > 100 {
		return "", &api.Error{
			Kind: api.Unsupported, Hint: "unset PYRO_RUNSC, or let it name a build of pyro-runsc",
			Err: fmt.Errorf("%s is no pyro-runsc: it calls itself %.40q", h.path, out),
		}
	}
	return version, nil
}
