package mcpserver

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite the answers in testdata/transcripts/*.txtar")

// TestTranscripts says the lines of a file to a server and compares what it answers. In a
// line, ID is the id of the workspace that was made last.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/transcripts/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d transcripts, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			said, want := archive.Files[0].Data, archive.Files[1].Data
			got := hold(t, newTalk(t, serverWith(t, Options{Open: newPlace(t).open, Version: "VERSION"}, nil)), said)
			if *update {
				archive.Files[1].Data = got
				if err := os.WriteFile(file, txtar.Format(archive), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
		})
	}
}

var date = regexp.MustCompile(`[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8} UTC`)

// hold holds a conversation, one request after the other.
func hold(t *testing.T, k *talk, said []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	id := "ID"
	for line := range bytes.Lines(said) {
		line = bytes.ReplaceAll(line, []byte(`"ID"`), []byte(`"`+id+`"`))
		k.say(string(line))
		if m, bad := checkMessage(bytes.TrimSpace(line)); bad == nil && !m.call.IsValid() {
			continue // nobody answers it
		}
		raw, err := k.from.ReadBytes('\n')
		if err != nil {
			t.Fatal(err)
		}
		var answer any
		if err := json.Unmarshal(raw, &answer); err != nil {
			t.Fatal(err)
		}
		if found := field(answer, "result", "structuredContent", "workspace_id"); found != "" {
			id = found
		}
		enc := json.NewEncoder(&out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", " ")
		if err := enc.Encode(settled(answer, id)); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// field is a text in nested objects; empty: it is not there.
func field(v any, path ...string) string {
	for _, name := range path {
		object, _ := v.(map[string]any)
		v = object[name]
	}
	text, _ := v.(string)
	return text
}

// settled is an answer without what differs from run to run, and without what other tests
// look at: of a tool there is its name alone, and content that says what the structured
// content says is left out.
func settled(v any, id string) any {
	switch v := v.(type) {
	case string:
		return date.ReplaceAllString(strings.ReplaceAll(v, id, "ID"), "DATE")
	case float64:
		if v > 1e9 { // a time
			return 0
		}
	case []any:
		for i := range v {
			v[i] = settled(v[i], id)
		}
	case map[string]any:
		if v["inputSchema"] != nil {
			return v["name"]
		}
		sameContent(v)
		for _, name := range slices.Sorted(maps.Keys(v)) {
			switch {
			case strings.HasSuffix(name, "_socket"), strings.HasSuffix(name, "_dir"), strings.HasSuffix(name, "_ms"), name == "instructions":
				v[name] = "…"
			default:
				v[name] = settled(v[name], id)
			}
		}
	}
	return v
}

// sameContent takes the text out of a result that repeats its structured content.
func sameContent(result map[string]any) {
	content, _ := result["content"].([]any)
	if len(content) != 1 || result["structuredContent"] == nil {
		return
	}
	var same any
	if json.Unmarshal([]byte(field(content[0], "text")), &same) == nil && reflect.DeepEqual(same, result["structuredContent"]) {
		delete(result, "content")
	}
}
