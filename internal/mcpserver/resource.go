package mcpserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/url"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

// Resources are what hosts let their users attach to a conversation:
//
//	pyro://workspaces               all of them, as JSON
//	pyro://workspaces/ID/diff       a patch of what changed
//	pyro://workspaces/ID/log        the commands, with their output
//	pyro://workspaces/ID/files/PATH a file below /workspace
const (
	resourceRoot = "pyro://workspaces"
	maxResource  = 8 << 20 // bytes of one
	plainText    = "text/plain"
)

// view makes what one kind of resource holds. rest is what follows the kind in the URI.
type view struct {
	kind, template, title, says, mimeType string
	read                                  func(ctx context.Context, ws *pyro.Workspace, rest string, to io.Writer) error
}

var views = []view{
	{
		"diff", resourceRoot + "/{id}/diff", "Changes of a workspace",
		"What changed since the workspace was made, as a patch that git applies.", "text/x-diff", readDiff,
	},
	{"log", resourceRoot + "/{id}/log", "Log of a workspace", "The commands that ran, with what they printed.", plainText, readLog},
	{"files", resourceRoot + "/{id}/files/{+path}", "File of a workspace", "A file below /workspace.", "", readFile},
}

// offerResources adds what can be read by URI.
func (s *Server) offerResources() {
	s.mcp.AddResource(&mcp.Resource{
		URI: resourceRoot, Name: "workspaces", Title: "Workspaces", Description: "All workspaces, the last used first.", MIMEType: "application/json",
	}, s.desk.readList)
	for _, v := range views {
		s.mcp.AddResourceTemplate(&mcp.ResourceTemplate{
			URITemplate: v.template, Name: "workspace-" + v.kind, Title: v.title, Description: v.says, MIMEType: v.mimeType,
		}, s.desk.reader(v))
	}
}

func (d *desk) readList(ctx context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
	client, err := d.client()
	if err != nil {
		return nil, unread(err)
	}
	list, err := client.List(ctx)
	if err != nil {
		return nil, unread(err)
	}
	var out bytes.Buffer
	if err := api.Encode(&out, list); err != nil {
		return nil, unread(err)
	}
	return holding(req.Params.URI, "application/json", out.Bytes()), nil
}

func (d *desk) reader(v view) mcp.ResourceHandler {
	return func(ctx context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		id, rest, ok := splitURI(req.Params.URI, v.kind)
		if !ok {
			return nil, mcp.ResourceNotFoundError(req.Params.URI)
		}
		ws, err := d.workspace(ctx, id)
		if err != nil {
			return nil, unread(err)
		}
		out := bounded{most: maxResource}
		if err := v.read(ctx, ws, rest, &out); err != nil {
			return nil, unread(err)
		}
		kind := v.mimeType
		if kind == "" {
			kind = typeOf(rest, out.Bytes())
		}
		return holding(req.Params.URI, kind, out.Bytes()), nil
	}
}

// splitURI takes a URI apart. Paths in it may be escaped or not.
func splitURI(uri, kind string) (id, rest string, ok bool) {
	below, ok := strings.CutPrefix(uri, resourceRoot+"/")
	if !ok {
		return "", "", false
	}
	id, below, _ = strings.Cut(below, "/")
	named, rest, more := strings.Cut(below, "/")
	if named != kind || more != (kind == "files") {
		return "", "", false
	}
	rest, err := url.PathUnescape(rest)
	return id, rest, err == nil && (rest != "") == more
}

// unread says what went wrong as the protocol's errors do: what is not there is an error
// of the parameters.
func unread(err error) error {
	code := int64(jsonrpc.CodeInternalError)
	switch api.KindOf(err) {
	case api.NotFound, api.Invalid, api.Expired, api.Denied, api.Unsupported, api.Conflict:
		code = jsonrpc.CodeInvalidParams
	}
	return &jsonrpc.Error{Code: code, Message: err.Error()}
}

func holding(uri, kind string, content []byte) *mcp.ReadResourceResult {
	c := &mcp.ResourceContents{URI: uri, MIMEType: kind}
	if utf8.Valid(content) && !bytes.ContainsRune(content, 0) {
		c.Text = string(content)
	} else {
		c.Blob = content
	}
	return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{c}}
}

// typeOf guesses from the name, and where that says nothing from the content.
func typeOf(name string, content []byte) string {
	if kind := mime.TypeByExtension(path.Ext(name)); kind != "" {
		return kind
	}
	if utf8.Valid(content) {
		return plainText
	}
	return "application/octet-stream"
}

func readDiff(ctx context.Context, ws *pyro.Workspace, _ string, to io.Writer) error {
	_, err := ws.Patch(ctx, api.DiffRequest{}, to)
	return err
}

func readLog(ctx context.Context, ws *pyro.Workspace, _ string, to io.Writer) error {
	logs, err := ws.Logs(ctx, 0)
	if err != nil {
		return err
	}
	var text strings.Builder
	for _, e := range logs.Entries {
		fmt.Fprintf(&text, "#%d %s exit_code=%d duration_ms=%d\n$ %s\n", e.Sequence, e.RecordedAt.Time().UTC().Format(time.RFC3339), e.ExitCode, e.DurationMS, e.Command)
		for _, output := range []string{e.Stdout, e.Stderr} {
			text.WriteString(output)
			if output != "" && !strings.HasSuffix(output, "\n") {
				text.WriteByte('\n')
			}
		}
	}
	cut, _ := headAndTail(text.String(), int64(text.Len()), maxResource/2)
	_, err = io.WriteString(to, cut)
	return err
}

func readFile(ctx context.Context, ws *pyro.Workspace, name string, to io.Writer) error {
	_, err := ws.Files().ReadTo(ctx, api.FileRangeRequest{Path: name}, to)
	return err
}

// bounded is a buffer that takes so many bytes at most.
type bounded struct {
	bytes.Buffer
	most int
}

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.most {
		return 0, &api.Error{
			Kind: api.Invalid, Hint: "export it instead", Err: errors.New("it is longer than 8 MiB: workspace_export copies it to the host whole"),
		}
	}
	return b.Buffer.Write(p)
}
