package events

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/journal"
)

// Parts of a line, in order; the sum has eight hexadecimal digits.
const (
	sumPart   = `{"sum":"`
	sumDigits = 8
	eventPart = `","event":`
	lineEnd   = "}\n"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// stored is an api.Event as a line has it: what it does not say is left out.
type stored struct {
	Sequence        int64         `json:"sequence"`
	At              api.Timestamp `json:"at"`
	Kind            api.EventKind `json:"kind"`
	Name            *string       `json:"name,omitempty"`
	State           *string       `json:"state,omitempty"`
	Reason          *string       `json:"reason,omitempty"`
	Command         *string       `json:"command,omitempty"`
	CommandSequence *int          `json:"command_sequence,omitempty"`
	ExitCode        *int          `json:"exit_code,omitempty"`
	DurationMS      *int64        `json:"duration_ms,omitempty"`
	Path            *string       `json:"path,omitempty"`
	HostPath        *string       `json:"host_path,omitempty"`
	Entries         *int64        `json:"entries,omitempty"`
	Bytes           *int64        `json:"bytes,omitempty"`
	Detail          *string       `json:"detail,omitempty"`
}

// clip bounds the texts of an event.
func clip(e api.Event) api.Event {
	for _, text := range []**string{&e.Name, &e.State, &e.Reason, &e.Command, &e.Path, &e.HostPath, &e.Detail} {
		if *text != nil {
			short, _ := journal.Clip(**text, maxText)
			*text = new(strings.ToValidUTF8(short, "\ufffd"))
		}
	}
	return e
}

// encode makes the line of an event, with its line break.
func encode(e api.Event) ([]byte, error) {
	data, err := json.Marshal(stored(e))
	if err != nil {
		return nil, err
	}
	line := fmt.Appendf(nil, "%s%0*x%s%s%s", sumPart, sumDigits, crc32.Checksum(data, castagnoli), eventPart, data, lineEnd)
	if len(line) > maxLine {
		return nil, fmt.Errorf("a line of %d bytes", len(line))
	}
	return line, nil
}

// decode takes a line apart, without its line break; false for what encode has not made.
func decode(line []byte) (api.Event, bool) {
	var e stored
	rest, ok := bytes.CutPrefix(line, []byte(sumPart))
	if !ok || len(rest) < sumDigits || len(line) > maxLine {
		return api.Event{}, false
	}
	digits, rest := rest[:sumDigits], rest[sumDigits:]
	rest, ok1 := bytes.CutPrefix(rest, []byte(eventPart))
	data, ok2 := bytes.CutSuffix(rest, []byte("}"))
	if !ok1 || !ok2 || string(digits) != fmt.Sprintf("%0*x", sumDigits, crc32.Checksum(data, castagnoli)) {
		return api.Event{}, false
	}
	if json.Unmarshal(data, &e) != nil || e.Sequence < 1 {
		return api.Event{}, false
	}
	return api.Event(e), true
}
