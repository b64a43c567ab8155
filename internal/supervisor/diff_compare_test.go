package supervisor

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// nodesOf reads one node a line: kind letter, path, mode in octal, size or target, and of
// a file what it holds.
func nodesOf(lines ...string) []node {
	var all []node
	for _, line := range lines {
		e := entryOf(line)
		n := node{path: string(e.Path), kind: archive.Kind(e.Kind), mode: e.Mode, size: e.Size, target: string(e.Target)}
		n.digest = sha256.Sum256(fmt.Appendf(nil, "content %d", e.Size))
		all = append(all, n)
	}
	return inWalkOrder(all)
}

// entryOf reads "f path mode size", "d path mode" "l path target" or "s path".
func entryOf(line string) *wire.WalkEntry {
	words := strings.Fields(line)
	e := &wire.WalkEntry{Path: []byte(words[1]), Device: 1, Inode: uint64(len(words[1])), CTime: 7}
	switch words[0] {
	case "f":
		e.Kind = string(archive.KindFile)
		_, _ = fmt.Sscanf(words[2], "%o", &e.Mode)
		_, _ = fmt.Sscanf(words[3], "%d", &e.Size)
	case "d":
		e.Kind = string(archive.KindDirectory)
		_, _ = fmt.Sscanf(words[2], "%o", &e.Mode)
	case "l":
		e.Kind, e.Mode, e.Target = string(archive.KindSymlink), 0o777, []byte(words[2])
	default:
		e.Kind = wire.Special
	}
	return e
}

// comparedWith compares, and says each change in a line.
func comparedWith(old []node, now []string, known func(int, *fileStamp) verdict, paths ...string) (*comparison, []string) {
	c := &comparison{old: old, wanted: within(paths), known: known}
	for _, line := range now {
		c.see(entryOf(line))
	}
	c.end()
	var said []string
	for _, d := range c.changes {
		was, is := "-", "-"
		if d.old != nil {
			was = string(d.old.kind)
		}
		if d.now != nil {
			is = string(d.now.kind)
		}
		said = append(said, fmt.Sprintf("%s %s %s %s", d.path, was, is, []string{"known", "hash", "fetch"}[d.need]))
	}
	return c, said
}

func TestComparison(t *testing.T) {
	for name, tt := range map[string]struct {
		old, now, want []string
		paths          []string
		specials       []string
	}{
		"nothing": {},
		"the same": {
			old: []string{"d d 755", "f d/f 644 3", "l d/l x", "d e 755"}, now: []string{"d d 755", "f d/f 644 3", "l d/l x", "d e 755"},
			want: []string{"d/f file file hash"},
		},
		"added": {
			now:  []string{"d d 755", "f d/f 644 3", "l d/l x", "d e 755"},
			want: []string{"d/f - file fetch", "d/l - symlink known", "e - directory known"},
		},
		"deleted": {
			old:  []string{"d d 755", "f d/f 644 3", "l d/l x", "d e 755"},
			want: []string{"d/f file - known", "d/l symlink - known", "e directory - known"},
		},
		"another size":               {old: []string{"f f 644 3"}, now: []string{"f f 644 4"}, want: []string{"f file file fetch"}},
		"another target":             {old: []string{"l l x"}, now: []string{"l l y"}, want: []string{"l symlink symlink known"}},
		"the mode of a directory":    {old: []string{"d d 755", "f d/f 644 3"}, now: []string{"d d 700", "f d/f 644 3"}, want: []string{"d/f file file hash"}},
		"the mode of an empty one":   {old: []string{"d d 755"}, now: []string{"d d 700"}, want: []string{"d directory directory known"}},
		"file to link":               {old: []string{"f f 644 3"}, now: []string{"l f x"}, want: []string{"f file symlink known"}},
		"link to file":               {old: []string{"l f x"}, now: []string{"f f 644 3"}, want: []string{"f symlink file fetch"}},
		"file to empty directory":    {old: []string{"f f 644 3"}, now: []string{"d f 755"}, want: []string{"f file directory known"}},
		"empty directory to file":    {old: []string{"d f 755"}, now: []string{"f f 644 3"}, want: []string{"f directory file fetch"}},
		"file to directory":          {old: []string{"f f 644 3"}, now: []string{"d f 755", "f f/a 644 1"}, want: []string{"f file - known", "f/a - file fetch"}},
		"directory to file":          {old: []string{"d f 755", "f f/a 644 1"}, now: []string{"f f 644 3"}, want: []string{"f - file fetch", "f/a file - known"}},
		"an empty directory fills":   {old: []string{"d d 755"}, now: []string{"d d 755", "f d/f 644 1"}, want: []string{"d/f - file fetch"}},
		"a directory becomes empty":  {old: []string{"d d 755", "f d/f 644 1"}, now: []string{"d d 755"}, want: []string{"d - directory known", "d/f file - known"}},
		"only implied, and empty":    {old: []string{"f a/b/c 644 1"}, now: []string{"d a 755", "d a/b 755"}, want: []string{"a/b - directory known", "a/b/c file - known"}},
		"only implied, and the same": {old: []string{"f a/b/c 644 1"}, now: []string{"d a 755", "d a/b 755", "f a/b/c 644 1"}, want: []string{"a/b/c file file hash"}},
		"by path, not by walk": {
			now:  []string{"d a 755", "f a/b 644 1", "f a-b 644 1", "f a.b 644 1"},
			want: []string{"a-b - file fetch", "a.b - file fetch", "a/b - file fetch"},
		},
		"an older one in any order": {
			old: []string{"f a-b 644 1", "f a/b 644 2", "f a/b 644 1", "f a.b 644 1"}, now: []string{"d a 755", "f a/b 644 1", "f a-b 644 1", "f a.b 644 1"},
			want: []string{"a-b file file hash", "a.b file file hash", "a/b file file hash"},
		},
		"specials": {
			old: []string{"f a 644 1", "d b 755"}, now: []string{"s a", "s b", "s c"},
			want: []string{"a file - known", "b directory - known"}, specials: []string{"a", "b", "c"},
		},
		"paths": {
			old: []string{"f a 644 1", "f ab 644 1"}, now: []string{"d d 755", "f d/x 644 1", "d dd 755", "f e 644 1", "s s", "s d/t"}, paths: []string{"a", "d"},
			want: []string{"a file - known", "d/x - file fetch"}, specials: []string{"d/t"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			slices.SortFunc(tt.now, func(a, b string) int {
				return wire.CompareWalked(strings.Fields(a)[1], strings.Fields(b)[1])
			})
			c, got := comparedWith(nodesOf(tt.old...), tt.now, nil, tt.paths...)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.specials, c.specials); diff != "" {
				t.Errorf("specials (-want +got):\n%s", diff)
			}
		})
	}
}

func TestComparisonBelievesTheLastScan(t *testing.T) {
	old := nodesOf("f a 644 1", "f b 644 1", "f c 644 1", "f d 644 1")
	now := []string{"f a 644 1", "f b 755 1", "f c 644 1", "f d 644 1"}
	knows := []verdict{same, same, different, unknown}
	c, got := comparedWith(old, now, func(at int, _ *fileStamp) verdict { return knows[at] })
	if diff := cmp.Diff([]string{"b file file known", "c file file fetch", "d file file hash"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	want := []fileStamp{{0, 1, 1, 7, true}, {1, 1, 1, 7, true}, {2, 1, 1, 7, false}}
	if diff := cmp.Diff(want, c.stamps, cmp.AllowUnexported(fileStamp{})); diff != "" {
		t.Errorf("stamps (-want +got):\n%s", diff)
	}
}

func TestHashedDropsWhatIsTheSame(t *testing.T) {
	n := nodesOf("f a 644 1")[0]
	is := func(mode uint32, size int64, digest []byte, err string) *wire.FileDigest {
		return &wire.FileDigest{Mode: mode, Size: size, SHA256: digest, Err: err}
	}
	other := make([]byte, sha256.Size)
	for name, tt := range map[string]struct {
		digest  *wire.FileDigest
		changed bool
		need    need
	}{
		"the same":     {is(0o644, 1, n.digest[:], ""), false, needNothing},
		"another mode": {is(0o755, 1, n.digest[:], ""), true, needNothing},
		"another":      {is(0o644, 1, other, ""), true, needContent},
		"longer":       {is(0o644, 2, n.digest[:], ""), true, needContent},
		"gone":         {is(0, 0, nil, wire.HashGone), true, needContent},
	} {
		t.Run(name, func(t *testing.T) {
			d := difference{old: &n, now: &seen{kind: archive.KindFile, size: 1, mode: 0o600}}
			if got := d.hashed(tt.digest); got != tt.changed || d.need != tt.need {
				t.Errorf("%v, need %d", got, d.need)
			}
		})
	}
}
