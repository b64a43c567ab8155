// Package engine is the contract between the domain and whatever runs a sandbox.
//
// Vocabulary. An engine is a way of running sandboxes (gVisor, Firecracker, …); a
// sandbox is one running instance of a workspace; the agent is pyro's program
// inside it. A Spec says what is wanted and is pure data; Start makes it exist.
//
// Life of a sandbox. Start returns when the agent has answered its first hello, or
// fails and leaves nothing behind. Dial may then be called any number of times and
// from any goroutine. The sandbox ends by itself (its PID 1 ends) or by Stop; in
// both cases Wait returns, and no process of it is left. Directories and cgroups
// stand in the ledger; its owner frees them.
//
// The package holds no implementation; package enginetest has the suite that every
// engine passes, and a fake that is one of them.
package engine

import (
	"context"
	"net"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/store"
)

// Engine runs sandboxes. It holds no state between calls that matters: whatever a
// sandbox needs to be cleaned up after a crash stands in its ledger.
type Engine interface {
	// Info says what the engine is called and how strong its wall is.
	Info() Info

	// Start makes a sandbox and waits for its agent. Every resource is entered in
	// the ledger before it is acquired. When it fails, or ctx ends before the agent
	// has answered, no process is left; the rest is in the ledger. Afterwards ctx
	// has no meaning for the sandbox. An error says which step failed on this
	// machine, found by trying it, and hints at what to do.
	Start(ctx context.Context, spec Spec, ledger Ledger) (Sandbox, error)
}

// Sandbox is one running instance. Its methods may be called concurrently.
type Sandbox interface {
	// Dial opens a new connection to the agent, for one request. The caller closes
	// it. After the sandbox has ended it fails with api.Unavailable.
	Dial(ctx context.Context) (net.Conn, error)

	// Wait returns once the sandbox has ended and all of its processes are gone, or
	// when ctx ends. It may be called many times and returns the same Exit.
	Wait(ctx context.Context) (Exit, error)

	// Stop ends the sandbox: it asks the agent, then terminates, then kills. It
	// returns when all processes are gone. A second call is harmless. When ctx ends
	// it stops asking and kills at once; with a ctx that has ended it never asks.
	Stop(ctx context.Context) error

	// Limits says whether the Spec's limits are enforced.
	Limits() api.Limits
}

// Ledger records what a sandbox is about to acquire, so that a reaper can free it
// when nobody else is left to do so.
type Ledger interface {
	// Acquire returns when the entry would survive the death of this process.
	Acquire(store.Resource) error
}

// Info is what is always true of an engine.
type Info struct {
	Name      string            `json:"name"`
	Isolation string            `json:"isolation"` // sentry, microvm or none
	Mode      api.ExecutionMode `json:"mode"`      // what its sandboxes report
}

// EnvironmentHost is the environment made of the machine's own /usr.
const EnvironmentHost = "host"

// Spec is what is wanted of a sandbox. Paths are absolute.
type Spec struct {
	ID          string // workspace id
	Environment string // EnvironmentHost; images later
	VCPUs       int
	MemMiB      int
	DiskMiB     int // size of the writable layer
	PIDs        int // processes in the guest
	UID         int // on the host, of everything in the sandbox; for callers without root their own

	Dir   string // sandbox directory: made by Start, 0700 of the sandbox's uid; the ledger frees it
	Run   string // existing run directory of the workspace, short enough for a socket's path
	Agent string // the static pyro-agent

	// Disk is a directory that DiskSnapshotter.SaveDisk filled: the writable layer
	// starts as that was. Empty: the layer starts empty. It is only read.
	Disk string

	// Whole gives the agent the root of the guest in place of /workspace, so that it can
	// be asked about all of a disk. No program of the guest is to be run then.
	Whole bool

	// Memory is a directory that MemorySnapshotter.SaveMemory filled, of a sandbox with
	// the same Spec but for ID, UID and paths: processes and disk go on as they were. It
	// is only read. Disk must be empty then.
	Memory string
}

// Exit is how a sandbox ended.
type Exit struct {
	Code   int    // PID 1's status; 128 plus the signal's number where one ended it
	Reason string // "" where it ended as asked; else EndedByOOM, EndedByLoss, …
}

// Why a sandbox ended without being asked to.
const (
	EndedByOOM  = "oom"          // the kernel killed it at its memory limit
	EndedByLoss = "sandbox_lost" // a process of it was killed or crashed
)
