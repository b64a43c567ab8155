package wire

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
)

// List lists a directory.
func (c *Client) List(ctx context.Context, r ListRequest) (ListReply, error) {
	r.Action = ActionList
	reply := ListReply{Path: string(r.Path), ArtifactType: Directory}
	err := c.call(ctx, exchange{op: r.Action, request: r, into: &reply, limit: MaxListLine, timeout: usualTimeout})
	return reply, err
}

// FileContent is a file as ReadFile returns it.
type FileContent struct {
	Path    string
	Content []byte
}

// readReply tells an empty file from a missing field.
type readReply struct {
	Path      string  `json:"path"`
	SizeBytes *int64  `json:"size_bytes"`
	Content   *string `json:"content_b64"`
}

func (r *readReply) check() error {
	if r.Content == nil {
		return errors.New("content_b64: is missing")
	}
	return nil
}

// ReadFile reads a regular file of at most maxBytes bytes, of which MaxFile are
// allowed.
func (c *Client) ReadFile(ctx context.Context, path string, maxBytes int) (FileContent, error) {
	r := ReadRequest{Action: ActionReadFile, Path: LaxString(path), MaxBytes: LaxInt(maxBytes)}
	if maxBytes < 1 || maxBytes > MaxFile {
		return FileContent{}, &api.Error{Kind: api.Invalid, Op: steps[r.Action], Err: fmt.Errorf("max_bytes is %d, allowed are 1 to %d", maxBytes, MaxFile)}
	}
	reply := readReply{Path: path}
	err := c.call(ctx, exchange{
		op: r.Action, request: r, into: &reply,
		limit: MaxShortLine + base64.StdEncoding.EncodedLen(maxBytes), timeout: usualTimeout,
	})
	if err != nil {
		return FileContent{}, err
	}
	content, err := reply.content(maxBytes)
	if err != nil {
		return FileContent{}, &api.Error{Kind: api.Internal, Op: steps[r.Action], Err: violated(err)}
	}
	return FileContent{Path: reply.Path, Content: content}, nil
}

func (r *readReply) content(maxBytes int) ([]byte, error) {
	// The decoder skips line breaks even when it is strict.
	if strings.ContainsAny(*r.Content, "\r\n") {
		return nil, errors.New("has line breaks in content_b64")
	}
	content, err := base64.StdEncoding.Strict().DecodeString(*r.Content)
	switch {
	case err != nil:
		return nil, fmt.Errorf("has a bad content_b64: %w", err)
	case len(content) > maxBytes:
		return nil, fmt.Errorf("has %d bytes of content, asked were %d", len(content), maxBytes)
	case r.SizeBytes != nil && *r.SizeBytes != int64(len(content)):
		return nil, fmt.Errorf("has %d bytes of content and says %d", len(content), *r.SizeBytes)
	}
	return content, nil
}

// WriteFile replaces a regular file by text, or makes a new one and the directories
// above it.
func (c *Client) WriteFile(ctx context.Context, path, text string) (WriteReply, error) {
	r := WriteRequest{Action: ActionWriteFile, Path: LaxString(path), Text: LaxString(text)}
	if err := checkText(r.Action, path, text); err != nil {
		return WriteReply{}, err
	}
	reply := WriteReply{Path: path}
	err := c.ask(ctx, r.Action, r, &reply)
	return reply, err
}

// Delete removes a file or symlink.
func (c *Client) Delete(ctx context.Context, path string) (DeleteReply, error) {
	r := DeleteRequest{Action: ActionDelete, Path: LaxString(path)}
	reply := DeleteReply{Path: path, Deleted: true}
	err := c.ask(ctx, r.Action, r, &reply)
	return reply, err
}
