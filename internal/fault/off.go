//go:build !faultpoint

package fault

// Hit does nothing in this build.
func Hit(string) {}

// Error returns nil in this build.
func Error(string) error { return nil }
