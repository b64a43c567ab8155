package stage_test

import (
	"os"
	"strings"
	"testing"
)

// needNamespaces skips the test in the words of the probe where no user and mount
// namespaces can be made, or fails it where PYRO_REQUIRE says that they can. It does
// what package testgate of the main module does; importing that one would bind
// gVisor's dependencies to the main module's versions.
func needNamespaces(t *testing.T, probeErr error) {
	t.Helper()
	if probeErr == nil {
		return
	}
	for name := range strings.SplitSeq(os.Getenv("PYRO_REQUIRE"), ",") {
		if name = strings.TrimSpace(name); name == "gvisor" || name == "userns" {
			t.Fatalf("%s is required by PYRO_REQUIRE: no user and mount namespace: %v", name, probeErr)
		}
	}
	t.Skipf("no user and mount namespace: %v", probeErr)
}
