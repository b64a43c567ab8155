package archive

import "golang.org/x/sys/unix"

// searchFlags open a directory for going through it.
const searchFlags = unix.O_RDONLY | unix.O_DIRECTORY
