package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"

	"github.com/pyro-sandbox/pyro/api"
)

// The events of a command.
const (
	eventBegin = "begin"
	eventAgain = "again" // a begin repeated, because its line is soon to be dropped
	eventEnd   = "end"
)

// Parts of a line, in order; the sum has eight hexadecimal digits. Readers find event
// and sequence without parsing what may be megabytes of output.
const (
	sumPart      = `{"sum":"`
	sumDigits    = 8
	sumEnd       = `",`
	eventPart    = `"event":"`
	sequencePart = `","sequence":`
	entryPart    = `,"entry":`

	headLength = len(sumPart) + sumDigits + len(sumEnd)

	maxSequence = 1 << 53 // JSON numbers are exact up to here, RFC 8259 section 6
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func sum(rest []byte) []byte { return fmt.Appendf(nil, "%08x", crc32.Checksum(rest, castagnoli)) }

// head is what can be told of a line without parsing its entry.
type head struct {
	event    string
	sequence int
}

// encode makes the line of an entry. What is too long is clipped: texts at their
// limits, and the outputs further where escapes make six bytes of one.
func encode(event string, e api.LogEntry) ([]byte, error) {
	if e.Sequence < 1 || e.Sequence > maxSequence {
		return nil, fmt.Errorf("sequence is %d", e.Sequence)
	}
	e.Command, _ = Clip(e.Command, MaxCommand)
	e.Cwd, _ = Clip(e.Cwd, maxCwd)
	for limit := MaxStream; limit >= minStream; limit /= 2 {
		line, err := seal(event, clip(e, limit))
		if err != nil || len(line) <= maxLine {
			return line, err
		}
	}
	return nil, errors.New("it does not fit into a line")
}

func clip(e api.LogEntry, limit int) api.LogEntry {
	for _, stream := range []struct {
		text      *string
		truncated *bool
	}{{&e.Stdout, &e.StdoutTruncated}, {&e.Stderr, &e.StderrTruncated}} {
		text, cut := Clip(*stream.text, limit)
		*stream.text, *stream.truncated = text, *stream.truncated || cut
	}
	return e
}

// seal writes an entry as a line, with its line break.
func seal(event string, e api.LogEntry) ([]byte, error) {
	var line bytes.Buffer
	line.Grow(len(e.Command) + len(e.Stdout) + len(e.Stderr) + 1<<10)
	line.WriteString(sumPart + "00000000" + sumEnd + eventPart + event + sequencePart + strconv.Itoa(e.Sequence) + entryPart)
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, err
	}
	line.Truncate(line.Len() - 1) // the encoder's line break
	line.WriteString("}\n")
	data := line.Bytes()
	copy(data[len(sumPart):], sum(data[headLength:len(data)-1]))
	return data, nil
}

// parse takes a line apart, without its line break. It returns false for anything
// that seal has not written.
func parse(line []byte) (h head, entry []byte, ok bool) {
	if len(line) < headLength || !bytes.HasPrefix(line, []byte(sumPart)) {
		return head{}, nil, false
	}
	digits, rest := line[len(sumPart):headLength], line[headLength:]
	if !bytes.Equal(digits, append(sum(rest), sumEnd...)) {
		return head{}, nil, false
	}
	rest, ok = bytes.CutPrefix(rest, []byte(eventPart))
	event, rest, ok1 := bytes.Cut(rest, []byte(sequencePart))
	number, rest, ok2 := bytes.Cut(rest, []byte(entryPart))
	entry, ok3 := bytes.CutSuffix(rest, []byte("}"))
	sequence, err := strconv.Atoi(string(number))
	if !ok || !ok1 || !ok2 || !ok3 || err != nil || sequence < 1 || sequence > maxSequence {
		return head{}, nil, false
	}
	switch h = (head{event: string(event), sequence: sequence}); h.event {
	case eventBegin, eventAgain, eventEnd:
		return h, entry, true
	default:
		return head{}, nil, false
	}
}

// decode returns the entry of a line.
func decode(line []byte) (api.LogEntry, error) {
	h, entry, ok := parse(line)
	if !ok {
		return api.LogEntry{}, errors.New("no line of a journal")
	}
	var e api.LogEntry
	if err := json.Unmarshal(entry, &e); err != nil {
		return api.LogEntry{}, err
	}
	if e.Sequence != h.sequence {
		return api.LogEntry{}, fmt.Errorf("sequence is %d and %d", h.sequence, e.Sequence)
	}
	if h.event != eventEnd {
		unknown := api.EndedUnknown
		e.ExitCode, e.Reason = unknownExit, &unknown
	}
	return e, nil
}

const unknownExit = -1

// Unfinished reports whether nobody noted the end of a command: it is still running,
// or its supervisor or its sandbox was gone before it ended. Whoever runs the
// workspace knows which of the two, by the sequence.
func Unfinished(e api.LogEntry) bool {
	return e.ExitCode == unknownExit && e.Reason != nil && *e.Reason == api.EndedUnknown
}
