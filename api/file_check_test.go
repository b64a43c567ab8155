package api

import (
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGuestPath(t *testing.T) {
	name := strings.Repeat("n", MaxPathComponent)
	for given, want := range map[string]string{
		"a":                         "/workspace/a",
		" a ":                       "/workspace/a",
		"a b/c":                     "/workspace/a b/c",
		".":                         "/workspace",
		"/workspace":                "/workspace",
		"/workspace/":               "/workspace",
		"//workspace//a/./b/":       "/workspace/a/b",
		"./a":                       "/workspace/a",
		"..a/b..":                   "/workspace/..a/b..",
		"...":                       "/workspace/...",
		"a\nb\t\x1b":                "/workspace/a\nb\t\x1b", // names are what they are
		"%2e%2e/%2fetc":             "/workspace/%2e%2e/%2fetc",
		"~/x":                       "/workspace/~/x",
		`a\..\b`:                    `/workspace/a\..\b`,
		"workspace":                 "/workspace/workspace",
		"-rf":                       "/workspace/-rf",
		"\uff0e\uff0e/x":            "/workspace/\uff0e\uff0e/x", // wide dots are no dots
		name:                        "/workspace/" + name,
		strings.Repeat("a/", 2042):  "/workspace/" + strings.Repeat("a/", 2041) + "a", // 4094 bytes
		"/workspace/workspace-evil": "/workspace/workspace-evil",
	} {
		got, err := GuestPath("path", given)
		if err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", clip(given), clip(got), err, clip(want))
		}
	}
	for given, why := range map[string]string{
		"":                          "is empty",
		" \t\n":                     "is empty",
		"..":                        "..",
		"../etc/passwd":             "..",
		"a/../b":                    "..", // also where it would stay inside
		"/workspace/..":             "..",
		"/workspace/../etc":         "..",
		"a/..":                      "..",
		"/":                         "inside /workspace",
		"/etc/passwd":               "inside /workspace",
		"/workspace-evil":           "inside /workspace",
		"/workspace-evil/a":         "inside /workspace",
		"/Workspace/a":              "inside /workspace",
		"/workspac":                 "inside /workspace",
		"a\x00b":                    "zero byte",
		"/workspace\x00/a":          "zero byte",
		"a\xff":                     "UTF-8",
		name + "n":                  "256 bytes",
		strings.Repeat("a/", 2043):  "4096 bytes",
		strings.Repeat("a", 1<<20):  "1048576 bytes",
		strings.Repeat("../", 9999): "..",
	} {
		_, err := GuestPath("path", given)
		wantInvalid(t, err, "path", why)
		if len(err.Error()) > 300 {
			t.Errorf("%q: %d bytes of error", clip(given), len(err.Error()))
		}
	}
}

// FuzzGuestPath holds what everybody behind it relies on.
func FuzzGuestPath(f *testing.F) {
	for _, seed := range []string{"a", "../a", "/workspace/a", "/workspace-evil", "a//b/./c", "\x00", " /workspace ", "%2e%2e"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, given string) {
		got, err := GuestPath("path", given)
		if err != nil {
			if KindOf(err) != Invalid || HintOf(err) == "" {
				t.Errorf("%q is refused by %v", given, err)
			}
			return
		}
		if got != WorkspacePath && !strings.HasPrefix(got, WorkspacePath+"/") || path.Clean(got) != got || strings.ContainsRune(got, 0) || len(got) > MaxGuestPath {
			t.Errorf("%q became %q", given, got)
		}
		if again, err := GuestPath("path", got); strings.TrimSpace(got) == got && (err != nil || again != got) {
			t.Errorf("%q became %q, and that %q, %v", given, got, again, err)
		}
	})
}

func TestFileRequests(t *testing.T) {
	before, mode := int64(-1), uint32(0o1000)
	for name, err := range map[string]error{
		"limit":     second(FileListRequest{Limit: -1}.Check()),
		"after":     second(FileListRequest{After: "/etc"}.Check()),
		"max_bytes": second(FileReadRequest{Path: "a", MaxBytes: MaxFileBytes + 1}.Check()),
		"offset":    second(FileReadRequest{Path: "a", Offset: &before}.Check()),
		"length":    second(FileRangeRequest{Path: "a", Length: -1}.Check()),
		"mode":      second(FileWriteRequest{Path: "a", Mode: &mode}.Check()),
		"path":      second(FileWriteRequest{Path: "/workspace"}.Check()),
		"deleted":   second(FileDeleteRequest{Path: "."}.Check()),
		"from_path": second(FileMoveRequest{From: "", To: "b"}.Check()),
		"to_path":   second(FileMoveRequest{From: "a", To: "a/b"}.Check()),
		"text":      CheckText(strings.Repeat("a", MaxFileBytes+1)),
		"UTF-8":     CheckText("\xff"),
		"patch":     CheckPatch(" \n", 9),
		"3 bytes":   CheckPatch("long", 3),
	} {
		t.Run(name, func(t *testing.T) { wantInvalid(t, err, name) })
	}
	wantInvalid(t, second(PatchRequest{MaxBytes: MaxPatchBytes + 1}.Check()), "max_bytes", "67108864")
	wantInvalid(t, CheckText(strings.Repeat("ä", MaxFileBytes/2)))
	list, err := FileListRequest{}.Check()
	wantInvalid(t, err)
	if diff := cmp.Diff(FileListRequest{Path: "/workspace", Limit: MaxListEntries}, list); diff != "" {
		t.Error(diff)
	}
	read, err := FileReadRequest{Path: "a"}.Check()
	wantInvalid(t, err)
	if diff := cmp.Diff(FileReadRequest{Path: "/workspace/a", MaxBytes: DefaultReadBytes}, read); diff != "" {
		t.Error(diff)
	}
}

func second[T any](_ T, err error) error { return err }

func TestPatchCounts(t *testing.T) {
	p := Patch{Entries: []PatchEntry{
		{Status: PatchAdded}, {Status: PatchModified}, {Status: PatchModified}, {Status: PatchDeleted}, {Status: PatchTypeChanged}, {Status: "other"},
	}}
	p.Count()
	if diff := cmp.Diff(PatchSummary{Total: 6, Added: 1, Modified: 2, Deleted: 1, TypeChanged: 1}, p.Summary); diff != "" || !p.Changed {
		t.Error(p.Changed, diff)
	}
	p.Entries = nil
	if p.Count(); p.Changed || p.Summary.Total != 0 {
		t.Errorf("nothing changes %+v", p)
	}
}
