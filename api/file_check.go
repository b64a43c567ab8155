package api

import (
	"fmt"
	"path"
	"strings"
	"unicode/utf8"
)

// What to do about a path that cannot be.
const (
	guestPathHint  = "name something in /workspace; what lies elsewhere can be had with `pyro workspace exec`"
	longPathHint   = "choose shorter names, or fewer directories"
	unnameableHint = "export the directory it lies in, or work on it with `pyro workspace exec`"
)

// GuestPath returns the one form of a path in a workspace: absolute and clean. Blanks
// around it do not count, and a relative one counts from /workspace. Refused as Invalid is
// what is empty, holds a NUL or a "..", is not UTF-8, is longer than a kernel takes, or
// does not lie in /workspace. Nothing is decoded: %2e%2e is a name like any other. Whether
// a link on the way leads elsewhere is for the guest's side to see.
func GuestPath(field, text string) (string, error) {
	p := strings.TrimSpace(text)
	bad := func(what, hint string) (string, error) {
		return "", invalid(field, fmt.Sprintf("%q %s", clip(text), what), hint)
	}
	switch {
	case p == "":
		return "", invalid(field, "is empty", "name something in "+WorkspacePath)
	case strings.ContainsRune(p, 0):
		return bad("holds a zero byte", unnameableHint)
	case !utf8.ValidString(p):
		return bad("is not UTF-8", unnameableHint)
	}
	for part := range strings.SplitSeq(p, "/") {
		switch {
		case part == "..":
			return bad("must stay inside "+WorkspacePath+": .. is not allowed", guestPathHint)
		case len(part) > MaxPathComponent:
			return bad(fmt.Sprintf("has a name of %d bytes, allowed are %d", len(part), MaxPathComponent), longPathHint)
		}
	}
	if !path.IsAbs(p) {
		p = path.Join(WorkspacePath, p)
	}
	p = path.Clean(p)
	if p != WorkspacePath && !strings.HasPrefix(p, WorkspacePath+"/") {
		return bad("must stay inside "+WorkspacePath, guestPathHint)
	}
	if len(p) > MaxGuestPath {
		return bad(fmt.Sprintf("has %d bytes, allowed are %d", len(p), MaxGuestPath), longPathHint)
	}
	return p, nil
}

// belowWorkspace is GuestPath for what cannot be /workspace itself.
func belowWorkspace(field, text, what string) (string, error) {
	p, err := GuestPath(field, text)
	if err == nil && p == WorkspacePath {
		return "", invalid(field, "is "+WorkspacePath+" itself, which cannot be "+what, "name something in it")
	}
	return p, err
}

// Check brings the request into its one form, or says why it cannot be done, whatever the
// state of the workspace.
func (r FileListRequest) Check() (_ FileListRequest, err error) {
	if r.Path == "" {
		r.Path = WorkspacePath
	}
	if r.Path, err = GuestPath("path", r.Path); err != nil {
		return r, err
	}
	if r.After != "" {
		if r.After, err = GuestPath("after", r.After); err != nil {
			return r, err
		}
	}
	if r.Limit == 0 {
		r.Limit = MaxListEntries
	}
	if r.Limit < 1 || r.Limit > MaxListEntries {
		return r, invalid("limit", fmt.Sprintf("is %d, allowed are 1 to %d", r.Limit, MaxListEntries), "go on with what --after takes, the last path of the list")
	}
	return r, nil
}

// Check is as that of FileListRequest.
func (r FileReadRequest) Check() (_ FileReadRequest, err error) {
	if r.Path, err = GuestPath("path", r.Path); err != nil {
		return r, err
	}
	if r.MaxBytes == 0 {
		r.MaxBytes = DefaultReadBytes
	}
	if r.MaxBytes < 1 || r.MaxBytes > MaxFileBytes {
		return r, invalid("max_bytes", fmt.Sprintf("is %d, allowed are 1 to %d", r.MaxBytes, MaxFileBytes), "read more with --all or --output, or in parts with --offset")
	}
	if r.Offset != nil && *r.Offset < 0 {
		return r, invalid("offset", fmt.Sprintf("is %d, it must not be negative", *r.Offset), "count from the beginning of the file")
	}
	return r, nil
}

// Check is as that of FileListRequest.
func (r FileRangeRequest) Check() (_ FileRangeRequest, err error) {
	switch {
	case r.Offset < 0:
		return r, invalid("offset", fmt.Sprintf("is %d, it must not be negative", r.Offset), "count from the beginning of the file")
	case r.Length < 0:
		return r, invalid("length", fmt.Sprintf("is %d, it must not be negative", r.Length), "0 is the rest of the file")
	}
	r.Path, err = GuestPath("path", r.Path)
	return r, err
}

// Check is as that of FileListRequest.
func (r FileWriteRequest) Check() (_ FileWriteRequest, err error) {
	if r.Mode != nil && *r.Mode > 0o777 {
		return r, invalid("mode", fmt.Sprintf("is %04o, allowed are 0000 to 0777", *r.Mode), "use the octal digits of owner, group and others, as 0644")
	}
	r.Path, err = belowWorkspace("path", r.Path, "written")
	return r, err
}

// CheckText returns an Invalid error for a text that cannot be written in one piece: of
// more than MaxFileBytes, or not UTF-8.
func CheckText(text string) error {
	switch {
	case len(text) > MaxFileBytes:
		return invalid("text", fmt.Sprintf("has more than %d bytes", MaxFileBytes), "--file and --stdin write files of any size")
	case !utf8.ValidString(text):
		return invalid("text", "is not UTF-8", "--file and --stdin write bytes as they are")
	}
	return nil
}

// Check is as that of FileListRequest.
func (r FileDeleteRequest) Check() (_ FileDeleteRequest, err error) {
	r.Path, err = belowWorkspace("path", r.Path, "deleted")
	return r, err
}

// Check is as that of FileListRequest.
func (r FileMkdirRequest) Check() (_ FileMkdirRequest, err error) {
	r.Path, err = GuestPath("path", r.Path)
	return r, err
}

// Check is as that of FileListRequest.
func (r FileMoveRequest) Check() (_ FileMoveRequest, err error) {
	if r.From, err = belowWorkspace("from_path", r.From, "moved"); err != nil {
		return r, err
	}
	if r.To, err = belowWorkspace("to_path", r.To, "replaced"); err != nil {
		return r, err
	}
	if strings.HasPrefix(r.To, r.From+"/") {
		return r, invalid("to_path", fmt.Sprintf("%q lies in what is to be moved", clip(r.To)), "name another place")
	}
	return r, nil
}
