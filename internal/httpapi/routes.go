package httpapi

import (
	"net/http"
	"slices"

	"github.com/pyro-sandbox/pyro/api"
)

// route is one thing that can be asked.
type route struct {
	method  string
	path    string // as http.ServeMux has it
	id      string // of the operation, the same for all time
	tag     string
	summary string

	query  any    // a value of a struct whose fields have tags, see routes_query.go; nil: none
	body   any    // the zero value of what the body is in JSON; nil: there is none
	stream string // the content type of a body that is bytes of any length, in place of or beside JSON
	answer any    // the zero value of the JSON answer; nil where there are only frames

	// frames says that it answers with api.Frames where the request asks for that upgrade;
	// without an answer, it must. end is the JSON of the last frame.
	frames bool
	end    any

	serve func(*Server, http.ResponseWriter, *http.Request)

	endless bool     // it has no end of its own, so that none is waited for
	stopped fallback // what answers where there is no supervisor; nil: nothing does
	open    bool     // the answer is no JSON, or not of ours
}

// The groups of routes, in the order in which they are described.
const (
	tagServer    = "server"
	tagWorkspace = "workspaces"
	tagCommand   = "commands"
	tagFile      = "files"
	tagShell     = "shells"
	tagService   = "services"
	tagSecret    = "secrets"
	tagState     = "snapshots"
	tagReport    = "reports"
	tagDisk      = "disk"
	tagVM        = "vms"
)

// The content types of bodies that are no JSON.
const (
	typeBytes     = "application/octet-stream"
	typeTar       = "application/x-tar"
	typePatch     = "text/x-patch"
	typeLines     = "application/x-ndjson"
	typeMultipart = "multipart/form-data"
)

// routes is all that can be asked. It is a function, because what serves a route may look
// at it.
func routes() []route {
	return slices.Concat(
		serverRoutes(), workspaceRoutes(), commandRoutes(), fileRoutes(), treeRoutes(),
		shellRoutes(), serviceRoutes(), secretRoutes(), stateRoutes(), reportRoutes(), diskRoutes(), vmRoutes(),
	)
}

func serverRoutes() []route {
	return []route{
		{method: "GET", path: "/v1/hello", id: "hello", tag: tagServer, summary: "Say which server this is", answer: api.Hello{}, serve: (*Server).serveHello},
		{method: "GET", path: "/v1/openapi.json", id: "openapi", tag: tagServer, summary: "Describe this API in OpenAPI 3.1", open: true, serve: (*Server).serveOpenAPI},
		{method: "GET", path: "/metrics", id: "metrics", tag: tagServer, summary: "Count requests and workspaces, in the text format of Prometheus", open: true, serve: (*Server).serveMetrics},
		{method: "GET", path: "/mcp", id: "mcpListen", tag: tagServer, summary: "Listen to the Model Context Protocol", open: true, endless: true, serve: (*Server).serveMCP},
		{method: "POST", path: "/mcp", id: "mcpSend", tag: tagServer, summary: "Speak the Model Context Protocol", open: true, serve: (*Server).serveMCP},
		{method: "DELETE", path: "/mcp", id: "mcpEnd", tag: tagServer, summary: "End a session of the Model Context Protocol", open: true, serve: (*Server).serveMCP},
		{method: "GET", path: "/v1/environments", id: "listEnvironments", tag: tagServer, summary: "List the root file systems that there are", answer: api.EnvironmentList{}, serve: (*Server).serveEnvironments},
		{method: "GET", path: "/v1/doctor", id: "doctor", tag: tagServer, summary: "Find out what the machine can run, and what it lacks", query: doctorQuery{}, answer: api.Doctor{}, serve: (*Server).serveDoctor},
		{method: "POST", path: "/v1/prepare", id: "prepare", tag: tagServer, summary: "Try an environment out", body: api.PrepareRequest{}, answer: api.Prepare{}, serve: (*Server).servePrepare},
		{method: "POST", path: "/v1/run", id: "run", tag: tagServer, summary: "Run one command in a workspace of its own", body: api.RunRequest{}, answer: api.VMExec{}, serve: (*Server).serveRun},
	}
}

func workspaceRoutes() []route {
	return []route{
		{method: "GET", path: "/v1/workspaces", id: "listWorkspaces", tag: tagWorkspace, summary: "List workspaces, the most recently used first", answer: api.WorkspaceList{}, serve: (*Server).serveList},
		{method: "POST", path: "/v1/workspaces", id: "createWorkspace", tag: tagWorkspace, summary: "Make and start a workspace", query: createQuery{}, body: api.CreateRequest{}, stream: typeMultipart, answer: api.Workspace{}, serve: (*Server).serveCreate},
		{method: "GET", path: "/v1/workspaces/{id}", id: "getWorkspace", tag: tagWorkspace, summary: "Show a workspace as it is now", answer: api.Workspace{}, serve: (*Server).serveStatus},
		{method: "PATCH", path: "/v1/workspaces/{id}", id: "updateWorkspace", tag: tagWorkspace, summary: "Change name, labels and time to live", body: api.UpdateRequest{}, answer: api.Workspace{}, serve: (*Server).serveUpdate},
		{method: "DELETE", path: "/v1/workspaces/{id}", id: "deleteWorkspace", tag: tagWorkspace, summary: "End all that runs in a workspace and remove it", answer: api.WorkspaceDelete{}, serve: (*Server).serveDelete},
		{method: "POST", path: "/v1/workspaces/{id}/start", id: "startWorkspace", tag: tagWorkspace, summary: "Start a stopped workspace from its saved disk", body: api.StartRequest{}, answer: api.Workspace{}, serve: (*Server).serveStart},
		{method: "POST", path: "/v1/workspaces/{id}/stop", id: "stopWorkspace", tag: tagWorkspace, summary: "Save the disk and end what runs", body: api.StopRequest{}, answer: api.Workspace{}, serve: (*Server).serveStop},
		{method: "POST", path: "/v1/workspaces/{id}/fork", id: "forkWorkspace", tag: tagState, summary: "Make workspaces that begin with the disk of this one", body: api.ForkRequest{}, answer: api.Fork{}, serve: (*Server).serveFork},
		{method: "POST", path: "/v1/workspaces/{id}/reset", id: "resetWorkspace", tag: tagState, summary: "Go back to a snapshot, or to the baseline", body: api.ResetRequest{}, answer: api.Reset{}, serve: (*Server).serveReset},
	}
}

func commandRoutes() []route {
	return []route{
		{method: "POST", path: "/v1/workspaces/{id}/exec", id: "exec", tag: tagCommand, summary: "Run a command: captured, or as frames", body: api.ExecRequest{}, answer: api.WorkspaceExec{}, frames: true, end: api.WorkspaceExec{}, serve: (*Server).proxy},
		{method: "GET", path: "/v1/workspaces/{id}/logs", id: "logs", tag: tagCommand, summary: "List the commands that ran, with what they printed", query: logsQuery{}, answer: api.WorkspaceLogs{}, serve: (*Server).proxy, stopped: recordedLogs},
	}
}

func fileRoutes() []route {
	return []route{
		{method: "GET", path: "/v1/workspaces/{id}/files", id: "listFiles", tag: tagFile, summary: "List a directory", query: fileListQuery{}, answer: api.FileList{}, serve: (*Server).proxy},
		{method: "DELETE", path: "/v1/workspaces/{id}/files", id: "deleteFile", tag: tagFile, summary: "Delete a file, link or directory", query: fileDeleteQuery{}, answer: api.FileDelete{}, serve: (*Server).proxy},
		{method: "GET", path: "/v1/workspaces/{id}/files/stat", id: "statFile", tag: tagFile, summary: "Say what a path is", query: pathQuery{}, answer: api.FileStat{}, serve: (*Server).proxy},
		{method: "GET", path: "/v1/workspaces/{id}/files/read", id: "readFile", tag: tagFile, summary: "Read a file as text", query: fileReadQuery{}, answer: api.FileRead{}, serve: (*Server).proxy},
		{method: "GET", path: "/v1/workspaces/{id}/files/content", id: "readFileContent", tag: tagFile, summary: "Read a file of any length, as frames", query: fileRangeQuery{}, frames: true, end: api.FileRange{}, serve: (*Server).proxy},
		{method: "PUT", path: "/v1/workspaces/{id}/files/content", id: "writeFile", tag: tagFile, summary: "Write a file of any length", query: fileWriteQuery{}, stream: typeBytes, answer: api.FileWrite{}, serve: (*Server).proxy},
		{method: "POST", path: "/v1/workspaces/{id}/files/mkdir", id: "makeDirectory", tag: tagFile, summary: "Make a directory", body: api.FileMkdirRequest{}, answer: api.FileMkdir{}, serve: (*Server).proxy},
		{method: "POST", path: "/v1/workspaces/{id}/files/move", id: "moveFile", tag: tagFile, summary: "Give something another name", body: api.FileMoveRequest{}, answer: api.FileMove{}, serve: (*Server).proxy},
		{method: "POST", path: "/v1/workspaces/{id}/patch", id: "applyPatch", tag: tagFile, summary: "Apply a patch of git, or try whether it applies", query: patchQuery{}, stream: typePatch, answer: api.Patch{}, serve: (*Server).proxy},
	}
}

func treeRoutes() []route {
	return []route{
		{method: "PUT", path: "/v1/workspaces/{id}/sync", id: "push", tag: tagFile, summary: "Put a tree into the workspace, as a clean tar archive", query: syncQuery{}, stream: typeTar, answer: api.Sync{}, serve: (*Server).proxy},
		{method: "POST", path: "/v1/workspaces/{id}/sync/compare", id: "comparePush", tag: tagFile, summary: "Find out what of a tree has to be sent", query: compareQuery{}, stream: typeLines, answer: api.SyncCompare{}, serve: (*Server).proxy},
		{method: "GET", path: "/v1/workspaces/{id}/tree", id: "exportTree", tag: tagFile, summary: "Bring out what is at a path, as frames with an archive that nobody has judged", query: pathQuery{}, frames: true, end: api.TreeEnd{}, serve: (*Server).proxy},
		{method: "GET", path: "/v1/workspaces/{id}/changes", id: "changes", tag: tagFile, summary: "Bring out what has changed since the seed, as frames", query: changesQuery{}, frames: true, end: api.ChangesEnd{}, serve: (*Server).proxy},
		{method: "GET", path: "/v1/workspaces/{id}/diff", id: "diff", tag: tagFile, summary: "Say what has changed, as JSON or as frames with a patch", query: diffQuery{}, answer: api.WorkspaceDiff{}, frames: true, end: api.DiffPatched{}, serve: (*Server).proxy},
	}
}

func shellRoutes() []route {
	return []route{
		{method: "POST", path: "/v1/workspaces/{id}/shells", id: "openShell", tag: tagShell, summary: "Open a shell on a terminal of its own", body: api.ShellOpenRequest{}, answer: api.Shell{}, serve: (*Server).proxy},
		{method: "GET", path: "/v1/workspaces/{id}/shells", id: "listShells", tag: tagShell, summary: "List shells", answer: api.ShellList{}, serve: (*Server).proxy, stopped: recordedShells},
		{method: "GET", path: "/v1/workspaces/{id}/shells/{shell}", id: "getShell", tag: tagShell, summary: "Show a shell", answer: api.Shell{}, serve: (*Server).proxy},
		{method: "GET", path: "/v1/workspaces/{id}/shells/{shell}/output", id: "readShell", tag: tagShell, summary: "Read what a shell has printed", query: shellReadQuery{}, answer: api.ShellRead{}, serve: (*Server).proxy},
		{method: "POST", path: "/v1/workspaces/{id}/shells/{shell}/input", id: "writeShell", tag: tagShell, summary: "Type into a shell", body: api.ShellWriteRequest{}, answer: api.ShellWrite{}, serve: (*Server).proxy},
		{method: "POST", path: "/v1/workspaces/{id}/shells/{shell}/signal", id: "signalShell", tag: tagShell, summary: "Send a signal to what runs in a shell", body: api.ShellSignalRequest{}, answer: api.ShellSignal{}, serve: (*Server).proxy},
		{method: "POST", path: "/v1/workspaces/{id}/shells/{shell}/resize", id: "resizeShell", tag: tagShell, summary: "Change the size of a shell's terminal", body: api.TerminalSize{}, answer: api.Shell{}, serve: (*Server).proxy},
		{method: "POST", path: "/v1/workspaces/{id}/shells/{shell}/attach", id: "attachShell", tag: tagShell, summary: "Take part in a shell, as frames in both directions", body: api.ShellAttachRequest{}, frames: true, end: api.Shell{}, endless: true, serve: (*Server).proxy},
		{method: "DELETE", path: "/v1/workspaces/{id}/shells/{shell}", id: "closeShell", tag: tagShell, summary: "End a shell and forget it", answer: api.ShellClose{}, serve: (*Server).proxy},
	}
}

func serviceRoutes() []route {
	return []route{
		{method: "POST", path: "/v1/workspaces/{id}/services", id: "startService", tag: tagService, summary: "Start a program that goes on, and wait until it is ready", body: api.ServiceStartRequest{}, answer: api.Service{}, serve: (*Server).proxy},
		{method: "GET", path: "/v1/workspaces/{id}/services", id: "listServices", tag: tagService, summary: "List services", answer: api.ServiceList{}, serve: (*Server).proxy, stopped: recordedServices},
		{method: "GET", path: "/v1/workspaces/{id}/services/{service}", id: "getService", tag: tagService, summary: "Show a service", answer: api.Service{}, serve: (*Server).proxy},
		{method: "GET", path: "/v1/workspaces/{id}/services/{service}/logs", id: "serviceLogs", tag: tagService, summary: "Read what a service has printed", query: tailQuery{}, answer: api.ServiceLogs{}, serve: (*Server).proxy},
		{method: "POST", path: "/v1/workspaces/{id}/services/{service}/logs/follow", id: "followService", tag: tagService, summary: "Follow what a service prints, as frames", query: tailQuery{}, frames: true, end: api.Service{}, endless: true, serve: (*Server).proxy},
		{method: "POST", path: "/v1/workspaces/{id}/services/{service}/stop", id: "stopService", tag: tagService, summary: "End a service", answer: api.Service{}, serve: (*Server).proxy},
		{method: "POST", path: "/v1/workspaces/{id}/services/{service}/restart", id: "restartService", tag: tagService, summary: "Start a service anew", answer: api.Service{}, serve: (*Server).proxy},
	}
}

func secretRoutes() []route {
	return []route{
		{method: "GET", path: "/v1/workspaces/{id}/secrets", id: "listSecrets", tag: tagSecret, summary: "Name the secrets", answer: api.SecretList{}, serve: (*Server).proxy, stopped: recordedSecrets},
		{method: "PUT", path: "/v1/workspaces/{id}/secrets/{secret}", id: "setSecret", tag: tagSecret, summary: "Set a secret", body: api.SecretRequest{}, answer: api.SecretList{}, serve: (*Server).proxy},
		{method: "DELETE", path: "/v1/workspaces/{id}/secrets/{secret}", id: "unsetSecret", tag: tagSecret, summary: "Take a secret away", answer: api.SecretList{}, serve: (*Server).proxy},
	}
}

func stateRoutes() []route {
	return []route{
		{method: "POST", path: "/v1/workspaces/{id}/snapshots", id: "createSnapshot", tag: tagState, summary: "Save the disk under a name", body: api.SnapshotRequest{}, answer: api.SnapshotCreate{}, serve: (*Server).proxy},
		{method: "GET", path: "/v1/workspaces/{id}/snapshots", id: "listSnapshots", tag: tagState, summary: "List snapshots", answer: api.SnapshotList{}, serve: (*Server).proxy, stopped: recordedSnapshots},
		{method: "DELETE", path: "/v1/workspaces/{id}/snapshots/{snapshot}", id: "deleteSnapshot", tag: tagState, summary: "Remove a snapshot", answer: api.SnapshotDelete{}, serve: (*Server).serveDeleteSnapshot},
	}
}

func reportRoutes() []route {
	return []route{
		{method: "GET", path: "/v1/workspaces/{id}/summary", id: "summary", tag: tagReport, summary: "Sum a workspace up", answer: api.Summary{}, serve: (*Server).proxy, stopped: recordedSummary},
		{method: "GET", path: "/v1/workspaces/{id}/events", id: "listEvents", tag: tagReport, summary: "List what was done to a workspace and what happened in it", query: afterQuery{}, answer: api.EventList{}, serve: (*Server).proxy, stopped: recordedEvents},
		{method: "POST", path: "/v1/workspaces/{id}/events", id: "noteEvent", tag: tagReport, summary: "Note what was done with what came out of a workspace", body: api.Event{}, answer: struct{}{}, serve: (*Server).proxy},
		{method: "POST", path: "/v1/workspaces/{id}/events/follow", id: "followEvents", tag: tagReport, summary: "Follow events, as frames", query: afterQuery{}, frames: true, end: api.EventsEnd{}, endless: true, serve: (*Server).proxy, stopped: recordedFollow},
	}
}

func diskRoutes() []route {
	return []route{
		{method: "GET", path: "/v1/workspaces/{id}/disk/list", id: "listDisk", tag: tagDisk, summary: "List a directory of a stopped workspace's disk", query: diskListQuery{}, answer: api.DiskList{}, serve: (*Server).proxy},
		{method: "GET", path: "/v1/workspaces/{id}/disk/read", id: "readDisk", tag: tagDisk, summary: "Read a file on a stopped workspace's disk", query: diskReadQuery{}, answer: api.DiskRead{}, serve: (*Server).proxy},
		{method: "GET", path: "/v1/workspaces/{id}/disk/tar", id: "exportDisk", tag: tagDisk, summary: "Bring out what is on a stopped workspace's disk, as frames with an archive", query: diskTarQuery{}, frames: true, end: api.DiskExport{}, serve: (*Server).proxy},
	}
}

func vmRoutes() []route {
	return []route{
		{method: "POST", path: "/v1/vms", id: "createVM", tag: tagVM, summary: "Make a VM: a sandbox for one command, which is not started yet", body: api.CreateRequest{}, answer: api.VM{}, serve: (*Server).serveCreateVM},
		{method: "GET", path: "/v1/vms/{id}", id: "getVM", tag: tagVM, summary: "Show a VM", answer: api.VM{}, serve: (*Server).serveVM},
		{method: "DELETE", path: "/v1/vms/{id}", id: "deleteVM", tag: tagVM, summary: "Remove a VM", answer: api.VMDelete{}, serve: (*Server).serveDeleteVM},
		{method: "POST", path: "/v1/vms/{id}/start", id: "startVM", tag: tagVM, summary: "Start a VM", answer: api.VM{}, serve: (*Server).serveStartVM},
		{method: "POST", path: "/v1/vms/{id}/stop", id: "stopVM", tag: tagVM, summary: "End what runs in a VM", answer: api.VM{}, serve: (*Server).serveStopVM},
		{method: "POST", path: "/v1/vms/{id}/exec", id: "execVM", tag: tagVM, summary: "Run the one command of a VM, which is removed then", body: api.ExecRequest{}, answer: api.VMExec{}, serve: (*Server).serveExecVM},
		{method: "GET", path: "/v1/vms/{id}/network", id: "vmNetwork", tag: tagVM, summary: "Say what network a VM has", answer: api.VMNetwork{}, serve: (*Server).serveVMNetwork},
		{method: "POST", path: "/v1/vms/reap", id: "reapVMs", tag: tagVM, summary: "Remove VMs whose time is over", answer: api.VMReap{}, serve: (*Server).serveReapVMs},
	}
}
