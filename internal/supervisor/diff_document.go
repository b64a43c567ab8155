package supervisor

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/autorun"
	"github.com/pyro-sandbox/pyro/internal/patch"
)

// document is a diff as one answer, in which the values of secrets are redacted.
type document struct {
	s       *supervisor
	noPatch bool
	diff    api.WorkspaceDiff

	maker  patch.Maker
	patch  []byte
	texts  int // bytes of all text patches
	untold untold
}

// begin implements differences.
func (d *document) begin(req api.DiffRequest) bool {
	*d = document{s: d.s, noPatch: d.noPatch, diff: api.WorkspaceDiff{
		WorkspaceID: d.s.ID, Entries: []api.DiffEntry{}, Paths: []string{}, Warnings: []string{},
		Against: api.DiffAgainst{Kind: kindOf(req.Against), SnapshotName: req.Against},
	}}
	for _, p := range req.Paths {
		d.diff.Paths = append(d.diff.Paths, strings.ToValidUTF8(p, "\uFFFD"))
	}
	return true
}

func kindOf(snapshot string) string {
	if snapshot == api.DiffBaseline {
		return "baseline"
	}
	return "named"
}

// take implements differences.
func (d *document) take(path string, old, now *side) error {
	e := describe(path, old, now)
	lines := false
	if !d.noPatch {
		var err error
		if lines, err = d.compare(&e, path, old, now); err != nil {
			return err
		}
	} else {
		e.Omitted = word(api.OmittedUnasked)
	}
	d.diff.Summary.Count(e.Status, lines)
	if len(d.diff.Entries) == api.MaxDiffEntries {
		d.diff.EntriesOmitted++
		return nil
	}
	d.hide(&e)
	d.diff.Entries = append(d.diff.Entries, e)
	return nil
}

// longest implements differences. Of names alone no content is read.
func (d *document) longest() int64 {
	if d.noPatch {
		return -1
	}
	return api.MaxDiffFile
}

// compare adds what a patch says of an entry. It reports whether that is a change of lines.
func (d *document) compare(e *api.DiffEntry, path string, old, now *side) (lines bool, err error) {
	if old.unread || now.unread {
		e.Omitted, d.diff.PatchTruncated = word(api.OmittedFileTooLarge), true
		return false, nil
	}
	delta, err := d.maker.Compare(path, old.patch(), now.patch())
	if err != nil {
		return false, err
	}
	if old.kind == archive.KindFile || now.kind == archive.KindFile {
		e.Binary = &delta.Binary
	}
	if lines, err = d.text(e, delta); err != nil {
		return false, err
	}
	switch {
	case delta.Status == patch.Unchanged:
		d.untold.noForm++
		e.Omitted = cmp.Or(e.Omitted, word(api.OmittedNoGitForm))
	case inGit(path, now):
		d.untold.inGit++
		e.Omitted = cmp.Or(e.Omitted, word(api.OmittedGitDirectory))
	default:
		return lines, d.section(delta)
	}
	return lines, nil
}

// section adds what a git patch says of an entry if there is room. What is not whole is no
// use.
func (d *document) section(delta *patch.Delta) error {
	if d.diff.PatchTruncated {
		return nil
	}
	room := bounded{room: api.MaxDiffPatch - len(d.patch)}
	err := delta.WriteGit(&room)
	switch {
	case errors.Is(err, errNoRoom):
		d.diff.PatchTruncated = true
	case err != nil:
		return err
	default:
		d.patch = append(d.patch, room.text...)
	}
	return nil
}

// bounded keeps what is written to it, as long as there is room.
type bounded struct {
	text []byte
	room int
}

var errNoRoom = errors.New("there is no more room")

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	if b.room -= len(p); b.room < 0 {
		return 0, errNoRoom
	}
	b.text = append(b.text, p...)
	return len(p), nil
}

// text adds the text patch of a change of lines, if there is room. It reports whether it is
// one.
func (d *document) text(e *api.DiffEntry, delta *patch.Delta) (lines bool, err error) {
	if !hasLines(e.Status, delta) {
		return false, nil
	}
	e.Insertions, e.Deletions = &delta.Insertions, &delta.Deletions
	room := bounded{room: api.MaxTextPatch}
	err = delta.WriteText(&room)
	switch {
	case errors.Is(err, errNoRoom):
		e.Omitted = word(api.OmittedLongPatch)
	case err != nil:
		return true, err
	case d.texts+len(room.text) > api.MaxDiffPatch:
		e.Omitted = word(api.OmittedManyPatches)
	default:
		d.texts += len(room.text)
		e.TextPatch = word(string(room.text))
	}
	return true, nil
}

// hasLines reports whether a change is one of lines of a file.
func hasLines(status api.DiffStatus, d *patch.Delta) bool {
	isFile := func(k patch.Kind) bool { return k == patch.File || k == patch.Absent }
	return status != api.DiffTypeChanged && !d.Binary && d.Insertions+d.Deletions > 0 && isFile(d.Old.Kind) && isFile(d.New.Kind)
}

// hide takes the values of secrets out of an entry.
func (d *document) hide(e *api.DiffEntry) {
	hide := func(text *string) bool {
		if text == nil {
			return false
		}
		hidden := d.s.redact(*text)
		found := hidden != *text
		*text = hidden
		return found
	}
	if hide(&e.Path) {
		e.PathBase64 = nil
	}
	hide(e.OldTarget)
	hide(e.NewTarget)
	hide(e.TextPatch)
}

// close implements differences.
func (d *document) close(specials []string) error {
	doc := &d.diff
	doc.Changed = doc.Summary.Total > 0
	patch := string(d.patch)
	doc.Patch = d.s.redact(patch)
	doc.Warnings = append(doc.Warnings, d.untold.warnings(d.s, doc.Patch != patch, specials)...)
	return nil
}

// untold counts changes that a git patch does not tell.
type untold struct {
	inGit  int // in a .git
	noForm int // of which git keeps nothing
}

func (n *untold) warnings(s *supervisor, redacted bool, specials []string) (list []string) {
	if redacted {
		list = append(list, warnRedacted)
	}
	if n.noForm > 0 {
		list = append(list, fmt.Sprintf(warnNoForm, n.noForm))
	}
	if n.inGit > 0 {
		list = append(list, fmt.Sprintf(warnInGit, n.inGit))
	}
	return append(list, s.warnSpecials(specials)...)
}

// What is told beside a diff.
const (
	warnRedacted = "the value of a secret is redacted in it: what was changed there cannot be applied from the patch"
	warnInGit    = "left out of the patch, as git takes nothing in a .git: %d"
	warnNoForm   = "left out of the patch, being empty directories or modes that git does not keep: %d"
)

// maxNamed is how many things a warning names.
const maxNamed = 10

func (s *supervisor) warnSpecials(specials []string) []string {
	if len(specials) == 0 {
		return nil
	}
	var names []string
	for _, name := range specials[:min(len(specials), maxNamed)] {
		names = append(names, s.redact(strconv.Quote(name)))
	}
	if more := len(specials) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return []string{"left out, being devices, FIFOs or sockets: " + strings.Join(names, ", ")}
}

// describe is what is known of a difference without its lines.
func describe(path string, old, now *side) api.DiffEntry {
	e := api.DiffEntry{Status: statusOf(old, now), Type: api.ArtifactType(now.kind)}
	e.SetPath(path)
	if !now.exists() {
		e.Type = api.ArtifactType(old.kind)
	}
	e.OldMode, e.OldTarget, e.OldSize = sideOf(old)
	e.NewMode, e.NewTarget, e.NewSize = sideOf(now)
	if old.kind == now.kind && old.kind != archive.KindSymlink && old.mode != now.mode {
		e.OldBits, e.NewBits = word(fmt.Sprintf("%04o", old.mode)), word(fmt.Sprintf("%04o", now.mode))
	}
	if why, flagged := autorun.Reason(path); flagged && now.exists() {
		e.Flagged = &why
	} else if now.why != "" {
		e.Flagged = &now.why
	}
	return e
}

func statusOf(old, now *side) api.DiffStatus {
	switch {
	case !old.exists():
		return api.DiffAdded
	case !now.exists():
		return api.DiffDeleted
	case old.kind != now.kind:
		return api.DiffTypeChanged
	}
	return api.DiffModified
}

func sideOf(d *side) (mode, target *string, size *int64) {
	switch d.kind {
	case archive.KindFile:
		return word(gitMode(d)), nil, &d.size
	case archive.KindSymlink:
		return word(gitMode(d)), word(strings.ToValidUTF8(d.target, "\uFFFD")), nil
	}
	return nil, nil, nil
}

// gitMode is the mode of a file or symlink as git writes it: of the bits it knows only
// whether the owner may execute.
func gitMode(d *side) string {
	switch {
	case d.kind == archive.KindSymlink:
		return "120000"
	case d.mode&0o100 != 0:
		return "100755"
	}
	return "100644"
}

func word(text string) *string { return &text }

// inGit reports whether git refuses a path in a patch: it or a part of it is, to some file
// system, a .git; or it is a link of git's own files.
func inGit(name string, now *side) bool {
	return slices.ContainsFunc(strings.Split(name, "/"), archive.IsGit) ||
		now.kind == archive.KindSymlink && strings.EqualFold(path.Base(name), ".gitmodules")
}

// patch is the same for a patch. What git has no form for is not there.
func (d *side) patch() patch.Side {
	switch {
	case d.kind == archive.KindSymlink:
		return patch.Link(d.target)
	case d.kind == archive.KindFile && d.content != nil:
		return patch.FileAt(d.mode, d.content, d.size)
	case d.kind == archive.KindFile: // the content is the same on both sides
		return patch.Bytes(d.mode, nil)
	}
	return patch.Side{}
}
