// Package licenses has the text that comes with pyro's programs: its own license,
// and those of every module that is linked into any of them, on any platform of a
// release. It is generated from the module cache and checked in, so that a change of
// a license is seen in review. It says nothing about what only tests or tools need.
package licenses

import _ "embed" // for Text

// Text is what `pyro version --licenses` prints.
//
//go:generate go run ./gen text third-party.txt
//go:embed third-party.txt
var Text string
