package gate

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
)

const secret = "correct-horse-battery"

func TestTokensAreShownInOnePlace(t *testing.T) {
	for header, want := range map[string]bool{
		"Bearer " + secret:              true,
		"bearer  " + secret + " ":       true,
		"":                              false,
		secret:                          false,
		"Basic " + secret:               false,
		"Bearer":                        false,
		"Bearer " + secret[1:]:          false,
		"Bearer " + secret + secret:     false,
		"Bearer " + secret + ", Bearer": false,
	} {
		r := &http.Request{Header: http.Header{"Authorization": {header}}}
		if got := NewToken(secret).IsShown(r); got != want {
			t.Errorf("%q: %v, want %v", header, got, want)
		}
	}
}

func TestOrigins(t *testing.T) {
	for _, c := range []struct {
		origins []string
		want    bool
	}{
		{nil, true},
		{[]string{"http://here:1"}, true},
		{[]string{"https://here:1"}, false},
		{[]string{"http://here:2"}, false},
		{[]string{"http://evil"}, false},
		{[]string{"null"}, false},
		{[]string{""}, false},
		{[]string{"http://here:1", "http://evil"}, false},
	} {
		r := &http.Request{Host: "here:1", Header: http.Header{"Origin": c.origins}}
		if got := IsSameOrigin(r, "http"); got != c.want {
			t.Errorf("%q: %v, want %v", c.origins, got, c.want)
		}
	}
}

func TestAddresses(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:0": true, "[::1]:8700": true, ":80": true, "host:65535": true,
		"": false, "127.0.0.1": false, "host:http": false, "host:65536": false, "host:-1": false, "::1:80": false,
	} {
		if err := CheckAddress(address); (err == nil) != want {
			t.Errorf("%q: %v", address, err)
		}
	}
	for ip, want := range map[string]bool{"127.0.0.1": true, "127.9.9.9": true, "::1": true, "0.0.0.0": false, "::": false, "10.0.0.1": false} {
		if got := IsLoopback(&net.TCPAddr{IP: net.ParseIP(ip)}); got != want {
			t.Errorf("%s: %v", ip, got)
		}
	}
	if IsLoopback(&net.UnixAddr{}) {
		t.Error("a socket without an address is loopback")
	}
}

func TestFindToken(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("good", "\n"+secret+"\n", 0o600)
	for name, c := range map[string]struct {
		file, given string
		want        string // empty: one is made up, or an error
		kind        api.Kind
	}{
		"of a file":          {good, secret + "x", secret, ""},
		"of the variable":    {"", " " + secret + "\n", secret, ""},
		"made up":            {"", " ", "", ""},
		"short":              {"", "hunter2", "", api.Invalid},
		"with a blank":       {"", secret + " " + secret, "", api.Invalid},
		"of others, too":     {file("open", secret, 0o640), "", "", api.Denied},
		"not there":          {filepath.Join(dir, "none"), "", "", api.NotFound},
		"a directory":        {dir, "", "", api.Invalid},
		"empty":              {file("empty", "", 0o600), "", "", api.Invalid},
		"more than a token":  {file("long", strings.Repeat("x", maxToken+1), 0o600), "", "", api.Invalid},
		"as long as allowed": {file("most", strings.Repeat("x", maxToken), 0o600), "", strings.Repeat("x", maxToken), ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, madeUp, err := FindToken(c.file, "VARIABLE", c.given)
			switch {
			case c.kind != "":
				if api.KindOf(err) != c.kind || api.HintOf(err) == "" || strings.Contains(err.Error(), "hunter2") {
					t.Errorf("got %v, want %s", err, c.kind)
				}
			case err != nil || madeUp != (c.want == "") || !madeUp && got != c.want || len(got) < minToken:
				t.Errorf("got %q, made up %v, %v", got, madeUp, err)
			}
		})
	}
}
