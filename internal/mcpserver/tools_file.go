package mcpserver

import (
	"context"
	"encoding/base64"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/pyro-sandbox/pyro/api"
)

func newText(text string) io.Reader { return strings.NewReader(text) }

type fileListArguments struct {
	WorkspaceID string `json:"workspace_id"`
	Path        string `json:"path,omitempty" limits:"default=/workspace"`
	Recursive   bool   `json:"recursive,omitempty" limits:"default=false"`
	After       string `json:"after,omitempty" jsonschema:"go on after this path"`
	MaxChars    int    `json:"max_chars,omitempty" limits:"default=10000,min=1000,max=200000"`
}

// fileListAnswer is the contract's FileList.
type fileListAnswer struct {
	api.FileList           // Truncated is its own
	EntriesOmitted int     `json:"entries_omitted"` // whose names are too long to show
	Next           *string `json:"next"`
}

func (a *fileListAnswer) markCut() { a.Truncated = true }

// leastFile is less than any entry of a list has, in characters.
const leastFile = 100

func fileListTool() tool {
	return define(tool{
		name: "workspace_file_list", title: "List files",
		says: "List a directory of the workspace.", effects: effects{reads: true},
	}, func(ctx context.Context, c *call, in fileListArguments) (*fileListAnswer, error) {
		c.most = in.MaxChars
		ws, err := c.workspace(ctx, in.WorkspaceID)
		if err != nil {
			return nil, err
		}
		list, err := ws.Files().List(ctx, api.FileListRequest{
			Path: in.Path, Recursive: in.Recursive, After: in.After, Limit: c.most / leastFile,
		})
		if err != nil {
			return nil, err
		}
		out := &fileListAnswer{FileList: *list}
		out.Entries = []api.FileEntry{}
		page := c.fit(list.Entries, c.most-size(out)-cost(in.Path)-300)
		out.Entries, out.EntriesOmitted = page.shown, page.omitted
		out.Count, out.NextAfter = len(out.Entries), nil
		if out.Truncated = list.Truncated || page.rest; out.Truncated {
			out.NextAfter = &page.last
			out.Next = more(c.tool, "workspace_id", in.WorkspaceID, "path", in.Path, "recursive", in.Recursive, "after", page.last)
		}
		return out, nil
	})
}

// filePage is the part of a list of files that is shown.
type filePage struct {
	shown   []api.FileEntry
	omitted int    // entries with names so long that they would take all the room
	last    string // the path to go on after
	rest    bool   // there is more
}

// fit chooses the entries that fit into a room, where the path of the last one is needed
// twice more.
func (c *call) fit(entries []api.FileEntry, room int) filePage {
	p := filePage{shown: []api.FileEntry{}}
	for _, e := range entries {
		n := size(e) + 2
		if n > c.most/6 {
			p.omitted++
			if len(p.shown) == 0 {
				p.last = e.Path
			}
			continue
		}
		if n+2*cost(e.Path) > room {
			p.rest = true
			break
		}
		room -= n
		p.shown, p.last = append(p.shown, e), e.Path
	}
	return p
}

type fileReadArguments struct {
	WorkspaceID string `json:"workspace_id"`
	Path        string `json:"path"`
	MaxBytes    int    `json:"max_bytes,omitempty" limits:"default=65536,min=1,max=1048576"`
	Offset      int64  `json:"offset,omitempty" jsonschema:"in bytes" limits:"min=0"`
	MaxChars    int    `json:"max_chars,omitempty" limits:"default=10000,min=1000,max=200000"`
}

// fileReadAnswer is the contract's FileRead.
type fileReadAnswer struct {
	api.FileRead
	NextOffset *int64  `json:"next_offset"` // of the byte that follows; null at the end
	Next       *string `json:"next"`
}

func (a *fileReadAnswer) markCut() { a.Truncated = true }

func fileReadTool() tool {
	return define(tool{
		name: "workspace_file_read", title: "Read a file",
		says: "Read a text file of the workspace; next_offset goes on.", effects: effects{reads: true},
	}, func(ctx context.Context, c *call, in fileReadArguments) (*fileReadAnswer, error) {
		c.most = in.MaxChars
		if c.given("max_bytes") && !c.given("max_chars") {
			c.most = 8 * api.MaxFileBytes // what was asked for counts alone
		}
		ws, err := c.workspace(ctx, in.WorkspaceID)
		if err != nil {
			return nil, err
		}
		req := api.FileReadRequest{Path: in.Path, MaxBytes: in.MaxBytes, Base64: true}
		if c.given("offset") {
			req.Offset = &in.Offset
		}
		file, err := ws.Files().Read(ctx, req)
		if err != nil {
			return nil, err
		}
		out := &fileReadAnswer{FileRead: *file}
		return out, c.showFile(out, in)
	})
}

// showFile cuts what was read, and says from which byte to go on: never from within a
// character.
func (c *call) showFile(out *fileReadAnswer, in fileReadArguments) error {
	content, err := base64.StdEncoding.DecodeString(*out.ContentBase64)
	if err != nil {
		return err
	}
	out.Content, out.ContentBase64 = "", nil
	out.Next = c.readOn(in, out.SizeBytes)
	out.NextOffset = &out.SizeBytes
	whole := out.Truncated
	shown := beginningOfBytes(content, c.most-size(out))
	if whole || len(shown) < len(content) {
		shown = shown[:len(shown)-cutRune(shown)]
	}
	if len(shown) == 0 {
		shown = content[:min(len(content), utf8.UTFMax)] // so that whoever goes on gets on
	}
	out.Content = strings.ToValidUTF8(string(shown), "\uFFFD")
	out.BytesRead = len(shown)
	out.Truncated = out.Offset+int64(len(shown)) < out.SizeBytes
	out.Next, out.NextOffset = nil, nil
	if out.Truncated {
		next := out.Offset + int64(len(shown))
		out.NextOffset, out.Next = &next, c.readOn(in, next)
	}
	return nil
}

func (c *call) readOn(in fileReadArguments, offset int64) *string {
	arguments := []any{"workspace_id", in.WorkspaceID, "path", in.Path, "offset", offset}
	for name, value := range map[string]int{"max_bytes": in.MaxBytes, "max_chars": in.MaxChars} {
		if c.given(name) {
			arguments = append(arguments, name, value)
		}
	}
	return more(c.tool, arguments...)
}

// beginningOfBytes is beginningOfLines for bytes of which some may be no UTF-8.
func beginningOfBytes(content []byte, room int) []byte {
	for i := 0; i < len(content); {
		r, n := utf8.DecodeRune(content[i:])
		if room -= runeCost(r); room < 0 {
			if end := strings.LastIndexByte(string(content[:i]), '\n') + 1; end > i/2 {
				i = end
			}
			return content[:i]
		}
		i += n
	}
	return content
}

// cutRune is how many bytes at the end are the beginning of a character.
func cutRune(content []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(content); n++ {
		last := content[len(content)-n:]
		if utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				return n
			}
			return 0
		}
	}
	return 0
}

type fileWriteArguments struct {
	WorkspaceID string `json:"workspace_id"`
	Path        string `json:"path"`
	Text        string `json:"text"`
}

func fileWriteTool() tool {
	return define(tool{
		name: "workspace_file_write", title: "Write a file",
		says: "Write text to a file of the workspace, new or not.", effects: effects{destroys: true, idempotent: true},
	}, func(ctx context.Context, c *call, in fileWriteArguments) (*api.FileWrite, error) {
		ws, err := c.workspace(ctx, in.WorkspaceID)
		if err != nil {
			return nil, err
		}
		return ws.Files().Write(ctx, api.FileWriteRequest{Path: in.Path}, in.Text)
	})
}
