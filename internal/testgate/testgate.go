// Package testgate is the one place where a test may be skipped. A skip has to
// be earned: by a probe that says what the machine lacks. On a machine that is
// known to have it, PYRO_REQUIRE turns the skip into a failure, so a suite that
// quietly stopped running is noticed. The package probes nothing itself, and
// only tests import it.
package testgate

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// Env names the environment variable with the capabilities that must be there:
// a comma list such as "gvisor,vsock".
const Env = "PYRO_REQUIRE"

// Capability is something a machine may lack.
type Capability string

// What a test may need of its machine.
const (
	GVisor   Capability = "gvisor"   // a gVisor sandbox boots
	KVM      Capability = "kvm"      // /dev/kvm can be opened and used
	Vsock    Capability = "vsock"    // AF_VSOCK sockets work on loopback
	Root     Capability = "root"     // the test runs as uid 0
	NonRoot  Capability = "nonroot"  // the test runs as an ordinary user
	UserNS   Capability = "userns"   // user namespaces can be made
	Cgroup   Capability = "cgroup"   // a cgroup can be made and limited
	Network  Capability = "network"  // the internet is reachable
	Terminal Capability = "terminal" // pseudo-terminals can be opened
	Tool     Capability = "tool"     // a program that the test compares with is installed
	Hosts    Capability = "hosts"    // the chat hosts that pyro is tested with are installed
	NoFollow Capability = "nofollow" // open(2) with O_NOFOLLOW never follows a link that is just swapped in
)

var known = []Capability{GVisor, KVM, Vsock, Root, NonRoot, UserNS, Cgroup, Network, Terminal, Tool, Hosts, NoFollow}

// Require returns if probeErr is nil, that is, if the machine has what the test
// needs. Otherwise it skips the test with the words of the probe, or fails it if
// PYRO_REQUIRE names the capability. A name in PYRO_REQUIRE that means nothing
// fails the test too, since it would require nothing.
func Require(t testing.TB, c Capability, probeErr error) {
	t.Helper()
	required := parse(os.Getenv(Env))
	for _, r := range required {
		if !slices.Contains(known, r) {
			t.Fatalf("%s: unknown capability %q, want some of %q", Env, r, known)
		}
	}
	switch {
	case probeErr == nil:
	case slices.Contains(required, c):
		t.Fatalf("%s is required by %s: %v", c, Env, probeErr)
	default:
		t.Skipf("%s: %v", c, probeErr)
	}
}

// parse splits a comma list, forgiving spaces and empty items.
func parse(list string) []Capability {
	var caps []Capability
	for item := range strings.SplitSeq(list, ",") {
		if item = strings.TrimSpace(item); item != "" {
			caps = append(caps, Capability(item))
		}
	}
	return caps
}
