// Package local is the composition root of what works on this machine only: it
// finds the helpers, makes the engines, and hands them to the supervisor and to
// doctor. It is the one place that names every engine. Command lines and clients
// live elsewhere; cmd/pyro gives them the functions of this package.
package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/config"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/gvisor"
	"github.com/pyro-sandbox/pyro/internal/hostcompat"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/supervisor"
	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/version"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// clientFD is where a supervisor finds the client that started it.
const clientFD = 3

// publicMask is the umask of what makes sandboxes: their users have to read files of
// root's. What is nobody's business gets a mode that says so.
const publicMask = 0o022

// sweepTime bounds the search for what killed supervisors left.
const sweepTime = 30 * time.Second

// Supervise is `pyro supervise ID`: the life of one workspace. It is started by a
// client, never by a person.
func Supervise(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New("usage: pyro supervise ID (started by pyro itself)")
	}
	client, err := inherited(clientFD)
	if err != nil {
		return fmt.Errorf("supervise: descriptor %d: %w", clientFD, err)
	}
	sys.Umask(publicMask)
	if err := sys.NoCoreFiles(); err != nil { // secrets are in its memory, and guests in that of its children
		return errors.Join(err, supervisor.Refuse(client, err))
	}
	cfg, err := configure(ctx, args[0])
	if err != nil {
		return errors.Join(err, supervisor.Refuse(client, err))
	}
	cfg.Client = client
	// Orphans of the sandbox come to us instead of init: gone can be seen.
	if err := sys.SetSubreaper(); err != nil {
		return errors.Join(err, supervisor.Refuse(client, err))
	}
	return supervisor.Run(ctx, cfg)
}

func configure(ctx context.Context, id string) (supervisor.Config, error) {
	if err := api.CheckID(id); err != nil {
		return supervisor.Config{}, err
	}
	st, err := openStore()
	if err != nil {
		return supervisor.Config{}, err
	}
	agent, runsc, err := finder{cache: st.Dirs().Cache}.find(ctx)
	if err != nil {
		return supervisor.Config{}, err
	}
	settings, err := config.Load(os.Getenv)
	if err != nil {
		return supervisor.Config{}, err
	}
	return supervisor.Config{
		ID: id, Store: st, Agent: agent, Engines: engines(settings, runsc, agentCopies(st)),
		Policy: settings.Policy(), SaveEvery: settings.CheckpointInterval(), Version: version.String(), Now: time.Now,
		Settle: func(dir string) error {
			go sweep(st) // ends with sweepTime, or with the process
			return settle(dir)
		},
	}, nil
}

// engines are all that there are, the one that the configuration names first. That
// which isolates nothing comes last, and is used only with consent.
func engines(settings config.Config, runsc, agents string) []engine.Engine {
	all := []engine.Engine{gvisor.New(runsc, agents), hostcompat.New()}
	first := settings.Engine()
	slices.SortStableFunc(all, func(a, b engine.Engine) int {
		switch first {
		case a.Info().Name:
			return -1
		case b.Info().Name:
			return 1
		}
		return 0
	})
	return all
}

// sweep frees what killed supervisors left, while the client is busy with its own
// workspace. What resists will be met again by who comes next.
func sweep(st *store.Store) {
	ctx, cancel := context.WithTimeout(context.Background(), sweepTime)
	defer cancel()
	_ = workspace.Sweep(ctx, st)
}

// settle lets go of what belongs to the client: its working directory, and the
// output that it reads while it waits. What is said later goes into the
// workspace's log: a crash, and hardly anything else.
func settle(dir string) error {
	file, err := os.OpenFile(filepath.Join(dir, "supervisor.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(os.Chdir("/"), sys.RedirectOutput(file), file.Close())
}

func openStore() (*store.Store, error) {
	dirs, err := store.FindDirs(os.Getenv, os.Geteuid())
	if err != nil {
		return nil, err
	}
	return store.Open(dirs)
}

// inherited turns a descriptor that the parent passed into a connection.
func inherited(fd uintptr) (net.Conn, error) {
	f := os.NewFile(fd, "client")
	if f == nil {
		return nil, errors.New("it is not open: this command is started by pyro itself")
	}
	defer func() { _ = f.Close() }() // FileConn works on a duplicate
	return net.FileConn(f)
}
