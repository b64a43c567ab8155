package clone

import (
	"errors"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
)

func TestAddresses(t *testing.T) {
	for _, row := range []struct{ address, shown string }{
		{"https://example.org/a/b.git", "https://example.org/a/b.git"},
		{"https://me:secret@example.org:8443/a", "https://example.org:8443/a"},
		{"https://token@example.org/a", "https://example.org/a"},
		{"http://[::1]:80/a", ""}, // two colons in a row are git's helpers
		{"ssh://git@example.org/a", "ssh://example.org/a"},
		{"git@example.org:a/b.git", "example.org:a/b.git"},
		{"example.org:a", "example.org:a"},
		{"git://example.org/a", "git://example.org/a"},
		{"file:///srv/a", "file:///srv/a"},
		{"file://host/a", ""},
		{"file:/srv/a", ""},
		{"file:a", ""},
		{"/srv/a", ""},
		{"./a", ""},
		{"", ""},
		{"-u:x", ""},
		{"--upload-pack=touch:x", ""},
		{"ext::sh -c true", ""},
		{"ext::true", ""},
		{"fd::17", ""},
		{"https::https://example.org/a", ""},
		{"ssh://-oProxyCommand=true/a", ""},
		{"ssh://-oProxyCommand=true@example.org/a", ""},
		{"ssh://git:secret@example.org/a", ""},
		{"-oProxyCommand=true@host:a", ""},
		{"host:-oProxyCommand", ""},
		{"https://example.org", ""},
		{"https:///a", ""},
		{"https://example.org/a?token=secret", ""},
		{"https://example.org/a#b", ""},
		{"https://example.org/a\nb", ""},
		{"https://example.org/a b", ""},
		{"https://us%0aer:x@example.org/a", ""},
		{"ftp://example.org/a", ""},
		{"https://example.org/" + strings.Repeat("a", maxAddress), ""},
	} {
		r, err := Parse(row.address, "")
		switch {
		case row.shown == "" && !errors.Is(err, api.Invalid):
			t.Errorf("%q: %v, want a refusal", row.address, err)
		case err != nil && strings.Contains(err.Error(), "secret"):
			t.Errorf("%q: the error tells the password: %v", row.address, err)
		case row.shown != "" && err != nil:
			t.Errorf("%q: %v", row.address, err)
		case row.shown != "" && r.String() != row.shown:
			t.Errorf("%q is shown as %q, want %q", row.address, r, row.shown)
		}
	}
}

func TestRefs(t *testing.T) {
	for _, ref := range []string{"", "main", "a/b", "v1.0", "refs/pull/1/head", "fe@ture", strings.Repeat("a", 40), "ünï"} {
		if _, err := Parse("https://example.org/a", ref); err != nil {
			t.Errorf("%q: %v", ref, err)
		}
	}
	for _, ref := range []string{"-", "--upload-pack=x", "a b", "a..b", "a~1", "a^", "a:b", "*", "a\nb", "@{-1}", "a.lock", "a.lock/b", "a/", "/a", "a//b", ".a", "a/.b", "@", strings.Repeat("a", 300)} {
		if _, err := Parse("https://example.org/a", ref); !errors.Is(err, api.Invalid) {
			t.Errorf("%q: %v, want a refusal", ref, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, address := range []string{"https://me:pw@example.org/a.git", "git@example.org:a", "file:///a", "ext::x", "ssh://h/p"} {
		f.Add(address, "main")
	}
	f.Fuzz(func(t *testing.T, address, ref string) {
		r, err := Parse(address, ref)
		if err != nil {
			return
		}
		if strings.HasPrefix(r.address, "-") || strings.HasPrefix(r.ref, "-") || strings.Contains(r.address, "::") || protocols[r.scheme] == "" {
			t.Errorf("%q, %q gave %+v", address, ref, r)
		}
		if r.password != "" && len(r.password) > 3 && strings.Contains(r.address, ":"+r.password+"@") {
			t.Errorf("%q: the password is in the argument %q", address, r.address)
		}
	})
}
