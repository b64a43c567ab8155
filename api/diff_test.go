package api

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDiffRequestHasOneForm(t *testing.T) {
	for name, c := range map[string]struct {
		given, want []string
		fine        bool
	}{
		"everything":   {nil, nil, true},
		"relative":     {[]string{"a", "b/./c/", "..x/y"}, []string{"a", "b/c", "..x/y"}, true},
		"absolute":     {[]string{"/workspace/a", "/workspace//b/"}, []string{"a", "b"}, true},
		"the root":     {[]string{"a", "/workspace"}, nil, true},
		"also it":      {[]string{"."}, nil, true},
		"bytes":        {[]string{"\xff"}, []string{"\xff"}, true},
		"up and down":  {[]string{"a/../b"}, []string{"b"}, true},
		"empty":        {[]string{""}, nil, false},
		"outside":      {[]string{"../x"}, nil, false},
		"above":        {[]string{".."}, nil, false},
		"elsewhere":    {[]string{"/etc"}, nil, false},
		"beside":       {[]string{"/workspace-evil"}, nil, false},
		"out of it":    {[]string{"/workspace/../etc"}, nil, false},
		"a zero byte":  {[]string{"a\x00"}, nil, false},
		"a long one":   {[]string{strings.Repeat("a", 5000)}, nil, false},
		"too many":     {make([]string, MaxDiffPaths+1), nil, false},
		"one too many": {append([]string{"a"}, ""), nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := DiffRequest{Paths: c.given}.Check()
			if c.fine != (err == nil) || err != nil && !errors.Is(err, Invalid) {
				t.Fatal(err)
			}
			if err != nil {
				return
			}
			if diff := cmp.Diff(DiffRequest{Paths: c.want, Against: DiffBaseline}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if again, err := got.Check(); err != nil || !cmp.Equal(again, got) {
				t.Errorf("checked again it is %+v, %v", again, err)
			}
		})
	}
}

func TestDiffEntryKeepsTheBytesOfItsPath(t *testing.T) {
	var e DiffEntry
	e.SetPath("a\xffb")
	if e.Path != "a\ufffdb" || e.PathBase64 == nil || *e.PathBase64 != base64.StdEncoding.EncodeToString([]byte("a\xffb")) {
		t.Errorf("%+v", e)
	}
	if e.SetPath("plain"); e.Path != "plain" || e.PathBase64 != nil {
		t.Errorf("%+v", e)
	}
}
