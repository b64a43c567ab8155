package patch_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/internal/patch"
)

// noise does not compress, and is no text.
func noise(size int) string {
	data := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data) // never fails
	return "\x00" + string(data)
}

func TestBinaryFilesThatAreMostlyTheSameAreDeltas(t *testing.T) {
	needGit(t)
	long := noise(200_000)
	for name, test := range map[string]struct {
		old, new string
		delta    bool
	}{
		"appended":              {long, long + "more", true},
		"put before":            {long, "more" + long, true},
		"in the middle":         {long, long[:70_000] + "other" + long[70_005:], true},
		"longer in the middle":  {long, long[:70_000] + noise(1000) + long[70_000:], true},
		"taken from the end":    {long, long[:131_070], true},
		"taken from the middle": {long, long[:100] + long[65_636:], true},
		"ends that overlap":     {"\x00" + strings.Repeat("a", 100), "\x00" + strings.Repeat("a", 101), true},
		"and the other way":     {"\x00" + strings.Repeat("a", 101), "\x00" + strings.Repeat("a", 100), true},
		"a byte":                {"\x00", "\x00\x00", true},
		"another":               {long, noise(100) + "x" + long[100_000:] + noise(150_000), false},
		"emptied":               {long, "", false},
		"filled":                {"", long, false},
	} {
		t.Run(name, func(t *testing.T) {
			old, new := tree{"x": file(test.old)}, tree{"x": file(test.new)}
			made := makePatch(t, old, new)
			if got := bytes.Contains(made, []byte("\ndelta ")); got != test.delta {
				t.Errorf("a delta: %v; %d bytes of patch", got, len(made))
			}
			changes, err := patch.Plan(made, old, patch.DefaultLimits)
			if err != nil {
				t.Fatal(err)
			}
			if got := old.applied(changes)["x"].Content; got != test.new {
				t.Errorf("we make %d bytes of it, want %d", len(got), len(test.new))
			}
			dir := t.TempDir()
			if err := old.write(dir); err != nil {
				t.Fatal(err)
			}
			for _, step := range []struct {
				want    tree
				options []string
			}{{new, nil}, {old, []string{"--reverse"}}} {
				if _, err := git(t, dir, made, append([]string{"apply"}, step.options...)...); err != nil {
					t.Fatal(err)
				}
				got, err := readTree(dir)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(step.want, got); diff != "" {
					t.Errorf("git %q made another tree", step.options)
				}
			}
		})
	}
}

// TestShortContentOfADelta has a file that has fewer bytes than was told.
func TestShortContentOfADelta(t *testing.T) {
	for name, pair := range map[string][2]patch.Side{
		"old": {patch.FileAt(0o644, strings.NewReader("\x00short"), patch.MaxText+1), patch.FileAt(0o644, strings.NewReader("\x00shor"), patch.MaxText+2)},
		"new": {patch.FileAt(0o644, zeroAt{}, patch.MaxText+1), patch.FileAt(0o644, strings.NewReader("\x00\x00"), patch.MaxText+2)},
	} {
		t.Run(name, func(t *testing.T) {
			var m patch.Maker
			d, err := m.Compare("x", pair[0], pair[1])
			if err == nil {
				err = d.WriteGit(new(bytes.Buffer))
			}
			if err == nil {
				t.Error("it was not told")
			}
		})
	}
}
