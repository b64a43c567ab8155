package engine

import "context"

// DiskKeeper is the optional power of an Engine whose sandboxes can save their
// writable layer, and which starts sandboxes from that (Spec.Disk). Its sandboxes are
// DiskSnapshotters.
type DiskKeeper interface {
	// DiskFormat names what this engine, in the version that is installed, writes and
	// can read. An image of another format must not be given to it.
	DiskFormat(ctx context.Context) (string, error)
}

// DiskSnapshotter is the optional power of a Sandbox to save its writable layer: all
// that was written in the guest, inside /workspace and elsewhere, but neither
// processes nor what lies in memory (/run, /dev/shm).
type DiskSnapshotter interface {
	// SaveDisk writes the layer as it is at one moment into dir, an empty directory of
	// the caller's; the sandbox goes on. Nothing in dir tells whether it is whole:
	// after an error the caller removes it, and else takes digests of all the regular
	// files that lie in it, and nothing but those does. They are not synced.
	//
	// The modes of dir and of the files become what Spec.Disk needs and must stay: a
	// sandbox with another user id may read them. What keeps others out is a closed
	// directory above. One save waits for another. A ctx that ends gives up the save,
	// and the sandbox goes on.
	SaveDisk(ctx context.Context, dir string) error

	// DiskStamp is equal to an earlier one as long as the content of files has not
	// changed in between. Changes of names and modes alone may go unseen.
	DiskStamp() (string, error)
}
