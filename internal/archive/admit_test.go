package archive_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/internal/archive"
)

// bothWays unpacks data, and repacks it, with a say in the members; it returns what is
// there then.
func bothWays(t *testing.T, data []byte, names archive.Names, admit archive.Admit) map[string]func() ([]string, archive.Counts, error) {
	t.Helper()
	return map[string]func() ([]string, archive.Counts, error){
		"unpack": func() ([]string, archive.Counts, error) {
			a := newArena(t)
			counts, err := a.unpack(t, data, archive.UnpackOptions{Links: archive.LinksAsData, Specials: archive.SpecialsSkipped, Names: names, Admit: admit})
			if err != nil {
				return nil, counts, err
			}
			packed, _, _, err := pack(t, a, ".", archive.PackOptions{})
			return namesOf(t, packed), counts, err
		},
		"repack": func() ([]string, archive.Counts, error) {
			clean, counts, err := repack(t, data, archive.RepackOptions{Specials: archive.SpecialsSkipped, Names: names, Admit: admit})
			if err != nil {
				return nil, counts, err
			}
			return namesOf(t, clean), counts, nil
		},
	}
}

func namesOf(t *testing.T, data []byte) []string {
	t.Helper()
	var all []string
	for _, name := range names(t, data) {
		all = append(all, strings.TrimSuffix(name, "/"))
	}
	return all
}

func TestAdmitIsAskedOnceOfEachMember(t *testing.T) {
	data := tarball(t, directory("d"), file("d/f", "content").mode(0o4755), symlink("d/l", "../x"), hardLink("d/h", "./d//f"))
	for name, do := range bothWays(t, data, archive.NamesBytes, nil) {
		if _, _, err := do(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	want := []archive.Member{
		{Path: "d", Kind: archive.KindDirectory, Mode: 0o755},
		{Path: "d/f", Kind: archive.KindFile, Size: 7, Mode: 0o4755},
		{Path: "d/l", Kind: archive.KindSymlink, Mode: 0o777, Target: "../x"},
		{Path: "d/h", Kind: archive.KindFile, Mode: 0o644, LinkTo: "d/f"},
	}
	var got []archive.Member
	for name, do := range bothWays(t, data, archive.NamesBytes, func(m archive.Member, body io.Reader) (io.Reader, error) {
		got = append(got, m)
		return body, nil
	}) {
		got = nil
		if _, _, err := do(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for i := range got { // what tar says of the mode of links is of no meaning
			if got[i].Kind == archive.KindSymlink || got[i].LinkTo != "" {
				got[i].Mode = want[i].Mode
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestAdmitLeavesOut: what is left out costs nothing but its bytes, zeros at its end are
// not the archive's, and what follows is read.
func TestAdmitLeavesOut(t *testing.T) {
	zeros := strings.Repeat("\x00", 8<<20) // more than a header may have
	data := tarball(t, file("a", zeros), file("b", "stays"), file("c", zeros), symlink("d", "x"))
	for name, do := range bothWays(t, data, archive.NamesBytes, func(m archive.Member, body io.Reader) (io.Reader, error) {
		if m.Path != "b" {
			return nil, nil
		}
		return body, nil
	}) {
		got, counts, err := do()
		if diff := cmp.Diff([]string{"b"}, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
		if diff := cmp.Diff(archive.Counts{Entries: 1, Bytes: 5}, counts); diff != "" {
			t.Errorf("%s: counts (-want +got):\n%s", name, diff)
		}
	}
}

func TestAdmitMayReadBefore(t *testing.T) {
	data := tarball(t, file("a", "content"), file("b", "more"))
	for name, do := range bothWays(t, data, archive.NamesBytes, func(_ archive.Member, body io.Reader) (io.Reader, error) {
		all, err := io.ReadAll(body)
		return bytes.NewReader(all), err
	}) {
		if _, counts, err := do(); err != nil || counts.Bytes != 11 {
			t.Errorf("%s: %+v, %v", name, counts, err)
		}
	}
}

func TestAdmitEndsTheWork(t *testing.T) {
	broken := errors.New("no more")
	for name, do := range bothWays(t, tarball(t, file("a", "content")), archive.NamesBytes, func(archive.Member, io.Reader) (io.Reader, error) {
		return nil, broken
	}) {
		if _, _, err := do(); !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDistinctNames(t *testing.T) {
	for name, tc := range map[string]struct {
		names           []string
		distinct, alone error
	}{
		"new lines and tabs":           {[]string{"new\nline", "a\tb", "\x1b[31m"}, nil, nil},
		"no UTF-8, but different":      {[]string{"\xff", "\xfe", "\xffa", "\xffA"}, nil, nil},
		"case":                         {[]string{"README", "readme"}, archive.ErrCollides, nil},
		"case below what is no UTF-8":  {[]string{"\xff/README", "\xff/readme"}, archive.ErrCollides, nil},
		"Unicode forms":                {[]string{"caf\u00e9", "cafe\u0301"}, archive.ErrCollides, nil},
		".git in other case":           {[]string{".Git/config"}, archive.ErrName, archive.ErrName},
		".git with a joiner":           {[]string{"a/.g\u200cit"}, archive.ErrName, archive.ErrName},
		".git by its short name":       {[]string{"GIT~1"}, archive.ErrName, archive.ErrName},
		".git with dots behind it":     {[]string{".git..."}, archive.ErrName, archive.ErrName},
		".git with a blank behind it":  {[]string{".git /config"}, archive.ErrName, archive.ErrName},
		".git as a stream":             {[]string{".git::$INDEX_ALLOCATION/config"}, archive.ErrName, archive.ErrName},
		".git in words of Windows":     {[]string{`.git\hooks\x`}, archive.ErrName, archive.ErrName},
		".git itself, and longer ones": {[]string{".git/config", ".gitignore", ".github/x", "a.git", ".git-x"}, nil, nil},
	} {
		var members []member
		for _, name := range tc.names {
			members = append(members, file(name, "x"))
		}
		for names, want := range map[*archive.Names]error{&archive.NamesDistinct: tc.distinct, &archive.NamesNoAlias: tc.alone} {
			for way, do := range bothWays(t, tarball(t, members...), *names, nil) {
				_, _, err := do()
				if !errors.Is(err, want) || want == archive.ErrName && errors.Is(err, archive.ErrCollides) {
					t.Errorf("%s: %s: %v, want %v", name, way, err, want)
				}
			}
		}
	}
}

func TestRepackPlainDropsSetID(t *testing.T) {
	data := tarball(t, file("a", "x").mode(0o6755), directory("d").mode(0o1777))
	clean, _, err := repack(t, data, archive.RepackOptions{Plain: true})
	if err != nil {
		t.Fatal(err)
	}
	_, err = archive.Index(t.Context(), bytes.NewReader(clean), archive.Limits{}, func(e archive.Entry) error {
		if e.Mode&0o7000 != 0 {
			t.Errorf("%s: mode %#o", e.Path, e.Mode)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
