package wire

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

// ErrLineTooLong is in the chain of the error for a line beyond its cap.
var ErrLineTooLong = errors.New("line too long")

// ReadLine reads up to the next line feed and returns the line without it. What
// follows stays in r: read the raw bytes after the line from the same reader. The
// end of the stream ends a last line; before any byte it is io.EOF. A line of more
// than limit bytes is ErrLineTooLong, and no more than limit bytes of it are kept.
func ReadLine(r *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(bytes.TrimSuffix(part, []byte("\n"))) > limit {
			return nil, fmt.Errorf("%w: allowed are %d bytes", ErrLineTooLong, limit)
		}
		line = append(line, part...)
		switch {
		case err == nil:
			return line[:len(line)-1], nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(line) > 0:
			return line, nil
		default:
			return nil, err
		}
	}
}

// Receive reads and decodes the request of a connection that another goroutine
// does not read. The line must be there within the given time; afterwards the
// connection has no read deadline. r reads from conn, and what follows the line is
// to be read from r. Errors are those of DecodeRequest and ReadLine; the former
// are for the peer (Fail).
func Receive(conn net.Conn, r *bufio.Reader, within time.Duration) (Request, error) {
	if err := conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	line, err := ReadLine(r, MaxRequestLine)
	switch {
	case errors.Is(err, ErrLineTooLong):
		return nil, badRequest(fmt.Errorf("request %w", err))
	case err != nil:
		return nil, fmt.Errorf("read request: %w", err)
	}
	_ = conn.SetReadDeadline(time.Time{}) // a peer that is gone already is found out by the reply
	return DecodeRequest(line)
}

// Reply writes one of the reply structs as a line, with a single Write. The reply
// ends when the connection is closed.
func Reply(w io.Writer, reply any) error {
	line, err := encodeLine(reply)
	if err != nil {
		return fmt.Errorf("encode reply: %w", err)
	}
	if _, err := w.Write(line); err != nil {
		return fmt.Errorf("write reply: %w", err)
	}
	return nil
}

// encodeLine is v as JSON without escapes that JSON does not need, and a line feed.
func encodeLine(v any) ([]byte, error) {
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return line.Bytes(), err
}

// Fail writes err as a reply, cut to MaxErrorText.
func Fail(w io.Writer, err error) error {
	return Reply(w, FailureOf(err))
}

// FailureOf is err as it crosses the wire.
func FailureOf(err error) Failure {
	text := cutText(err.Error())
	if text == "" {
		text = api.KindOf(err).Error()
	}
	return Failure{Error: text, Kind: string(api.KindOf(err))}
}
