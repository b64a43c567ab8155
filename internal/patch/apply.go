package patch

import (
	"bytes"
	"crypto/sha1" // what git names blobs by
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"

	"github.com/bluekeyes/go-gitdiff/gitdiff"

	"github.com/pyro-sandbox/pyro/api"
)

// apply makes the new content of a section. It takes from what may still be written.
func (p *planner) apply(s *section, before []byte) ([]byte, error) {
	var after []byte
	var err error
	switch {
	case s.binary != nil:
		after, err = p.applyBinary(s, before)
	case len(s.hunks) > 0:
		after, err = p.applyHunks(s, before)
	default:
		after = before
	}
	if err != nil {
		return nil, err
	}
	if p.left -= int64(len(after)); p.left < 0 {
		return nil, p.tooMuch()
	}
	if after == nil {
		after = []byte{}
	}
	return after, nil
}

func (p *planner) tooMuch() error {
	return invalid("the patch makes more than %d bytes of content", p.limits.Result)
}

// applyBinary checks the content before and after by the names in the index line, as git
// does: a literal would overwrite anything, and a delta make nonsense of it.
func (p *planner) applyBinary(s *section, before []byte) ([]byte, error) {
	name := quoteName(s.new)
	if !isFullID(s.oldID) || len(s.oldID) != len(s.newID) || !isFullID(s.newID) {
		return nil, fail(api.Invalid, "make it with git diff --binary", "%s: a binary section needs an index line with full object names", name)
	}
	if s.isNew && strings.Trim(s.oldID, "0") != "" {
		return nil, invalid("%s: the file is new, but its index line names an old content", name)
	}
	if !s.isNew && blobID(before, len(s.oldID)) != s.oldID {
		return nil, conflict("%s: the binary content is not that which the patch was made from", name)
	}
	if s.binary.BinaryFragment.Size > p.left {
		return nil, p.tooMuch()
	}
	var after bytes.Buffer
	err := gitdiff.Apply(&after, bytes.NewReader(before), s.binary, gitdiff.WithMaxBinaryFragmentBytes(p.left))
	if err != nil {
		return nil, invalid("line %d: binary content of %s: %w", s.line, name, err)
	}
	if s.isDelete && after.Len() == 0 {
		return nil, nil
	}
	if blobID(after.Bytes(), len(s.newID)) != s.newID {
		return nil, invalid("%s: the binary content that comes out is not what the index line names", name)
	}
	return after.Bytes(), nil
}

func isFullID(id string) bool {
	return (len(id) == hex.EncodedLen(sha1.Size) || len(id) == hex.EncodedLen(sha256.Size)) && strings.Trim(id, "0123456789abcdef") == ""
}

// blobID names content as a repository does whose names have that many digits.
func blobID(content []byte, digits int) string {
	var sum hash.Hash = sha1.New()
	if digits == hex.EncodedLen(sha256.Size) {
		sum = sha256.New()
	}
	fmt.Fprintf(sum, "blob %d\x00", len(content))
	_, _ = sum.Write(content) // a hash takes anything
	return hex.EncodeToString(sum.Sum(nil))
}

var errTooMuch = errors.New("too much content")

// emptyBlob begins the object name of an empty content, of any length that git shortens to.
const emptyBlob = "e69de29"

// text is a content under change.
type text struct {
	lines [][]byte // of the old content
	at    int      // the first line that was not yet taken over
	moved int      // by how many lines the last hunk lay elsewhere
	out   bytes.Buffer
	left  int64
}

func (p *planner) applyHunks(s *section, before []byte) ([]byte, error) {
	if strings.HasPrefix(s.oldID, emptyBlob) && len(before) > 0 {
		return nil, conflict("%s: the patch is for an empty file, but it has %d bytes", quoteName(s.old), len(before))
	}
	t := &text{lines: splitLines(before), left: p.left}
	for i := range s.hunks {
		h := &s.hunks[i]
		if err := p.applyHunk(t, h); err != nil {
			return nil, p.misfit(err, "%s: hunk %d (line %d of the patch): %w", quoteName(s.old), h.number, h.line, err)
		}
	}
	if err := t.keep(len(t.lines)); err != nil {
		return nil, p.misfit(err, "%s: %w", quoteName(s.old), err)
	}
	return t.out.Bytes(), nil
}

// misfit gives the error of a text its kind.
func (p *planner) misfit(err error, format string, args ...any) error {
	if errors.Is(err, errTooMuch) {
		return p.tooMuch()
	}
	return conflict(format, args...)
}

func (p *planner) applyHunk(t *text, h *hunk) error {
	old := make([][]byte, 0, min(h.oldLines, len(h.body)))
	for sign, line := range h.each() {
		if sign != '+' {
			old = append(old, line)
		}
	}
	place, err := p.place(t, h, old)
	if err != nil {
		return err
	}
	if err := t.keep(place); err != nil {
		return err
	}
	for sign, line := range h.each() {
		if sign == '-' {
			continue
		}
		if err := t.add(line); err != nil {
			return err
		}
	}
	t.at = place + len(old)
	return nil
}

// keep takes over the old lines up to one.
func (t *text) keep(to int) error {
	for ; t.at < to; t.at++ {
		if err := t.add(t.lines[t.at]); err != nil {
			return err
		}
	}
	return nil
}

func (t *text) add(line []byte) error {
	if held := t.out.Bytes(); len(held) > 0 && held[len(held)-1] != '\n' {
		return fmt.Errorf("a line follows %s, which has no newline at its end", shown(held[bytes.LastIndexByte(held, '\n')+1:]))
	}
	if t.left -= int64(len(line)); t.left < 0 {
		return errTooMuch
	}
	t.out.Write(line)
	return nil
}

// place finds where a hunk fits: where it says; as far off as the one before it; or at the
// only other place.
func (p *planner) place(t *text, h *hunk, old [][]byte) (int, error) {
	stated := h.oldStart
	if h.oldLines > 0 {
		stated-- // a range without lines is named by the line before it
	}
	for _, at := range []int{stated, stated + t.moved} {
		if p.fits(t, at, old) {
			t.moved = at - stated
			return at, nil
		}
	}
	places := 0
	found := 0
	if h.context {
		for at := t.at; at <= len(t.lines)-len(old) && places < 2 && p.comparable > 0; at++ {
			anchored := h.oldStart <= 1 && at != 0 || !h.trailing && at != len(t.lines)-len(old)
			if !anchored && p.fits(t, at, old) {
				found, places = at, places+1
			}
		}
	}
	switch {
	case p.comparable <= 0:
		return 0, fmt.Errorf("it does not fit in line %d, and looking for the place takes too long", stated+1)
	case places > 1:
		return 0, fmt.Errorf("it does not fit in line %d, and fits in more than one other place", stated+1)
	case places == 0:
		return 0, t.mismatch(stated, old)
	}
	t.moved = found - stated
	return found, nil
}

func (p *planner) fits(t *text, at int, old [][]byte) bool {
	if at < t.at || at+len(old) > len(t.lines) {
		return false
	}
	for i, line := range old {
		if p.comparable--; !bytes.Equal(t.lines[at+i], line) {
			return false
		}
	}
	return true
}

// mismatch tells the first line that is not as the hunk has it.
func (t *text) mismatch(at int, old [][]byte) error {
	if at < t.at {
		return fmt.Errorf("line %d was changed by the hunk before it", at+1)
	}
	if len(old) == 0 {
		return fmt.Errorf("it adds after line %d, but the file has %d lines", at, len(t.lines))
	}
	for i, line := range old {
		found := "the end of the file"
		if at+i < len(t.lines) {
			if bytes.Equal(t.lines[at+i], line) {
				continue
			}
			found = shown(t.lines[at+i])
		}
		return fmt.Errorf("line %d: expected %s, found %s", at+i+1, shown(line), found)
	}
	return fmt.Errorf("it does not fit in line %d", at+1)
}
