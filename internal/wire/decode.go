package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/pyro-sandbox/pyro/api"
)

// checker is a reply that knows what it may not say.
type checker interface{ check() error }

// decodeReply decodes an agent's reply into the struct that into points to, which
// holds the defaults. A reply that carries an error becomes that error; one that is
// no reply is ErrProtocol. The caller puts the name of the operation before it.
func decodeReply(data []byte, into any) error {
	if !utf8.Valid(data) {
		return violated(errors.New("is no JSON object in UTF-8"))
	}
	fields, err := parseObject(data, refused)
	if err != nil {
		return violated(err)
	}
	if err := fields.failure(); err != nil {
		return err
	}
	if err := fields.decodeStruct(into); err != nil {
		return violated(fmt.Errorf("is a JSON object with a bad %w", err))
	}
	if c, ok := into.(checker); ok {
		if err := c.check(); err != nil {
			return violated(fmt.Errorf("is a JSON object with a bad %w", err))
		}
	}
	return nil
}

func violated(err error) error {
	return fmt.Errorf("%w: the agent's reply %w", ErrProtocol, err)
}

// failure is the error that the reply carries, or nil. Its text is the agent's own,
// cut to MaxErrorText.
func (o object) failure() error {
	raw, ok := o["error"]
	if !ok || string(raw) == "null" {
		return nil
	}
	var text, kind LaxString
	if err := text.UnmarshalJSON(raw); err != nil {
		return violated(fmt.Errorf("is a JSON object with a bad error: %w", err))
	}
	_ = o.decode("kind", &kind) // cannot fail: every JSON value is a LaxString
	if text == "" {
		text = "the agent failed and did not say why"
	}
	return &api.Error{Kind: kindFrom(string(kind)), Err: errors.New(cutText(string(text)))}
}

// cutText cuts the text of an error to MaxErrorText, and says so in it.
func cutText(text string) string {
	const mark = " … (truncated)"
	if text = clip(text, MaxErrorText+1); len(text) <= MaxErrorText {
		return text
	}
	return clip(text, MaxErrorText-len(mark)) + mark
}

// kindFrom takes a kind from the wire; one that is unknown or missing (the replaced
// product's agent names none) counts as Internal.
func kindFrom(name string) api.Kind {
	known := []api.Kind{
		api.Invalid, api.NotFound, api.Exists, api.Conflict, api.Unsupported,
		api.Unavailable, api.Timeout, api.Denied, api.Canceled,
	}
	if kind := api.Kind(name); slices.Contains(known, kind) {
		return kind
	}
	return api.Internal
}

// UnmarshalJSON implements json.Unmarshaler. It stops at the first element that is
// no entry, so that a list of nothing cannot grow.
func (e *Entries) UnmarshalJSON(raw []byte) error {
	if kindOf(raw) != '[' {
		return errors.New("is no list")
	}
	list := Entries{}
	for rest := skipSpace(raw[1:]); rest[0] != ']'; {
		var item []byte
		item, rest = cutValue(rest)
		rest = skipComma(rest)
		entry, err := decodeEntry(item)
		if err != nil {
			return fmt.Errorf("entry %d %w", len(list), err)
		}
		list = append(list, entry)
	}
	*e = list
	return nil
}

func decodeEntry(raw json.RawMessage) (Entry, error) {
	var entry Entry
	fields, err := parseObject(raw, refused)
	if err != nil {
		return entry, err
	}
	if err := fields.decodeStruct(&entry); err != nil {
		return entry, err
	}
	if entry.Path == "" {
		return entry, errors.New("has no path")
	}
	return entry, errors.Join(checkType(entry.ArtifactType), notNegative("size_bytes", entry.SizeBytes))
}

func (r *ExecReply) check() error { return notNegative("duration_ms", r.DurationMS) }

func (r *ArchiveReply) check() error {
	return errors.Join(notNegative("entry_count", r.EntryCount), notNegative("bytes_written", r.BytesWritten))
}

func (r *ExportReply) check() error {
	return errors.Join(
		checkType(r.ArtifactType),
		notNegative("archive_size", r.ArchiveSize),
		notNegative("entry_count", r.EntryCount),
		notNegative("bytes_written", r.BytesWritten),
	)
}

func (r *ListReply) check() error { return checkType(r.ArtifactType) }

func (r *WriteReply) check() error {
	return errors.Join(notNegative("size_bytes", r.SizeBytes), notNegative("bytes_written", r.BytesWritten))
}

func (r *ShellReply) check() error {
	if r.State != ShellRunning && r.State != ShellStopped {
		return fmt.Errorf("state: %q", clip(r.State, 64))
	}
	return errors.Join(notNegative("cols", int64(r.Cols)), notNegative("rows", int64(r.Rows)))
}

func (r *ReadShellReply) check() error {
	if r.Cursor < 0 || r.NextCursor < r.Cursor {
		return fmt.Errorf("cursor: from %d to %d", r.Cursor, r.NextCursor)
	}
	return errors.Join(r.ShellReply.check(), notNegative("skipped_chars", r.SkippedChars))
}

func (r *WriteShellReply) check() error {
	return errors.Join(r.ShellReply.check(), notNegative("input_length", r.InputLength))
}

// noCode is an Exit.Code that was not said.
const noCode = math.MinInt

func (r *Exit) check() error {
	if r.Code == noCode {
		return errors.New("exit_code: is missing")
	}
	// Exit statuses have eight bits, and Linux has 64 signals.
	if r.Code < -64 || r.Code > 255 {
		return fmt.Errorf("exit_code: %d", r.Code)
	}
	return errors.Join(notNegative("duration_ms", r.DurationMS), notNegative("duration_us", r.DurationUS))
}

func checkType(t ArtifactType) error {
	switch t {
	case File, Directory, Symlink:
		return nil
	}
	return fmt.Errorf("artifact_type: %q", clip(string(t), 64))
}

func notNegative(name string, v int64) error {
	if v < 0 {
		return fmt.Errorf("%s: %d is negative", name, v)
	}
	return nil
}
