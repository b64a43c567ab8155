package mcpserver

import (
	"encoding/json"
	"errors"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

// message is what the guard needs to know of a line.
type message struct {
	id   json.RawMessage // as the line has it; nil: there is none that could be answered
	call jsonrpc.ID      // of a request, as its answer will carry it; invalid: it wants none
}

// refusal is why a line is no message.
type refusal struct {
	code int
	text string
}

func invalid(why string) *refusal {
	return &refusal{jsonrpc.CodeInvalidRequest, "invalid request: " + why}
}

// checkMessage reads a line as one JSON-RPC message; see
// https://modelcontextprotocol.io/specification/2025-11-25/basic. A refusal carries the
// id where it could be read. What is not refused, the library can decode.
func checkMessage(line []byte) (message, *refusal) {
	var fields map[string]json.RawMessage
	switch {
	case !json.Valid(line):
		return message{}, &refusal{jsonrpc.CodeParseError, "parse error: the line is not valid JSON"}
	case json.Unmarshal(line, &fields) != nil || fields == nil:
		return message{}, invalid("not a JSON object (batches are not supported)")
	}
	var m message
	if id, found := fields["id"]; found {
		if !isID(id) {
			return m, invalid("id must be a string or an integer of at most 53 bits")
		}
		m.id = id
	}
	if bad := checkFields(fields); bad != nil {
		return m, bad
	}
	decoded, err := jsonrpc.DecodeMessage(line)
	if err != nil { // as for a nesting that is too deep, or an answer that is none
		if fields["method"] == nil {
			m.id = nil // it is one of ours: an answer to it would be taken for one of theirs
		}
		return m, invalid("no request, notification or answer can be read from it")
	}
	if request, ok := decoded.(*jsonrpc.Request); ok {
		m.call = request.ID
	}
	return m, nil
}

func checkFields(fields map[string]json.RawMessage) *refusal {
	method, hasMethod := fields["method"]
	params, hasParams := fields["params"]
	switch {
	case string(fields["jsonrpc"]) != `"2.0"`:
		return invalid(`jsonrpc must be "2.0"`)
	case !hasMethod && fields["result"] == nil && fields["error"] == nil:
		return invalid("no method")
	case hasMethod && method[0] != '"':
		return invalid("method must be a string")
	case hasMethod && hasParams && params[0] != '{':
		return &refusal{jsonrpc.CodeInvalidParams, "invalid params: params must be an object"}
	}
	return nil
}

// maxID is the largest number that every JSON library keeps as it is, this server's
// among them; see RFC 8259, section 6.
const maxID = 1<<53 - 1

func isID(raw json.RawMessage) bool {
	var text string
	var number int64
	switch {
	case string(raw) == "null":
		return false
	case json.Unmarshal(raw, &text) == nil:
		return true
	}
	return json.Unmarshal(raw, &number) == nil && -maxID <= number && number <= maxID
}

// outgoing is what the guard needs to know of a message that the library writes: its line,
// and the request that it answers, if it is an answer.
func outgoing(line []byte) (fixed []byte, answered jsonrpc.ID) {
	m, err := jsonrpc.DecodeMessage(line)
	if err != nil {
		return line, jsonrpc.ID{}
	}
	answer, ok := m.(*jsonrpc.Response)
	if !ok {
		return line, jsonrpc.ID{}
	}
	return withCode(line, answer), answer.ID
}

// withCode gives an error that the library has no code for the one of an invalid request.
func withCode(line []byte, answer *jsonrpc.Response) []byte {
	failure, ok := errors.AsType[*jsonrpc.Error](answer.Error)
	if !ok || failure.Code != 0 {
		return line
	}
	failure.Code = jsonrpc.CodeInvalidRequest
	fixed, err := jsonrpc.EncodeMessage(answer)
	if err != nil {
		return line
	}
	return append(fixed, '\n')
}
