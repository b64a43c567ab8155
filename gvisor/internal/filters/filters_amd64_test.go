package filters

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	sentry "gvisor.dev/gvisor/runsc/boot/filter"
	gofer "gvisor.dev/gvisor/runsc/fsgofer/filter"
)

func TestRegisterMakesGVisorFindThePrograms(t *testing.T) {
	Register()
	var found []string
	for _, name := range sentry.ListPrecompiled() {
		found = append(found, "sentry "+name)
	}
	for _, name := range gofer.ListPrecompiled() {
		found = append(found, "gofer "+name)
	}
	if len(found) != 3 {
		t.Errorf("gVisor finds %d programs, want 3", len(found))
	}
	slices.Sort(found)
	if diff := cmp.Diff(slices.Sorted(slices.Values(Keys())), found); diff != "" {
		t.Errorf("keys (-built in +found by gVisor):\n%s", diff)
	}
}
