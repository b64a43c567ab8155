package httpapi

import (
	"encoding/json"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/pyro-sandbox/pyro/api"
)

const introduction = `pyro runs disposable Linux workspaces on this machine: each is a sandbox with a project in /workspace, which lives until it is deleted or its time is over.

- The server is ` + "`pyro serve`" + `. On a unix socket whoever may open the socket may call it; over TCP every request needs the token.
- A request body is JSON in UTF-8 unless another type is described. Unknown fields and unknown query parameters are refused; a field that is null is as good as absent. In an answer a field is never left out, it is null; fields are added over time, and a client ignores those it does not know.
- What fails is answered with an ErrorReply, whose kind tells what the caller can do about it.
- Moments are Unix seconds, sizes are bytes unless the name says MiB.
- Where an operation answers with frames (x-pyro-frames), the request asks for an upgrade of the connection to pyro-frames/1. A frame is a letter, four bytes of length in network order, and at most 1048576 bytes of payload. The stream ends with an x or an f.
- What comes out of a workspace (output, files, archives, names) is the word of whatever runs in it, and not to be trusted.
- Below /v1 changes are additions only.`

// about is what is to be said of operations beyond their summary.
var about = map[string]string{
	"createWorkspace": "The answer comes when the workspace is ready. A seed comes as the second part of a multipart request, streamed; its origin stands in the request's `seed`. With `lease=true` the answer stays open after the JSON, and the workspace is deleted when either side closes the connection.",
	"openapi":         "This document.",
	"metrics":         "The text format of Prometheus, version 0.0.4.",
	"mcpSend":         "Streamable HTTP of the Model Context Protocol: one JSON-RPC message. `pyro serve --no-mcp` has none.",
	"mcpListen":       "Streamable HTTP of the Model Context Protocol: what the server has to say by itself, as server-sent events. `pyro serve --no-mcp` has none.",
	"mcpEnd":          "Streamable HTTP of the Model Context Protocol.",
	"exec":            "Without an upgrade the answer comes when the command has ended, with at most 8 MiB of each stream; stdin and a terminal need an upgrade. When the client closes the connection the command is killed.",
	"run":             "The workspace is deleted when the command has ended, and when the client closes the connection.",
	"stopWorkspace":   "When the client closes the connection before the disk is saved, it is called off.",
	"startService":    "The answer comes when the service is ready or has failed: see its `state` and `error`.",
	"updateWorkspace": "At least one field has to say something.",
	"push":            "The archive is one that pyro made: a strict pax archive. The agent refuses anything else.",
	"comparePush":     "Both are meant for pyro's own clients: a push asks first what differs, and sends that.",
	"changes":         "For programs that bring changes back to a project. Nothing is redacted, nothing is left out.",
	"exportTree":      "Whoever unpacks the archive has to take it for hostile.",
	"listDisk":        "The workspace has to be stopped.",
	"readDisk":        "The workspace has to be stopped.",
	"exportDisk":      "The workspace has to be stopped. Whoever unpacks the archive has to take it for hostile.",
	"setSecret":       "Commands that run find it in /run/pyro-secrets at once. No answer ever holds a value.",
	"forkWorkspace":   "The copies are independent of it, and of each other.",
	"execVM":          "The VM has to be started.",
	"readShell":       "Go on from `next_cursor`.",
}

var streamAbout = map[string]string{
	"writeFile":   "What the file is to hold.",
	"applyPatch":  "What `git diff` or `diff -u` prints.",
	"push":        "The tree, as a strict pax archive.",
	"comparePush": "A line of JSON for each member of the tree.",
}

var tags = []oaTag{
	{tagServer, "The server and the machine that it runs on."},
	{tagWorkspace, "Workspaces and their lives."},
	{tagCommand, "Commands, and what came of them."},
	{tagFile, "Files: one by one, as trees, as diffs and patches."},
	{tagShell, "Interactive shells."},
	{tagService, "Programs that go on, and their ports."},
	{tagSecret, "Secrets, which come out nowhere."},
	{tagState, "Earlier states, and copies."},
	{tagReport, "What was done and what happened."},
	{tagDisk, "The disks of stopped workspaces."},
	{tagVM, "Sandboxes for one command, made and started by hand."},
}

// opened are the answers that are not our JSON.
var opened = map[string]map[string]*oaResponse{
	"openapi":   {"200": {Description: "OpenAPI 3.1", Content: map[string]oaMedia{typeJSON: {Schema: &jsonschema.Schema{Type: "object"}}}}},
	"metrics":   {"200": {Description: "Metrics", Content: map[string]oaMedia{"text/plain": {Schema: &jsonschema.Schema{Type: "string"}}}}},
	"mcpListen": mcpAnswers,
	"mcpSend":   mcpAnswers,
	"mcpEnd":    mcpAnswers,
}

var (
	mcpAnswers = map[string]*oaResponse{
		"200": {Description: "What the protocol says", Content: map[string]oaMedia{typeJSON: {}, "text/event-stream": {}, "text/plain": {}}},
		"202": {Description: "Taken"}, "204": {Description: "Ended"},
		"400": mcpRefused, "404": mcpRefused, "405": mcpRefused, "406": mcpRefused, "413": mcpRefused, "415": mcpRefused,
	}
	mcpRefused = &oaResponse{Description: "Not what the protocol says", Content: map[string]oaMedia{typeJSON: {}, "text/plain": {}}}

	opaque = map[string]*oaBody{
		"mcpSend": {Required: true, Content: map[string]oaMedia{typeJSON: {Schema: &jsonschema.Schema{Type: "object"}}}},
	}
)

// requestExamples are requests by operation and name.
var requestExamples = map[string]map[string]any{
	"createWorkspace": {
		"empty": api.CreateRequest{Environment: "host"},
		"named": api.CreateRequest{Environment: "host", Name: "tests of the parser", Labels: map[string]string{"repo": "parser"}, MemMiB: 2048, TTLSeconds: 1800},
	},
	"exec": {
		"program":    api.ExecRequest{Argv: []string{"python3", "-c", "print(2 + 2)"}},
		"shell line": api.ExecRequest{Command: "make test 2>&1 | tail -n 20", Env: map[string]string{"CI": "1"}, TimeoutSeconds: 600},
	},
	"run": {
		"one command": api.RunRequest{Workspace: api.CreateRequest{Environment: "host"}, Exec: api.ExecRequest{Argv: []string{"uname", "-a"}}},
	},
	"prepare":         {"host": api.PrepareRequest{Environment: "host"}},
	"updateWorkspace": {"longer": api.UpdateRequest{TTLSeconds: 3600}},
	"stopWorkspace":   {"saved": api.StopRequest{}},
	"startWorkspace":  {"saved": api.StartRequest{}},
	"resetWorkspace":  {"baseline": api.ResetRequest{}},
	"forkWorkspace":   {"two": api.ForkRequest{Name: "attempt", Count: 2}},
	"makeDirectory":   {"with those above": api.FileMkdirRequest{Path: "src/new", Parents: true}},
	"moveFile":        {"renamed": api.FileMoveRequest{From: "a.txt", To: "b.txt"}},
	"openShell":       {"default": api.ShellOpenRequest{}},
	"writeShell":      {"a line": api.ShellWriteRequest{Input: "ls -l", AppendNewline: true}},
	"signalShell":     {"interrupt": api.ShellSignalRequest{Signal: "INT"}},
	"resizeShell":     {"small": api.TerminalSize{Cols: 80, Rows: 24}},
	"startService": {
		"web": api.ServiceStartRequest{
			ServiceName: "web", Argv: []string{"python3", "-m", "http.server", "8080"},
			Readiness: &api.Readiness{Type: api.ReadyTCP, Address: "127.0.0.1:8080"},
		},
	},
	"setSecret":      {"token": map[string]any{"value": "s3cr3t", "source_kind": api.SecretLiteral}},
	"createSnapshot": {"named": api.SnapshotRequest{SnapshotName: "before-migration"}},
	"createVM":       {"host": api.CreateRequest{Environment: "host"}},
	"execVM":         {"program": api.ExecRequest{Argv: []string{"id"}}},
}

// answerExamples are answers by operation and name.
var answerExamples = map[string]map[string]any{
	"hello": {"hello": api.Hello{Version: "1.0.0", API: api.APIVersion, Capabilities: []string{"create", "exec", "exec-frames"}}},
	"exec": {
		"ended": api.WorkspaceExec{
			WorkspaceID: "3f9c2a7b10de", Environment: "host", Command: `python3 -c 'print(2 + 2)'`, Stdout: "4\n", DurationMS: 38,
			ExecutionMode: api.ModeGuestVsock, Sequence: 1, Cwd: api.WorkspacePath,
		},
	},
	"deleteWorkspace": {"deleted": api.WorkspaceDelete{WorkspaceID: "3f9c2a7b10de", Deleted: true, Reason: api.ReasonExplicitDelete}},
}

// links say what can be done with what an operation has made.
var links = map[string]map[string]oaLink{
	"createWorkspace": {
		"get":    {"getWorkspace", map[string]string{"id": "$response.body#/workspace_id"}, "Show it"},
		"exec":   {"exec", map[string]string{"id": "$response.body#/workspace_id"}, "Run a command in it"},
		"delete": {"deleteWorkspace", map[string]string{"id": "$response.body#/workspace_id"}, "Remove it"},
	},
	"openShell": {
		"read":  {"readShell", map[string]string{"id": "$response.body#/workspace_id", "shell": "$response.body#/shell_id"}, "Read what it prints"},
		"write": {"writeShell", map[string]string{"id": "$response.body#/workspace_id", "shell": "$response.body#/shell_id"}, "Type into it"},
		"close": {"closeShell", map[string]string{"id": "$response.body#/workspace_id", "shell": "$response.body#/shell_id"}, "End it"},
	},
	"startService": {
		"logs": {"serviceLogs", map[string]string{"id": "$response.body#/workspace_id", "service": "$response.body#/service_name"}, "Read what it prints"},
		"stop": {"stopService", map[string]string{"id": "$response.body#/workspace_id", "service": "$response.body#/service_name"}, "End it"},
	},
	"createVM": {
		"start":  {"startVM", map[string]string{"id": "$response.body#/vm_id"}, "Start it"},
		"delete": {"deleteVM", map[string]string{"id": "$response.body#/vm_id"}, "Remove it"},
	},
}

// examples are values under their names. Null and what is left out are the same in them.
func examples(values map[string]any) map[string]oaExample {
	if values == nil {
		return nil
	}
	made := make(map[string]oaExample)
	for name, value := range values {
		text, err := json.Marshal(value)
		if err != nil {
			panic(err)
		}
		made[name] = oaExample{Summary: name, Value: json.RawMessage(text)}
	}
	return made
}
