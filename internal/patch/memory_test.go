package patch_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pyro-sandbox/pyro/internal/patch"
)

// Lstat, Read and List make a tree in memory one that patches are planned against.
func (t tree) Lstat(path string) (patch.Info, error) {
	if n, is := t[path]; is {
		mode := uint32(0o644)
		if n.Exec {
			mode = 0o755
		}
		return patch.Info{Kind: n.Kind, Mode: mode, Size: int64(len(n.Content))}, nil
	}
	for at := range t {
		if strings.HasPrefix(at, path+"/") {
			return patch.Info{Kind: patch.Directory, Mode: 0o755}, nil
		}
	}
	return patch.Info{}, nil
}

func (t tree) Read(path string) ([]byte, error) { return []byte(t[path].Content), nil }

func (t tree) List(path string) ([]string, error) {
	names := map[string]bool{}
	for at := range t {
		if rest, below := strings.CutPrefix(at, path+"/"); below {
			name, _, _ := strings.Cut(rest, "/")
			names[name] = true
		}
	}
	var all []string
	for name := range names {
		all = append(all, name)
	}
	return all, nil
}

// applied is the tree after the changes: deletes first, as Plan says.
func (t tree) applied(changes []patch.Change) tree {
	after := maps.Clone(t)
	for _, c := range changes {
		if c.Status == patch.Deleted {
			delete(after, c.Path)
		}
	}
	for _, c := range changes {
		if c.Status != patch.Deleted {
			after[c.Path] = node{Kind: c.Kind, Exec: c.Kind == patch.File && c.Mode&0o100 != 0, Content: string(c.Content)}
		}
	}
	return after
}

func TestPlanTakesWhatIsMade(t *testing.T) {
	for seed := range uint64(rounds(t, 300)) {
		old, new := pair(seed)
		made := makePatch(t, old, new)
		if len(made) == 0 {
			continue
		}
		changes, err := patch.Plan(made, old, patch.DefaultLimits)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, made)
		}
		if diff := cmp.Diff(new, old.applied(changes), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("seed %d: the plan makes another tree (-want +got):\n%s", seed, diff)
		}
		for _, c := range changes {
			if want := statusOf(old, new, c.Path); c.Status != want {
				t.Errorf("seed %d: %q is told as %s, want %s", seed, c.Path, c.Status, want)
			}
		}
	}
}

func statusOf(old, new tree, path string) patch.Status {
	before, was := old[path]
	after, is := new[path]
	switch {
	case !was:
		return patch.Added
	case !is:
		return patch.Deleted
	case before.Kind != after.Kind:
		return patch.TypeChanged
	default:
		return patch.Modified
	}
}
