package engine

import "context"

// MemoryKeeper is the optional power of an Engine whose sandboxes can save their
// memory, processes and disk together, and which starts sandboxes from that
// (Spec.Memory). Its sandboxes are MemorySnapshotters.
type MemoryKeeper interface {
	// MemoryFormat names what this engine, in the version that is installed, writes and
	// can read. An image of another format must not be given to it.
	MemoryFormat(ctx context.Context) (string, error)
}

// MemorySnapshotter is the optional power of a Sandbox to save all that it is at one
// moment: its processes, their memory, and the writable layer.
type MemorySnapshotter interface {
	// SaveMemory writes the sandbox into dir, an empty directory of the caller's; the
	// sandbox goes on. The image has everything that is in memory, secrets of the guest
	// included. Connections to the agent that are open are cut off in whatever is started
	// from it: the caller sees to it that there are none that matter. What DiskSnapshotter
	// says of dir, of modes, digests, errors and ctx is true here as well.
	SaveMemory(ctx context.Context, dir string) error
}
