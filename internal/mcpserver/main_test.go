package mcpserver

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/enginetest"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/supervisor"
)

// envBoxes is where the test binary, as `pyro supervise ID`, has the files of its
// sandboxes: those of the fake engine, the real agent on a temporary directory.
const envBoxes = "PYRO_TEST_BOXES"

func TestMain(m *testing.M) {
	if boxes := os.Getenv(envBoxes); boxes != "" && len(os.Args) == 3 && os.Args[1] == "supervise" {
		if err := supervise(os.Args[2], boxes); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func supervise(id, boxes string) error {
	file := os.NewFile(3, "client")
	client, err := net.FileConn(file)
	if err != nil {
		return err
	}
	_ = file.Close()
	dirs, err := store.FindDirs(os.Getenv, os.Geteuid())
	if err != nil {
		return err
	}
	st, err := store.Open(dirs)
	if err != nil {
		return err
	}
	return supervisor.Run(context.Background(), supervisor.Config{
		ID: id, Store: st, Client: client, Engines: []engine.Engine{enginetest.NewFakeIn(boxes)},
		Policy: api.DefaultPolicy, Version: "test", Now: time.Now,
	})
}

// place is a client whose workspaces are gone with the test.
type place struct {
	client *pyro.Client
	calls  int // of open
}

func (p *place) open() (*pyro.Client, error) {
	p.calls++
	return p.client, nil
}

func newPlace(t *testing.T) *place {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	short, err := os.MkdirTemp("", "pyro") // sockets have short names
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(short) })
	client, err := pyro.Open(&pyro.Options{
		Binary: self, StateDir: filepath.Join(short, "s"), RunDir: filepath.Join(short, "r"), CacheDir: filepath.Join(short, "c"),
		Env: append(os.Environ(), envBoxes+"="+t.TempDir()),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		list, err := client.List(ctx)
		if err != nil {
			t.Error(err)
			return
		}
		for _, w := range list.Workspaces {
			if _, err := client.Delete(ctx, w.WorkspaceID); err != nil {
				t.Error(err)
			}
		}
	})
	return &place{client: client}
}

// connect serves a client of the library over a pair of pipes.
func connect(t *testing.T, o Options, client *mcp.ClientOptions) *mcp.ClientSession {
	t.Helper()
	server, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	here, there := mcp.NewInMemoryTransports()
	if _, err := server.mcp.Connect(t.Context(), there, nil); err != nil {
		t.Fatal(err)
	}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, client).Connect(t.Context(), here, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}
