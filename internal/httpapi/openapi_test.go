package httpapi

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write openapi.json and the table of docs/api.md anew")

// TestOpenAPI compares the description that is checked in with the routes, the types of
// package api and what their comments say.
func TestOpenAPI(t *testing.T) {
	const name = "openapi.json"
	var made bytes.Buffer
	enc := json.NewEncoder(&made)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(describe(t)); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(name, made.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(lines(kept), lines(made.Bytes())); diff != "" {
		t.Errorf("%s is old; `go test ./internal/httpapi -run TestOpenAPI -update` writes it anew:\n%s", name, diff)
	}
}

func lines(text []byte) []string {
	var list []string
	for line := range bytes.Lines(text) {
		list = append(list, string(line))
	}
	return list
}

// describe makes the whole document.
func describe(t *testing.T) *oaDocument {
	t.Helper()
	s := newSchemas(t, readWords(t, "../../api"))
	o := &operations{schemas: s, words: readWords(t, ".")}
	doc := &oaDocument{
		OpenAPI: "3.1.0", Tags: tags, Paths: o.paths(routes()),
		Info: oaInfo{Title: "pyro", Summary: "Disposable Linux workspaces", Description: introduction, Version: "1"},
		Servers: []oaServer{
			{URL: "http://localhost", Description: "the unix socket of `pyro serve`, whatever the name"},
			{
				URL: "https://{address}", Description: "`pyro serve --listen ADDRESS`, with a token",
				Variables: map[string]oaServerVariable{"address": {"127.0.0.1:7979", "host and port; without TLS on a loopback address alone, and then by http"}},
			},
		},
		Security: []map[string][]string{{"token": {}}, {}},
		Components: oaComponents{
			Responses: o.responses(),
			SecuritySchemes: map[string]oaSecurity{"token": {
				Type: "http", Scheme: "bearer",
				Description: "The token of the server; on a unix socket there is none.",
			}},
		},
	}
	doc.Info.License.Name, doc.Info.License.Identifier = "MIT", "MIT"
	doc.Components.Schemas = s.made
	return doc
}
