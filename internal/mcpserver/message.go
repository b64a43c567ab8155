package mcpserver

import (
	"bytes"
	"encoding/json"
	"slices"
)

// Error codes of JSON-RPC 2.0, section 5.1.
const (
	codeParseError     = -32700
	codeInvalidRequest = -32600
	codeInvalidParams  = -32602
)

// message is what the guard needs to know of a line.
type message struct {
	id     json.RawMessage // nil: it has none that could be answered
	isCall bool            // it wants an answer
}

// refusal is why a line is no message.
type refusal struct {
	code int
	text string
}

// checkMessage reads a line as one JSON-RPC message; see
// https://modelcontextprotocol.io/specification/2025-11-25/basic. A refusal carries the
// id where it could be read.
func checkMessage(line []byte) (message, *refusal) {
	var fields map[string]json.RawMessage
	switch {
	case !json.Valid(line):
		return message{}, &refusal{codeParseError, "parse error: the line is not valid JSON"}
	case json.Unmarshal(line, &fields) != nil || fields == nil:
		return message{}, &refusal{codeInvalidRequest, "invalid request: not a JSON object (batches are not supported)"}
	}
	var m message
	id, hasID := fields["id"]
	if hasID {
		if !isID(id) {
			return m, &refusal{codeInvalidRequest, "invalid request: id must be a string or an integer"}
		}
		m.id = id
	}
	method, hasMethod := fields["method"]
	m.isCall = hasID && hasMethod
	return m, checkFields(fields, method, hasMethod)
}

func checkFields(fields map[string]json.RawMessage, method json.RawMessage, hasMethod bool) *refusal {
	params, hasParams := fields["params"]
	switch {
	case string(fields["jsonrpc"]) != `"2.0"`:
		return &refusal{codeInvalidRequest, `invalid request: jsonrpc must be "2.0"`}
	case !hasMethod && fields["result"] == nil && fields["error"] == nil:
		return &refusal{codeInvalidRequest, "invalid request: no method"}
	case hasMethod && method[0] != '"':
		return &refusal{codeInvalidRequest, "invalid request: method must be a string"}
	case hasMethod && hasParams && params[0] != '{':
		return &refusal{codeInvalidParams, "invalid params: params must be an object"}
	}
	return nil
}

func isID(raw json.RawMessage) bool {
	var text string
	var number int64
	return string(raw) != "null" && (json.Unmarshal(raw, &text) == nil || json.Unmarshal(raw, &number) == nil)
}

// withCode gives an error of the library that has the code 0 the one of an invalid
// request.
func withCode(line []byte) []byte {
	if !bytes.Contains(line, []byte(`"error":{"code":0,`)) {
		return line
	}
	var fields, failure map[string]json.RawMessage
	if json.Unmarshal(line, &fields) != nil || json.Unmarshal(fields["error"], &failure) != nil || string(failure["code"]) != "0" {
		return line
	}
	var err error
	failure["code"] = json.RawMessage("-32600")
	if fields["error"], err = json.Marshal(failure); err != nil {
		return line
	}
	fixed, err := json.Marshal(fields)
	if err != nil {
		return line
	}
	return slices.Concat(fixed, []byte("\n"))
}
