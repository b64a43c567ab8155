//go:build release

package programs

import "embed"

// tools/release.sh writes the directory before it builds pyro with this tag.
const (
	AreCarried = true // whether this pyro carries its programs
	carriedDir = "release/amd64"
)

//go:embed release/amd64
var embedded embed.FS
