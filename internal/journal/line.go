package journal

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"

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
	resetsPart   = `,"resets":` // only where there were some
	entryPart    = `,"entry":`

	headLength = len(sumPart) + sumDigits + len(sumEnd)

	maxSequence = 1 << 53 // JSON numbers are exact up to here, RFC 8259 section 6
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func sum(rest []byte) []byte { return fmt.Appendf(nil, "%08x", crc32.Checksum(rest, castagnoli)) }

// head is what can be told of a line without parsing its entry.
type head struct {
	event string
	number
}

// number tells commands apart. After each reset of the workspace sequences begin at 1.
type number struct{ resets, sequence int }

func numberOf(e *api.LogEntry) number { return number{e.ResetCount, e.Sequence} }

// compare orders by time.
func (n number) compare(other number) int {
	return cmp.Or(cmp.Compare(n.resets, other.resets), cmp.Compare(n.sequence, other.sequence))
}

// encode makes the line of an entry. What is too long is clipped: texts at their
// limits, and the outputs further where escapes make six bytes of one.
func encode(event string, e api.LogEntry) ([]byte, error) {
	if e.Sequence < 1 || e.Sequence > maxSequence {
		return nil, fmt.Errorf("sequence is %d", e.Sequence)
	}
	if e.ResetCount < 0 || e.ResetCount > maxSequence {
		return nil, fmt.Errorf("reset count is %d", e.ResetCount)
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
	line.WriteString(sumPart + "00000000" + sumEnd + eventPart + event + sequencePart + strconv.Itoa(e.Sequence))
	if e.ResetCount > 0 {
		line.WriteString(resetsPart + strconv.Itoa(e.ResetCount))
	}
	line.WriteString(entryPart)
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
	digits, rest, ok2 := bytes.Cut(rest, []byte(entryPart))
	entry, ok3 := bytes.CutSuffix(rest, []byte("}"))
	n, ok4 := parseNumber(digits)
	if !ok || !ok1 || !ok2 || !ok3 || !ok4 {
		return head{}, nil, false
	}
	switch h = (head{event: string(event), number: n}); h.event {
	case eventBegin, eventAgain, eventEnd:
		return h, entry, true
	default:
		return head{}, nil, false
	}
}

// parseNumber reads a sequence, and the number of resets behind it.
func parseNumber(text []byte) (n number, ok bool) {
	digits, resets, later := strings.Cut(string(text), resetsPart)
	var err, badResets error
	n.sequence, err = strconv.Atoi(digits)
	if later {
		n.resets, badResets = strconv.Atoi(resets)
	}
	bad := err != nil || badResets != nil || n.sequence < 1 || n.sequence > maxSequence
	return n, !bad && (!later || n.resets >= 1 && n.resets <= maxSequence)
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
	if numberOf(&e) != h.number {
		return api.LogEntry{}, fmt.Errorf("its number is %v and %v", h.number, numberOf(&e))
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
