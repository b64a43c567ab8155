//go:build !release

package programs

import "io/fs"

// A build without the tag release carries no programs.
const (
	AreCarried = false // whether this pyro carries its programs
	carriedDir = "."
)

var embedded fs.FS
