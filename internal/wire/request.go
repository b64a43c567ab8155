package wire

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/pyro-sandbox/pyro/api"
)

// Request is one of the pointers that DecodeRequest returns: *ExecRequest and the
// other structs of this package whose name ends in Request.
//
// The Lax fields of the base protocol take what the replaced product's agent took.
// The client of that product sends every key, with null for "not given", so no
// field is left out when one of these is encoded.
type Request interface{ request() }

// ExecRequest runs Command with /bin/sh -lc and answers with an ExecReply when it
// has ended. TimeoutSeconds <= 0 is a timeout that has already struck.
type ExecRequest struct {
	Action         string    `json:"action"`
	Command        LaxString `json:"command"`
	TimeoutSeconds LaxInt    `json:"timeout_seconds"` // 30
	Env            LaxEnv    `json:"env"`
}

// ExtractRequest unpacks the tar of ArchiveSize bytes that follows the request
// line; the answer is an ArchiveReply.
type ExtractRequest struct {
	Action      string    `json:"action"`
	Destination LaxString `json:"destination"` // /workspace
	ArchiveSize LaxInt    `json:"archive_size"`
}

// SecretsRequest replaces the guest's secrets by the files of the tar that follows,
// as in ExtractRequest; the answer is an ArchiveReply.
type SecretsRequest struct {
	Action      string `json:"action"`
	ArchiveSize LaxInt `json:"archive_size"`
}

// ExportRequest asks for a tar of Path. The answer is an ExportReply and, after its
// line, the bytes.
type ExportRequest struct {
	Action string    `json:"action"`
	Path   LaxString `json:"path"` // /workspace
}

// ListRequest lists a directory; the answer is a ListReply.
type ListRequest struct {
	Action    string    `json:"action"`
	Path      LaxString `json:"path"` // /workspace
	Recursive LaxBool   `json:"recursive"`
}

// ReadRequest reads a regular file of at most MaxBytes bytes; the answer is a
// ReadReply.
type ReadRequest struct {
	Action   string    `json:"action"`
	Path     LaxString `json:"path"`
	MaxBytes LaxInt    `json:"max_bytes"` // 1 to MaxFile; MaxFile
}

// WriteRequest replaces a regular file by Text or makes a new one; the answer is a
// WriteReply.
type WriteRequest struct {
	Action string    `json:"action"`
	Path   LaxString `json:"path"`
	Text   LaxString `json:"text"` // at most MaxFile bytes of UTF-8
}

// DeleteRequest removes a file or symlink; the answer is a DeleteReply.
type DeleteRequest struct {
	Action string    `json:"action"`
	Path   LaxString `json:"path"`
}

// OpenShellRequest starts a shell on a terminal; the answer is a ShellReply.
type OpenShellRequest struct {
	Action       string     `json:"action"`
	ShellID      LaxString  `json:"shell_id"`
	Cwd          LaxString  `json:"cwd"`  // /workspace
	Cols         LaxInt     `json:"cols"` // 120
	Rows         LaxInt     `json:"rows"` // 30
	Env          LaxEnv     `json:"env"`
	RedactValues LaxStrings `json:"redact_values"`
}

// ReadShellRequest reads a shell's output; the answer is a ReadShellReply.
type ReadShellRequest struct {
	Action   string    `json:"action"`
	ShellID  LaxString `json:"shell_id"`
	Cursor   LaxInt    `json:"cursor"`    // in code points
	MaxChars LaxInt    `json:"max_chars"` // in code points; 65536
}

// WriteShellRequest types into a shell; the answer is a WriteShellReply.
type WriteShellRequest struct {
	Action        string    `json:"action"`
	ShellID       LaxString `json:"shell_id"`
	Input         LaxString `json:"input"`
	AppendNewline LaxBool   `json:"append_newline"` // true
}

// SignalShellRequest sends a signal to what runs in a shell; the answer is a
// SignalShellReply.
type SignalShellRequest struct {
	Action  string    `json:"action"`
	ShellID LaxString `json:"shell_id"`
	Signal  LaxString `json:"signal"` // HUP, INT, TERM or KILL in either case; INT
}

// CloseShellRequest ends a shell; the answer is a CloseShellReply.
type CloseShellRequest struct {
	Action  string    `json:"action"`
	ShellID LaxString `json:"shell_id"`
}

// HelloRequest asks who answers; the answer is a Hello.
type HelloRequest struct {
	Action string `json:"action"`
}

func (*ExecRequest) request()        {}
func (*ExtractRequest) request()     {}
func (*SecretsRequest) request()     {}
func (*ExportRequest) request()      {}
func (*ListRequest) request()        {}
func (*ReadRequest) request()        {}
func (*WriteRequest) request()       {}
func (*DeleteRequest) request()      {}
func (*OpenShellRequest) request()   {}
func (*ReadShellRequest) request()   {}
func (*WriteShellRequest) request()  {}
func (*SignalShellRequest) request() {}
func (*CloseShellRequest) request()  {}
func (*HelloRequest) request()       {}
func (*StreamRequest) request()      {}
func (*PushRequest) request()        {}
func (*CompareRequest) request()     {}

// Defaults of request fields that are absent or null.
const (
	defaultRoot        = "/workspace"
	defaultExecSeconds = 30
	defaultCols        = 120
	defaultRows        = 30
	defaultMaxChars    = 65536
	defaultSignal      = "INT"
)

// newRequest returns the request of an action with its defaults, or nil for an
// action that does not exist.
func newRequest(action string) Request {
	switch action {
	case ActionExec:
		return &ExecRequest{Action: action, TimeoutSeconds: defaultExecSeconds}
	case ActionExtractArchive:
		return &ExtractRequest{Action: action, Destination: defaultRoot}
	case ActionInstallSecrets:
		return &SecretsRequest{Action: action}
	case ActionExportArchive:
		return &ExportRequest{Action: action, Path: defaultRoot}
	case ActionList:
		return &ListRequest{Action: action, Path: defaultRoot}
	case ActionReadFile:
		return &ReadRequest{Action: action, MaxBytes: MaxFile}
	case ActionWriteFile:
		return &WriteRequest{Action: action}
	case ActionDelete:
		return &DeleteRequest{Action: action}
	case ActionOpenShell:
		return &OpenShellRequest{Action: action, Cwd: defaultRoot, Cols: defaultCols, Rows: defaultRows}
	case ActionReadShell:
		return &ReadShellRequest{Action: action, MaxChars: defaultMaxChars}
	case ActionWriteShell:
		return &WriteShellRequest{Action: action, AppendNewline: true}
	case ActionSignalShell:
		return &SignalShellRequest{Action: action, Signal: defaultSignal}
	case ActionCloseShell:
		return &CloseShellRequest{Action: action}
	case ActionHello:
		return &HelloRequest{Action: action}
	case ActionStream:
		return &StreamRequest{Action: action}
	case ActionPush:
		return &PushRequest{Action: action, Destination: defaultRoot}
	case ActionCompare:
		return &CompareRequest{Action: action, Destination: defaultRoot}
	}
	return newLive(action)
}

// DecodeRequest decodes a request line, with or without its line feed. A missing
// action means ActionExec. Absent and null fields have their defaults, unknown
// fields are ignored, keys are told apart by case, and of a repeated key the last
// one counts, as the replaced product has it. Paths, names and limits are not
// checked here.
//
// The error is an api.Error: Invalid for what is no request, and Unsupported for
// an action that does not exist.
func DecodeRequest(line []byte) (Request, error) {
	if !utf8.Valid(line) {
		return nil, badRequest(errors.New("request is not UTF-8"))
	}
	fields, err := parseObject(line, lastWins)
	if err != nil {
		return nil, badRequest(fmt.Errorf("request %w", err))
	}
	action := LaxString(ActionExec)
	if err := fields.decode("action", &action); err != nil {
		return nil, badRequest(err)
	}
	req := newRequest(string(action))
	switch {
	case req == nil:
		return nil, &api.Error{Kind: api.Unsupported, Err: fmt.Errorf("unknown action %q", clip(string(action), 64))}
	}
	if err := fields.decodeStruct(req); err != nil {
		return nil, badRequest(err)
	}
	return req, nil
}

func badRequest(err error) error { return &api.Error{Kind: api.Invalid, Err: err} }
