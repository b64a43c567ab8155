package httpapi

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
)

// piece is a part of a form.
type piece struct {
	name string
	body string
}

func formOf(pieces ...piece) (body *bytes.Buffer, kind string) {
	body = &bytes.Buffer{}
	w := multipart.NewWriter(body)
	for _, p := range pieces {
		part, _ := w.CreateFormField(p.name)
		_, _ = io.WriteString(part, p.body)
	}
	_ = w.Close()
	return body, w.FormDataContentType()
}

func zipped(data []byte) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(data)
	_ = w.Close()
	return b.String()
}

func TestCreateWithASeed(t *testing.T) {
	s := serve(t)
	tree := tarOf("file", "seeded")
	request := piece{partRequest, `{"environment":"host","seed":{"mode":"directory","seed_path":"/there","destination":"","entry_count":9,"bytes_written":9,"skipped_count":9,"origin_kind":"manual_seed_path","origin_ref":"/there","origin_commit":null}}`}
	for name, c := range map[string]struct {
		pieces  []piece
		query   string
		mode    string
		skipped int
	}{
		"plain":                    {[]piece{request, {partSeed, string(tree)}}, "", "directory", 0},
		"compressed":               {[]piece{request, {partSeed, zipped(tree)}}, "?packed_at=1767225600.25", "directory", 0},
		"of no name":               {[]piece{{partRequest, `{"environment":"host"}`}, {partSeed, string(tree)}}, "", "tar_archive", 0},
		"skipped":                  {[]piece{request, {partSeed, string(tree)}, {partSkipped, "3"}}, "", "directory", 3},
		"a skipped that is none":   {[]piece{request, {partSeed, string(tree)}, {partSkipped, "-3"}}, "", "directory", 0},
		"another part":             {[]piece{request, {partSeed, string(tree)}, {"other", "3"}}, "", "directory", 0},
		"bytes after the archive":  {[]piece{request, {partSeed, string(tree) + strings.Repeat("\x00", 1<<20)}, {partSkipped, "2"}}, "", "directory", 2},
		"what comes after the end": {[]piece{request, {partSeed, string(tree)}, {partSkipped, "1"}, {"more", strings.Repeat("x", 1<<20)}}, "", "directory", 1},
	} {
		t.Run(name, func(t *testing.T) {
			body, kind := formOf(c.pieces...)
			r := s.request("POST", "/v1/workspaces"+c.query, body)
			r.Header.Set("Content-Type", kind)
			made := got[api.Workspace](t, s.do(r))
			seed := made.WorkspaceSeed
			if seed.Mode != c.mode || seed.EntryCount != 1 || seed.SkippedCount != c.skipped || seed.BytesWritten != 6 {
				t.Errorf("the seed is recorded as %+v", seed)
			}
			read := got[api.FileRead](t, s.ask("GET", "/v1/workspaces/"+made.WorkspaceID+"/files/read?path=file", nil))
			if read.Content != "seeded" {
				t.Errorf("the file holds %q", read.Content)
			}
		})
	}
}

func TestSeedsThatAreRefused(t *testing.T) {
	s := serve(t)
	tree := string(tarOf("file", "seeded"))
	request := piece{partRequest, `{"environment":"host"}`}
	for name, c := range map[string]struct {
		pieces []piece
		cut    int // bytes of the body that do not come
		status int
		kind   api.Kind
	}{
		"nothing":                 {nil, 0, 400, api.Invalid},
		"no seed":                 {[]piece{request}, 0, 400, api.Invalid},
		"no request":              {[]piece{{partSeed, tree}}, 0, 400, api.Invalid},
		"the other way round":     {[]piece{{partSeed, tree}, request}, 0, 400, api.Invalid},
		"no JSON":                 {[]piece{{partRequest, "x"}, {partSeed, tree}}, 0, 400, api.Invalid},
		"an unknown field":        {[]piece{{partRequest, `{"environment":"host","x":1}`}, {partSeed, tree}}, 0, 400, api.Invalid},
		"a long request":          {[]piece{{partRequest, `{"environment":"` + strings.Repeat("x", maxBody) + `"}`}, {partSeed, tree}}, 0, 413, api.Invalid},
		"no archive":              {[]piece{request, {partSeed, strings.Repeat("x", 4096)}}, 0, 400, api.Invalid},
		"an archive that escapes": {[]piece{request, {partSeed, string(tarOf("../file", "x"))}}, 0, 400, api.Invalid},
		"half an archive":         {[]piece{request, {partSeed, tree[:700]}}, 0, 400, api.Invalid},
		"a body that is cut":      {[]piece{request, {partSeed, tree}}, 1500, 400, api.Invalid},
		"a path of this machine":  {[]piece{{partRequest, `{"environment":"host","seed_path":"/etc"}`}, {partSeed, tree}}, 0, 400, api.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			body, kind := formOf(c.pieces...)
			body.Truncate(body.Len() - c.cut)
			r := s.request("POST", "/v1/workspaces", body)
			r.Header.Set("Content-Type", kind)
			got := s.do(r)
			if e := got.failure(t); got.status != c.status || e.Kind != c.kind {
				t.Errorf("status %d, %+v; want %d and %s", got.status, e, c.status, c.kind)
			}
		})
	}
	list, err := s.client.List(t.Context())
	if err != nil || list.Count != 0 {
		t.Errorf("%d workspaces are there, %v", list.Count, err)
	}
}

// TestClientLeavesInTheMiddleOfASeed takes the connection away while the seed is sent.
func TestClientLeavesInTheMiddleOfASeed(t *testing.T) {
	s := serve(t)
	body, kind := formOf(piece{partRequest, `{"environment":"host"}`}, piece{partSeed, string(tarOf("file", strings.Repeat("x", 1<<20)))})
	k := s.dial()
	_, err := fmt.Fprintf(k, "POST /v1/workspaces HTTP/1.1\r\nHost: pyro\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", kind, body.Len(), body.Bytes()[:body.Len()/2])
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is begun", func() bool { return s.server.busy.Load() == 1 })
	_ = k.Close()
	eventually(t, "it is given up", func() bool { return s.server.busy.Load() == 0 })
	if list, err := s.client.List(t.Context()); err != nil || list.Count != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestLongBodiesAreRefused(t *testing.T) {
	s := serve(t)
	at := "/v1/workspaces/" + s.create().ID()
	for _, path := range []string{"/v1/workspaces", "/v1/run", at + "/exec", at + "/services"} {
		for name, body := range map[string]io.Reader{
			"told before": strings.NewReader(`{"x":"` + strings.Repeat("x", maxBody) + `"}`),
			"found out":   io.LimitReader(io.MultiReader(strings.NewReader(`{"x":"`), &endless{text: strings.Repeat("x", 4096)}), 2*maxBody),
		} {
			r := s.request("POST", path, body)
			r.Header.Set("Content-Type", "application/json")
			res, err := s.http.Do(r)
			if err != nil { // the connection was ended while the body was being sent
				continue
			}
			_ = res.Body.Close()
			if res.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("%s, %s: status %d", path, name, res.StatusCode)
			}
		}
	}
}
