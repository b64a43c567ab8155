package archive

import "golang.org/x/sys/unix"

// searchFlags open a directory for going through it only, which needs no right to
// list it.
const searchFlags = unix.O_PATH | unix.O_DIRECTORY
