package wire

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/pyro-sandbox/pyro/api"
)

// secretsRoot is where the agent puts secrets.
const secretsRoot = "/run/pyro-secrets"

// ExtractArchive unpacks a tar of exactly size bytes in the guest at destination.
// It returns after the last Read of archive, which must not block for long: neither
// ctx nor a deadline ends a Read.
func (c *Client) ExtractArchive(ctx context.Context, destination string, archive io.Reader, size int64) (ArchiveReply, error) {
	r := ExtractRequest{Action: ActionExtractArchive, Destination: LaxString(destination), ArchiveSize: LaxInt(size)}
	return c.upload(ctx, ActionExtractArchive, r, destination, archive, size)
}

// InstallSecrets replaces the guest's secrets by the files of a tar of exactly size
// bytes, as ExtractArchive.
func (c *Client) InstallSecrets(ctx context.Context, archive io.Reader, size int64) (ArchiveReply, error) {
	r := SecretsRequest{Action: ActionInstallSecrets, ArchiveSize: LaxInt(size)}
	return c.upload(ctx, ActionInstallSecrets, r, secretsRoot, archive, size)
}

func (c *Client) upload(ctx context.Context, op string, request any, destination string, archive io.Reader, size int64) (ArchiveReply, error) {
	if size < 0 {
		return ArchiveReply{}, &api.Error{Kind: api.Invalid, Op: steps[op], Err: notNegative("archive size", size)}
	}
	reply := ArchiveReply{Destination: destination}
	err := c.call(ctx, exchange{
		op: op, request: request, body: archive, size: size,
		into: &reply, limit: MaxShortLine, timeout: archiveTimeout,
	})
	return reply, err
}

// Export is a tar on its way out of the guest. Nothing in its header is proven.
type Export struct {
	ExportReply
	link *link
	r    *bufio.Reader
	left int64
	end  error // what every further Read returns
}

// ExportArchive asks for a tar of what path is. The caller closes the Export; until
// then, ctx and the deadline of an archive bound it.
func (c *Client) ExportArchive(ctx context.Context, path string) (*Export, error) {
	r := ExportRequest{Action: ActionExportArchive, Path: LaxString(path)}
	x := exchange{op: r.Action, request: r, timeout: archiveTimeout}
	line, err := x.encode()
	if err != nil {
		return nil, err
	}
	l, err := c.open(ctx, x)
	if err != nil {
		return nil, err
	}
	e := &Export{link: l, r: bufio.NewReader(l)}
	e.ExportReply = ExportReply{WorkspacePath: path, ArtifactType: File, ArchiveSize: -1}
	if err := e.begin(x, line); err != nil {
		return nil, l.failed(err)
	}
	e.left = e.ArchiveSize
	l.allow(e.ArchiveSize)
	return e, nil
}

func (e *Export) begin(x exchange, line []byte) error {
	if err := e.link.send(x, line); err != nil {
		return err
	}
	header, err := ReadLine(e.r, MaxShortLine)
	switch {
	case errors.Is(err, ErrLineTooLong):
		return violated(fmt.Errorf("is no JSON object within bounds: %w", err))
	case errors.Is(err, io.EOF):
		header = nil // refused below, in the words for an empty reply
	case err != nil:
		return fmt.Errorf("read reply: %w", err)
	}
	return decodeReply(header, &e.ExportReply)
}

// Read reads the tar: exactly ArchiveSize bytes, then io.EOF. An agent that sends
// fewer or more makes it fail with ErrProtocol in place of the io.EOF.
func (e *Export) Read(p []byte) (int, error) {
	if e.end != nil || len(p) == 0 {
		return 0, e.end
	}
	if e.left == 0 {
		e.end = e.finish()
		return 0, e.end
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.left)])
	e.left -= int64(n)
	switch {
	case errors.Is(err, io.EOF):
		e.end = e.link.failed(fmt.Errorf("%w: %d bytes of the archive are missing: %w", ErrProtocol, e.left, io.ErrUnexpectedEOF))
	case err != nil:
		e.end = e.link.failed(fmt.Errorf("read archive: %w", err))
	}
	return n, e.end
}

// finish looks for what should not be there.
func (e *Export) finish() error {
	if n, _ := e.r.Discard(1); n > 0 {
		return e.link.failed(fmt.Errorf("%w: more came than the announced %d bytes", ErrProtocol, e.ArchiveSize))
	}
	e.link.close()
	return io.EOF
}

// Close ends the connection. It may be called at any time and more than once.
func (e *Export) Close() error {
	e.link.close()
	return nil
}
