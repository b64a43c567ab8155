package engine

// WriteTeller is the optional power of a Sandbox to tell that files were not written to.
type WriteTeller interface {
	// TellsWrites reports whether every write to a file of the sandbox since its start, by
	// whichever way, shows in what its agent says of it: a regular file with the device,
	// inode, size and time of change that it had has the content that it had, unless that
	// time is 0.
	//
	// Linux does not tell: a write to a page of a shared mapping that is dirty already
	// changes no time.
	TellsWrites() bool
}
