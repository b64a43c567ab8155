package archive_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/internal/archive"
)

// anything is what a user's archive may be.
var anything = archive.RepackOptions{Formats: archive.TarCompressed}

func repack(t testing.TB, data []byte, opts archive.RepackOptions) ([]byte, archive.Counts, error) {
	t.Helper()
	var out bytes.Buffer
	counts, err := archive.Repack(t.Context(), &out, bytes.NewReader(data), opts)
	return out.Bytes(), counts, err
}

// TestRepackReadsWhatTarWrites: the files in testdata come from GNU tar 1.35, of one
// tree with a sparse file of six pieces, names and targets of more than 100 bytes, a
// hard link, and links that lead out.
func TestRepackReadsWhatTarWrites(t *testing.T) {
	long := strings.Repeat("n", 120)
	small := []string{"abs symlink 777 0 -> /abs", "f file 644 5", "hard file 644 5 = f", "out symlink 777 0 -> ../../outside"}
	large := append([]string{
		"d directory 755 0", "d/" + long + " file 644 5", "d/longlink symlink 777 0 -> " + long + long, "sparse file 644 2097152",
	}, small...)
	slices.Sort(large)
	samples, err := filepath.Glob("testdata/*.tar.*")
	if err != nil || len(samples) != 8 {
		t.Fatalf("%v, %v", samples, err)
	}
	for _, sample := range samples {
		t.Run(filepath.Base(sample), func(t *testing.T) {
			data, err := os.ReadFile(sample)
			must(t, err)
			clean, counts, err := repack(t, data, anything)
			must(t, err)
			want := large
			if strings.Contains(sample, "v7") || strings.Contains(sample, "ustar") {
				want = small
			}
			got := entries(t, clean)
			if counts.Entries != len(want) {
				t.Errorf("%+v", counts)
			}
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("members (-want +got):\n%s", diff)
			}
			for _, mark := range []string{"GNU", "SCHILY", "./abs", "atime"} {
				if bytes.Contains(clean, []byte(mark)) {
					t.Errorf("%q is in it", mark)
				}
			}
			if len(want) == len(large) {
				checkSparse(t, clean)
			}
		})
	}
}

func checkSparse(t *testing.T, data []byte) {
	t.Helper()
	a := newArena(t)
	_, err := a.unpack(t, data, everything)
	must(t, err)
	want := make([]byte, 2<<20)
	for i := range 6 {
		copy(want[i<<18+4096:], fmt.Sprint("data ", i))
	}
	if got, err := os.ReadFile(a.path("sparse")); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v, and not those that were packed", len(got), err)
	}
	if info, err := os.Lstat(a.path("f")); err != nil || info.ModTime().UnixNano() != mtime*1e9 {
		t.Errorf("time %v, %v; want whole seconds", info.ModTime(), err)
	}
}

func TestRepackCleans(t *testing.T) {
	owned := file("./a//b/./f", "1").mode(0o104755)
	owned.Uid, owned.Gname, owned.Format = 12345, "wheel", tar.FormatPAX
	owned.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": "x", "SCHILY.acl.access": "user::rw-", "comment": "x"}
	clean, counts, err := repack(t, tarball(t,
		directory("./"), directory("."), directory(".//."),
		member{Header: tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "1"}}},
		owned, hardLink("./h", "./a/b//f"), symlink("./l", "/etc/passwd"), symlink("l", "../.."), directory("a/./"), file("a/b/f", "22"),
	), anything)
	if err != nil || counts != (archive.Counts{Entries: 6, Bytes: 3}) {
		t.Fatalf("%+v, %v", counts, err)
	}
	want := []string{
		"a/b/f file 4755 1", "h file 644 1 = a/b/f", "l symlink 777 0 -> /etc/passwd", "l symlink 777 0 -> ../..", "a directory 755 0", "a/b/f file 644 2",
	}
	if diff := cmp.Diff(want, entries(t, clean)); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	r := tar.NewReader(bytes.NewReader(clean))
	hdr, err := r.Next()
	must(t, err)
	if hdr.Uid != 0 || hdr.Gname != "" || len(hdr.PAXRecords) > 0 {
		t.Errorf("it still holds %+v", hdr)
	}
	again, _, err := repack(t, clean, archive.RepackOptions{})
	if err != nil || !bytes.Equal(again, clean) {
		t.Errorf("repacked again it is another archive, %v", err)
	}
	a := newArena(t)
	_, err = a.unpack(t, clean, everything)
	must(t, err)
	for path, want := range map[string]string{"a/b/f": "22", "h": "1"} { // a link keeps what it named
		if got, err := os.ReadFile(a.path(path)); string(got) != want {
			t.Errorf("%s holds %q, %v", path, got, err)
		}
	}
}

func TestRepackLeavesOut(t *testing.T) {
	var asked []string
	opts := anything
	opts.Skip = func(name string, dir bool) bool {
		asked = append(asked, fmt.Sprint(name, " ", dir))
		return name == "a/skip" && dir || name == "x" && !dir
	}
	clean, counts, err := repack(t, tarball(t,
		file("./a/skip/deep/f", "1"), file("a/skip/g", ""), directory("a/skip"), file("a/skipped", "2"), file("x", ""), file("b/x", ""), file("y/f", ""),
	), opts)
	if err != nil || counts.Entries != 3 {
		t.Errorf("%+v, %v", counts, err)
	}
	if diff := cmp.Diff([]string{"a/skipped", "b/x", "y/f"}, names(t, clean)); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	want := []string{
		"a true", "a/skip true", "a true", "a/skip true", "a true", "a/skip true", "a/skipped false", "x false", "b true", "b/x false", "y true", "y/f false",
	}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("asked about (-want +got):\n%s", diff)
	}
	_, _, err = repack(t, tarball(t, file("x", ""), hardLink("h", "x")), opts)
	if !errors.Is(err, archive.ErrLink) || !strings.Contains(err.Error(), `"x"`) {
		t.Errorf("a hard link to what was left out: %v", err)
	}
}

// TestRepackReadsOnPastWhatIsLeftOut: content that nobody wants is neither a limit nor
// the end of the archive.
func TestRepackReadsOnPastWhatIsLeftOut(t *testing.T) {
	opts := anything
	opts.Skip = func(name string, _ bool) bool { return name == "skip" || name == "x" }
	opts.Limits.Bytes = 1 << 20
	whole := tarball(t, file("skip", strings.Repeat("\x00", 8<<20)), file("f", "1"))
	clean, _, err := repack(t, whole, opts)
	if err != nil || len(entries(t, clean)) != 1 {
		t.Errorf("%v", err)
	}
	if _, _, err := repack(t, whole[:512+8<<20], opts); !errors.Is(err, archive.ErrFormat) {
		t.Errorf("cut after zeros: got %v, want ErrFormat", err)
	}
	for _, name := range []string{"old GNU sparse hole of 8 EiB", "sparse hole of 1 TiB", "sparse map in 0.1"} {
		if _, _, err := repack(t, lies()[name], opts); !errors.Is(err, archive.ErrLimit) && !errors.Is(err, archive.ErrFormat) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	listing := member{tar.Header{Typeflag: 'D', Name: "./d/", Mode: 0o755, Size: 6 << 20}, strings.Repeat("Yname\x00", 1<<20)}
	clean, _, err = repack(t, tarball(t, listing, file("d/f", "")), opts)
	if err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"d directory 755 0", "d/f file 644 0"}, entries(t, clean)); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}

// refused are archives whose members do not go together.
func refused() map[string]struct {
	members []member
	want    error
} {
	return map[string]struct {
		members []member
		want    error
	}{
		"below a file":            {[]member{file("a", ""), file("a/b", "")}, fs.ErrExist},
		"below a link":            {[]member{symlink("a", "."), file("a/b", "")}, fs.ErrExist},
		"deep below a link":       {[]member{symlink("a", "."), file("a/b/c", "")}, fs.ErrExist},
		"below a hard link":       {[]member{file("f", ""), hardLink("a", "f"), file("a/b", "")}, fs.ErrExist},
		"file over directory":     {[]member{directory("a"), file("a", "")}, fs.ErrExist},
		"file over implied one":   {[]member{file("a/b", ""), file("a", "")}, fs.ErrExist},
		"file over link":          {[]member{symlink("a", "x"), file("a", "")}, fs.ErrExist},
		"link over file":          {[]member{file("a", ""), symlink("a", "x")}, fs.ErrExist},
		"directory over link":     {[]member{symlink("a", "x"), directory("a")}, fs.ErrExist},
		"hard link over link":     {[]member{file("f", ""), symlink("a", "x"), hardLink("a", "f")}, fs.ErrExist},
		"hard link to link":       {[]member{symlink("a", "x"), hardLink("b", "a")}, archive.ErrLink},
		"hard link to directory":  {[]member{directory("a"), hardLink("b", "a")}, archive.ErrLink},
		"hard link to later file": {[]member{hardLink("b", "a"), file("a", "")}, archive.ErrLink},
		"hard link outside":       {[]member{hardLink("b", "../canary")}, archive.ErrEscapes},
		"hard link to absolute":   {[]member{hardLink("b", "/etc/passwd")}, archive.ErrEscapes},
		"symlink to nothing":      {[]member{symlink("b", "")}, archive.ErrName},
		"symlink to too much":     {[]member{symlink("b", strings.Repeat("x", 4096))}, archive.ErrLimit},
		"long part":               {[]member{file(strings.Repeat("x", 256), "")}, unix.ENAMETOOLONG},
		"deep":                    {[]member{file(strings.Repeat("x/", 256)+"x", "")}, archive.ErrLimit},
		"deep by 100,000":         {[]member{directory(strings.Repeat("d/", 100_000))}, archive.ErrLimit},
		"device":                  {[]member{{Header: tar.Header{Typeflag: tar.TypeChar, Name: "null", Devmajor: 1, Devminor: 3}}}, archive.ErrSpecial},
		"FIFO":                    {[]member{{Header: tar.Header{Typeflag: tar.TypeFifo, Name: "pipe"}}}, archive.ErrSpecial},
		"unknown":                 {[]member{{Header: tar.Header{Typeflag: 'Z', Name: "odd"}}}, archive.ErrFormat},
	}
}

func TestRepackAndIndexRefuseWhatCannotBeMade(t *testing.T) {
	for name, test := range refused() {
		t.Run(name, func(t *testing.T) {
			data := tarball(t, test.members...)
			_, _, err := repack(t, data, anything)
			_, indexErr := archive.Index(t.Context(), bytes.NewReader(data), archive.Limits{}, nothing)
			_, unpackErr := newArena(t).unpack(t, data, everything)
			last := fmt.Sprintf("%.100q", test.members[len(test.members)-1].Name)
			for what, err := range map[string]error{"Repack": err, "Index": indexErr} {
				if !errors.Is(err, test.want) || !strings.Contains(err.Error(), strings.Trim(last, `"`)) {
					t.Errorf("%s: got %v, want %v that names the member", what, err, test.want)
				}
			}
			if unpackErr == nil {
				t.Error("Unpack takes it")
			}
		})
	}
}

func nothing(archive.Entry) error { return nil }

func TestRepackAndIndexRefuseNames(t *testing.T) {
	for _, name := range append(slices.Clone(escapingNames), emptyNames...) {
		for _, m := range []member{symlink(name, "x"), hardLink(name, "first"), hardLink("second", name)} {
			data := tarball(t, file("first", ""), m)
			_, _, err := repack(t, data, anything)
			_, indexErr := archive.Index(t.Context(), bytes.NewReader(data), archive.Limits{}, nothing)
			for what, err := range map[string]error{"Repack": err, "Index": indexErr} {
				if !errors.Is(err, archive.ErrEscapes) && !errors.Is(err, archive.ErrName) {
					t.Errorf("%s of %c %q: got %v", what, m.Typeflag, name, err)
				}
			}
		}
		// Nothing but the tree's own entry is left out without a word.
		_, counts, err := repack(t, tarball(t, directory(name)), anything)
		if own := strings.HasPrefix(name, ".") && strings.Trim(name, "./") == "" && !strings.Contains(name, ".."); own != (err == nil) || counts.Entries > 0 {
			t.Errorf("a directory %q: %+v, %v", name, counts, err)
		}
	}
}

func TestRepackCountsSpecialFiles(t *testing.T) {
	opts := anything
	opts.Specials = archive.SpecialsSkipped
	var told archive.Counts
	opts.Seen = func(c archive.Counts) { told = c }
	special := func(typeflag byte) member { return member{Header: tar.Header{Typeflag: typeflag, Name: "d/x"}} }
	clean, counts, err := repack(t, tarball(t, special(tar.TypeChar), special(tar.TypeBlock), file("f", ""), special(tar.TypeFifo)), opts)
	if err != nil || counts != (archive.Counts{Entries: 1, Skipped: 3}) || told != counts {
		t.Errorf("%+v, told %+v, %v", counts, told, err)
	}
	if diff := cmp.Diff([]string{"f"}, names(t, clean)); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestRepackStopsWhenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	data := tarball(t, file("a", "x"))
	if _, err := archive.Repack(ctx, io.Discard, bytes.NewReader(data), anything); !errors.Is(err, context.Canceled) || errors.Is(err, archive.ErrFormat) {
		t.Errorf("got %v", err)
	}
	if _, err := archive.Index(ctx, bytes.NewReader(data), archive.Limits{}, nothing); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
