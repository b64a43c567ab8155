package plain

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCheckpointHasTheFlagsOfTheSandbox(t *testing.T) {
	started := []string{"--stage", "/b/stage.json", "--root=/r", "--network=none", "run", "-bundle", "/b", "id"}
	got, err := checkpointArguments(started, "id")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"--root=/r", "--network=none", "fscheckpoint", "-image-path", "/proc/self/fd/254", "-leave-running", "id"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range [][]string{nil, {"run"}, {"--root=/r", "x", "run"}, {"--stage", "/b/stage.json", "exec"}} {
		if got, err := checkpointArguments(bad, "id"); err == nil {
			t.Errorf("%q became %q, want an error", bad, got)
		}
	}
}
