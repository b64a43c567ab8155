package clone

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
)

func TestACloneIsAWorkTree(t *testing.T) {
	o := project(t)
	got := fetch(t, options(t), o.file(), "")
	if want := o.git("rev-parse", "main"); got.Commit != want {
		t.Errorf("commit %s, want %s", got.Commit, want)
	}
	want := map[string]string{
		"README": "0 644 two\n", "sub/": "5 755 ", "sub/run.sh": "0 755 #!/bin/sh\n", "sub/link": "2 777 ../README",
	}
	if diff := cmp.Diff(want, files(t, got)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	tree := unpack(t, got)
	for _, row := range []struct{ command, says string }{
		{"status --porcelain", ""},
		{"branch --show-current", "main"},
		{"rev-parse HEAD", got.Commit},
		{"log --format=%s", "second\nfirst"},
		{"config remote.origin.url", o.file()},
		{"rev-parse --abbrev-ref main@{upstream}", "origin/main"},
		{"fsck --strict", ""},
	} {
		if said := tree.git(strings.Fields(row.command)...); said != row.says {
			t.Errorf("git %s says %q, want %q", row.command, said, row.says)
		}
	}
}

func TestNamesOfWhatIsWanted(t *testing.T) {
	o := project(t)
	first := o.git("rev-parse", "v1^{commit}")
	for _, row := range []struct{ ref, content, branch string }{
		{"main", "two\n", "main"},
		{"HEAD", "two\n", "main"},
		{"side", "side\n", "side"},
		{"refs/heads/side", "side\n", "side"},
		{"v1", "one\n", ""},
		{"refs/tags/v1", "one\n", ""},
		{first, "one\n", ""},
	} {
		t.Run(row.ref, func(t *testing.T) {
			got := fetch(t, options(t), o.file(), row.ref)
			tree := unpack(t, got)
			content, err := os.ReadFile(filepath.Join(tree.dir, "README"))
			if err != nil || string(content) != row.content {
				t.Errorf("README is %q (%v), want %q", content, err, row.content)
			}
			if branch := tree.git("branch", "--show-current"); branch != row.branch {
				t.Errorf("on branch %q, want %q", branch, row.branch)
			}
			if said := tree.git("status", "--porcelain"); said != "" {
				t.Errorf("changed: %s", said)
			}
			if row.ref == "v1" && tree.git("describe") != "v1" {
				t.Error("the tag is not there")
			}
		})
	}
}

func TestSHA256(t *testing.T) {
	o := newOrigin(t)
	if err := os.RemoveAll(filepath.Join(o.dir, ".git")); err != nil {
		t.Fatal(err)
	}
	o.git("init", "-q", "-b", "main", "--object-format=sha256")
	o.write("a", "b")
	commit := o.commit("x")
	if got := unpack(t, fetch(t, options(t), o.file(), "")); got.git("rev-parse", "HEAD") != commit || got.git("status", "--porcelain") != "" {
		t.Error("not a clone of it")
	}
}

func TestOverHTTP(t *testing.T) {
	o := project(t)
	address := served(t, o, nil)
	for _, ref := range []string{"", "side", "v1", o.git("rev-parse", "main~1")} {
		tree := unpack(t, fetch(t, options(t), address, ref))
		if said := tree.git("status", "--porcelain"); said != "" {
			t.Errorf("%q: changed: %s", ref, said)
		}
	}
}

func TestOverHTTPOfFilesAlone(t *testing.T) {
	o := project(t)
	o.git("update-server-info")
	server := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(o.dir))))
	t.Cleanup(server.Close)
	for _, ref := range []string{"", "side", "v1", o.git("rev-parse", "main~1")} {
		tree := unpack(t, fetch(t, options(t), server.URL+"/origin/.git", ref))
		if said := tree.git("status", "--porcelain"); said != "" {
			t.Errorf("%q: changed: %s", ref, said)
		}
	}
}

func TestALoginIsForItsHostAlone(t *testing.T) {
	o := project(t)
	var seen []string
	address := served(t, o, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			user, password, given := r.BasicAuth()
			if given {
				seen = append(seen, user+":"+password)
			}
			if user != "me" || password != "s p&$(x)" {
				w.Header().Set("WWW-Authenticate", "Basic")
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	if _, err := parse(t, address, "").Fetch(t.Context(), options(t), ""); !errors.Is(err, api.Denied) {
		t.Errorf("without a login: %v", err)
	}
	got := fetch(t, options(t), strings.Replace(address, "http://", "http://me:s%20p%26$(x)@", 1), "")
	if url := unpack(t, got).git("config", "remote.origin.url"); url != address {
		t.Errorf("the clone knows its origin as %s", url)
	}
	other := httptest.NewServer(http.RedirectHandler(address, http.StatusMovedPermanently))
	t.Cleanup(other.Close)
	seen = nil
	elsewhere := strings.Replace(other.URL, "http://", "http://me:s%20p%26$(x)@", 1) + "/x"
	if _, err := parse(t, elsewhere, "").Fetch(t.Context(), options(t), ""); err == nil || len(seen) > 0 {
		t.Errorf("another host was told %q: %v", seen, err)
	}
}

func TestWhatGoesWrong(t *testing.T) {
	o := project(t)
	empty := newOrigin(t)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	missing := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(missing.Close)
	for _, row := range []struct {
		name, address, ref string
		kind               api.Kind
		says               string
	}{
		{"nothing listens", "http://" + closed.Addr().String() + "/a", "", api.Unavailable, ""},
		{"no such repository", missing.URL + "/a", "", api.NotFound, ""},
		{"no such directory", "file:///nonexistent/a", "", api.NotFound, ""},
		{"no such branch", o.file(), "gone", api.NotFound, `no branch or tag "gone"`},
		{"no such commit", o.file(), strings.Repeat("1", 40), api.NotFound, ""},
		{"no commits", empty.file(), "", api.NotFound, "no commits"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := parse(t, row.address, row.ref).Fetch(t.Context(), options(t), "")
			if !errors.Is(err, row.kind) || !strings.Contains(fmt.Sprint(err), row.says) || api.HintOf(err) == "" {
				t.Errorf("%v (hint %q), want %s that says %q", err, api.HintOf(err), row.kind, row.says)
			}
		})
	}
	t.Run("no git", func(t *testing.T) {
		opts := options(t)
		opts.Environ = []string{"PATH=" + t.TempDir() + ":."}
		if _, err := parse(t, o.file(), "").Fetch(t.Context(), opts, ""); !errors.Is(err, api.Unsupported) {
			t.Error(err)
		}
	})
}

// TestSSHAsksNobody puts a program in the place of ssh that writes down how it was called.
func TestSSHAsksNobody(t *testing.T) {
	newOrigin(t)
	for _, row := range []struct {
		complaint string
		kind      api.Kind
		hint      string
	}{
		{"git@example.org: Permission denied (publickey).", api.Denied, "key"},
		{"Host key verification failed.", api.Denied, "once by hand"},
		{"ssh: Could not resolve hostname example.org: Name or service not known", api.Unavailable, "network"},
	} {
		dir := t.TempDir()
		called := filepath.Join(dir, "called")
		script := "#!/bin/sh\nprintf '%s\\n' \"$@\" >" + called + "\necho '" + row.complaint + "' >&2\nexit 255\n"
		if err := os.WriteFile(filepath.Join(dir, "ssh"), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		opts := options(t)
		opts.Environ = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "GIT_SSH_COMMAND=false", "SSH_ASKPASS=false"}
		_, err := parse(t, "git@example.org:a/b.git", "main").Fetch(t.Context(), opts, "")
		if !errors.Is(err, row.kind) || !strings.Contains(api.HintOf(err), row.hint) {
			t.Errorf("%q: %v (hint %q)", row.complaint, err, api.HintOf(err))
		}
		said, err := os.ReadFile(called)
		if err != nil {
			t.Fatal(err)
		}
		words := strings.Split(string(said), "\n")
		for _, want := range []string{"BatchMode=yes", "ForwardAgent=no", "git@example.org"} {
			if !slices.Contains(words, want) {
				t.Errorf("ssh was called without %s: %q", want, words)
			}
		}
	}
}

func TestComplaintsAreShownSafely(t *testing.T) {
	for complaint, want := range map[string]string{
		"fatal: x": "x",
		"remote: \x1b]0;title\x07\nfatal: a\x1b[31mb":  `"a\x1b[31mb"`,
		"warning: redirecting\nerror: one\nfatal: two": "two",
		"something else\nmore":                         "something else",
		"fatal: " + strings.Repeat("ü", 400):           strings.Repeat("ü", 150) + "…",
		"":                                             "",
	} {
		if got := telling(complaint); got != want {
			t.Errorf("%q is told as %q, want %q", complaint, got, want)
		}
	}
}
