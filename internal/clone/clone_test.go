package clone

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/testgate"
)

// origin is a repository that somebody else has made.
type origin struct {
	t   *testing.T
	dir string // its work tree
}

func newOrigin(t *testing.T) *origin {
	t.Helper()
	_, err := exec.LookPath("git")
	testgate.Require(t, testgate.Tool, err)
	o := &origin{t: t, dir: filepath.Join(t.TempDir(), "origin")}
	if err := os.Mkdir(o.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	o.git("init", "-q", "-b", "main")
	return o
}

func (o *origin) git(args ...string) string {
	o.t.Helper()
	cmd := exec.CommandContext(o.t.Context(), "git", args...)
	cmd.Dir = o.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.org",
		"GIT_AUTHOR_DATE=@1700000000 +0000", "GIT_COMMITTER_DATE=@1700000000 +0000")
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		o.t.Fatalf("git %s: %v: %s", strings.Join(args, " "), err, complaint.String())
	}
	return strings.TrimSpace(string(out))
}

func (o *origin) write(name, content string) {
	o.t.Helper()
	path := filepath.Join(o.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		o.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		o.t.Fatal(err)
	}
}

func (o *origin) commit(message string) string {
	o.t.Helper()
	o.git("add", "-A")
	o.git("commit", "-q", "--allow-empty", "-m", message)
	return o.git("rev-parse", "HEAD")
}

func (o *origin) file() string { return "file://" + o.dir }

func options(t *testing.T) Options {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() {
		if left, _ := filepath.Glob(filepath.Join(dir, staged+"*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
	return Options{Dir: dir, Environ: os.Environ()}
}

func parse(t *testing.T, address, ref string) *Repository {
	t.Helper()
	r, err := Parse(address, ref)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func fetch(t *testing.T, o Options, address, ref string) *Archive {
	t.Helper()
	got, err := parse(t, address, ref).Fetch(t.Context(), o, "")
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// unpack makes a work tree of an archive, as the guest does.
func unpack(t *testing.T, a *Archive) *origin {
	t.Helper()
	f, err := os.Open(a.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	dir := t.TempDir()
	if _, err := archive.UnpackDir(t.Context(), f, dir, archive.UnpackOptions{Links: archive.LinksAsData}); err != nil {
		t.Fatal(err)
	}
	return &origin{t: t, dir: dir}
}

// files are the names in an archive, without .git, and what they are.
func files(t *testing.T, a *Archive) map[string]string {
	t.Helper()
	f, err := os.Open(a.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	found := map[string]string{}
	for in := tar.NewReader(f); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(h.Name, ".git/") {
			body, _ := io.ReadAll(in)
			found[h.Name] = fmt.Sprintf("%c %o %s%s", h.Typeflag, h.Mode, h.Linkname, body)
		}
	}
}

func project(t *testing.T) *origin {
	t.Helper()
	o := newOrigin(t)
	o.write("README", "one\n")
	o.write("sub/run.sh", "#!/bin/sh\n")
	if err := os.Chmod(filepath.Join(o.dir, "sub/run.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../README", filepath.Join(o.dir, "sub/link")); err != nil {
		t.Fatal(err)
	}
	o.commit("first")
	o.git("tag", "-a", "v1", "-m", "v1")
	o.git("checkout", "-q", "-b", "side")
	o.write("README", "side\n")
	o.commit("aside")
	o.git("checkout", "-q", "main")
	o.write("README", "two\n")
	o.commit("second")
	return o
}

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

func TestTheSecondTimeNothingIsFetched(t *testing.T) {
	o := project(t)
	opts := options(t)
	first := fetch(t, opts, o.file(), "main")
	if again := fetch(t, opts, o.file(), "main"); *again != *first {
		t.Errorf("%v, then %v", first, again)
	}
	commit := o.git("rev-parse", "HEAD")
	pinned := fetch(t, opts, o.file(), commit)
	if err := os.RemoveAll(o.dir); err != nil {
		t.Fatal(err)
	}
	if again := fetch(t, opts, o.file(), commit); *again != *pinned {
		t.Errorf("%v, then %v", pinned, again)
	}
}

func TestACommitStaysTheSame(t *testing.T) {
	o := project(t)
	opts := options(t)
	r := parse(t, o.file(), "main")
	commit, err := r.Resolve(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	o.write("README", "three\n")
	o.git("commit", "-q", "-a", "--amend", "-m", "rewritten")
	got, err := r.Fetch(t.Context(), opts, commit)
	if err != nil {
		t.Fatal(err)
	}
	if got.Commit != commit || files(t, got)["README"] != "0 644 two\n" {
		t.Errorf("commit %s with %q, want %s", got.Commit, files(t, got)["README"], commit)
	}
	if branch := unpack(t, got).git("branch", "--show-current"); branch != "main" {
		t.Errorf("on branch %q", branch)
	}
}

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

// served is the origin behind git's own CGI program, on loopback.
func served(t *testing.T, o *origin, wrap func(http.Handler) http.Handler) string {
	t.Helper()
	path, err := exec.Command("git", "--exec-path").Output() //nolint:noctx // says where it lies
	if err != nil {
		t.Fatal(err)
	}
	backend := filepath.Join(strings.TrimSpace(string(path)), "git-http-backend")
	_, err = os.Stat(backend)
	testgate.Require(t, testgate.Tool, err)
	var handler http.Handler = &cgi.Handler{Path: backend, Env: []string{
		"GIT_PROJECT_ROOT=" + filepath.Dir(o.dir), "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
	}, InheritEnv: []string{"PATH"}}
	if wrap != nil {
		handler = wrap(handler)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL + "/origin/.git"
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

// hostile is a repository that would do harm where it is checked out, or where its
// configuration counts.
func hostile(t *testing.T) (o *origin, harm string) {
	t.Helper()
	o = newOrigin(t)
	harm = filepath.Join(t.TempDir(), "harm")
	script := "#!/bin/sh\ntouch " + harm + "\n"
	o.write(".gitattributes", "* filter=evil diff=evil\n")
	o.write(".gitmodules", "[submodule \"x\"]\n\tpath = \"x\\r\"\n\turl = ext::touch "+harm+"\n\tupdate = !touch "+harm+"\n")
	o.write("file", "text\n")
	o.git("add", "-A")
	blob := o.git("hash-object", "-w", "file")
	head := strings.Repeat("2", 40)
	o.git("update-index", "--add", "--cacheinfo", "160000,"+head+",x\r")
	o.git("update-index", "--add", "--cacheinfo", "160000,"+head+",module")
	target := filepath.Join(t.TempDir(), "target")
	if err := os.WriteFile(target, []byte(".git"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := o.git("hash-object", "-w", target)
	o.git("update-index", "--add", "--cacheinfo", "120000,"+link+",a")
	o.git("update-index", "--add", "--cacheinfo", "100755,"+blob+",A/hooks/post-checkout")
	o.git("update-index", "--add", "--cacheinfo", "100644,"+blob+",--upload-pack=x")
	o.git("update-index", "--add", "--cacheinfo", "100644,"+blob+",inside.git/HEAD")
	o.git("commit", "-q", "-m", "evil")
	for _, hook := range []string{"post-checkout", "post-merge", "reference-transaction", "post-index-change", "pre-auto-gc"} {
		if err := os.WriteFile(filepath.Join(o.dir, ".git/hooks", hook), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"core.fsmonitor", "filter.evil.smudge", "filter.evil.process", "uploadpack.packObjectsHook", "core.sshCommand", "credential.helper", "core.alternateRefsCommand"} {
		o.git("config", key, "touch "+harm)
	}
	return o, harm
}

func TestAHostileRepositoryIsOnlyData(t *testing.T) {
	o, harm := hostile(t)
	for _, address := range []string{o.file(), served(t, o, nil)} {
		opts := options(t)
		opts.Environ = append(opts.Environ, "GIT_CONFIG_PARAMETERS='core.fsmonitor'='touch "+harm+"'", "GIT_SSH_COMMAND=touch "+harm,
			"GIT_EXTERNAL_DIFF=touch "+harm, "GIT_TRACE="+harm, "GIT_DIR="+filepath.Join(o.dir, ".git"), "GIT_ASKPASS=touch "+harm, "GIT_EXEC_PATH=/nonexistent")
		got := fetch(t, opts, address, "")
		if _, err := os.Lstat(harm); err == nil {
			t.Fatalf("%s: it ran something of ours", address)
		}
		found := files(t, got)
		for name, want := range map[string]string{
			"a": "2 777 .git", "A/hooks/post-checkout": "0 755 text\n", "x\r/": "5 755 ", "module/": "5 755 ", "--upload-pack=x": "0 644 text\n", "inside.git/HEAD": "0 644 text\n",
		} {
			if found[name] != want {
				t.Errorf("%s: %q is %q, want %q", address, name, found[name], want)
			}
		}
		tree := unpack(t, got)
		hooks, err := os.ReadDir(filepath.Join(tree.dir, ".git/hooks"))
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("hooks arrived: %v, %v", hooks, err)
		}
		if config := tree.git("config", "--local", "--list", "--name-only"); strings.Contains(config, "evil") || strings.Contains(config, "fsmonitor") {
			t.Errorf("configuration arrived:\n%s", config)
		}
	}
}

func TestATreeWithAGitOfItsOwnIsRefused(t *testing.T) {
	o := newOrigin(t)
	o.write("x", "text\n")
	blob := o.git("hash-object", "-w", "x")
	inner := o.mktree("100755 blob " + blob + "\tpre-commit\n")
	for _, name := range []string{".git", ".GIT", "git~1", "..", "."} {
		commit := o.git("commit-tree", "-m", "evil", o.mktree("040000 tree "+inner+"\t"+name+"\n"))
		o.git("update-ref", "refs/heads/evil", commit)
		_, err := parse(t, o.file(), "evil").Fetch(t.Context(), options(t), "")
		if err == nil {
			t.Errorf("%q was taken", name)
		}
	}
}

// mktree makes a tree of lines as ls-tree has them, whatever they say.
func (o *origin) mktree(lines string) string {
	o.t.Helper()
	var raw bytes.Buffer
	for line := range strings.Lines(lines) {
		head, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		words := strings.Fields(head)
		fmt.Fprintf(&raw, "%s %s\x00", strings.TrimPrefix(words[0], "0"), name)
		for i := 0; i < len(words[2]); i += 2 {
			var b byte
			_, _ = fmt.Sscanf(words[2][i:i+2], "%02x", &b)
			raw.WriteByte(b)
		}
	}
	path := filepath.Join(o.t.TempDir(), "tree")
	if err := os.WriteFile(path, raw.Bytes(), 0o600); err != nil {
		o.t.Fatal(err)
	}
	return o.git("hash-object", "-w", "-t", "tree", "--literally", path)
}

func TestABombIsGivenUp(t *testing.T) {
	o := newOrigin(t)
	o.write("x", strings.Repeat("x", 100_000))
	id, mode := o.git("hash-object", "-w", "x"), "100644 blob "
	for range 9 {
		var lines strings.Builder
		for i := range 10 {
			fmt.Fprintf(&lines, "%s%s\tn%d\n", mode, id, i)
		}
		id, mode = o.mktree(lines.String()), "040000 tree "
	}
	o.git("update-ref", "refs/heads/main", o.git("commit-tree", "-m", "bomb", id))
	opts := options(t)
	opts.Limits.Entries = 5000
	_, err := parse(t, o.file(), "").Fetch(t.Context(), opts, "")
	if !errors.Is(err, api.Invalid) || !strings.Contains(fmt.Sprint(err), "5000") {
		t.Errorf("%v, want a refusal of the number of files", err)
	}
}

func TestLimits(t *testing.T) {
	o := newOrigin(t)
	o.write("a", strings.Repeat("a", 3<<20))
	o.write("b", "b")
	o.commit("x")
	for name, row := range map[string]struct {
		limits Limits
		says   string
	}{
		"files":   {Limits{Files: 2 << 20}, "2 MiB"},
		"entries": {Limits{Entries: 1}, "more than 1 files"},
	} {
		opts := options(t)
		opts.Limits = row.limits
		if _, err := parse(t, o.file(), "").Fetch(t.Context(), opts, ""); !errors.Is(err, api.Invalid) || !strings.Contains(fmt.Sprint(err), row.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAServerWithoutEnd serves a pack that never ends: that is given up when it has become
// too large, and nothing stays.
func TestAServerWithoutEnd(t *testing.T) {
	o := project(t)
	address := served(t, o, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if !bytes.Contains(body, []byte("command=fetch")) {
				r.Body = io.NopCloser(bytes.NewReader(body))
				next.ServeHTTP(w, r)
				return
			}
			endless(w)
		})
	})
	opts := options(t)
	opts.Limits.Objects = 1 << 20
	if _, err := parse(t, address, "").Fetch(t.Context(), opts, ""); !errors.Is(err, api.Invalid) || !strings.Contains(fmt.Sprint(err), "1 MiB") {
		t.Error(err)
	}
}

// endless is a packfile section whose pack has a blob that is never over, until nobody
// listens any more.
func endless(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
	line := func(p []byte) error {
		_, err := fmt.Fprintf(w, "%04x%s", len(p)+4, p)
		return err
	}
	_ = line([]byte("packfile\n"))
	_ = line([]byte("\x01PACK\x00\x00\x00\x02\x00\x00\x00\x01\xbf\xff\xff\xff\x7f\x78\x01")) // one blob of many bytes, zlib
	piece := append([]byte("\x01\x00\x00\xf0\xff\x0f"), make([]byte, 0xf000)...)             // a stored block of deflate
	for line(piece) == nil {
	}
}

func TestGivingUpLeavesNothing(t *testing.T) {
	o := project(t)
	ctx, cancel := context.WithCancel(t.Context())
	address := served(t, o, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if bytes.Contains(body, []byte("command=fetch")) {
				cancel()
				<-r.Context().Done()
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			next.ServeHTTP(w, r)
		})
	})
	if _, err := parse(t, address, "").Fetch(ctx, options(t), ""); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestWhatAKilledProcessLeft(t *testing.T) {
	opts := options(t)
	old := filepath.Join(opts.Dir, staged+"old")
	dead := filepath.Join(opts.Dir, staged+"dead")
	for _, dir := range []string{old, dead} {
		if err := os.MkdirAll(filepath.Join(dir, "home"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dead, lockFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-2 * halfMade)
	if err := os.Chtimes(old, long, long); err != nil {
		t.Fatal(err)
	}
	busy, err := newStage(opts)
	if err != nil {
		t.Fatal(err)
	}
	defer busy.close()
	sweep(opts.Dir)
	left, _ := filepath.Glob(filepath.Join(opts.Dir, staged+"*"))
	if diff := cmp.Diff([]string{busy.dir}, left); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

func TestTheCacheHasACap(t *testing.T) {
	opts := options(t)
	opts.Limits.Kept = 10
	for i, name := range []string{"a", "b", "c"} {
		path := filepath.Join(opts.Dir, name+suffix)
		if err := os.WriteFile(path, []byte("12345"), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Unix(int64(1000+i), 0)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	opts.prune(filepath.Join(opts.Dir, "a"+suffix))
	left, _ := filepath.Glob(filepath.Join(opts.Dir, "*"))
	for i := range left {
		left[i] = filepath.Base(left[i])
	}
	if diff := cmp.Diff([]string{"a.tar", "c.tar"}, left); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

func TestWhatGitSeesOfUs(t *testing.T) {
	g, err := newGit([]string{"PATH=" + os.Getenv("PATH"), "AWS_SECRET=x", "GIT_DIR=/x", "HTTPS_PROXY=http://p", "HOME=/home/me"}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, pair := range g.env {
		name, value, _ := strings.Cut(pair, "=")
		got[name] = true
		if value == "/x" || value == "/home/me" {
			t.Errorf("git gets %s", pair)
		}
	}
	if got["AWS_SECRET"] || !got["HTTPS_PROXY"] {
		t.Errorf("git gets %v", slices.Sorted(maps.Keys(got)))
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

func FuzzParseEntry(f *testing.F) {
	f.Add("100644 blob " + strings.Repeat("1", 40) + "\ta/b")
	f.Add("160000 commit " + strings.Repeat("1", 40) + "\t.git/x")
	f.Fuzz(func(t *testing.T, line string) {
		e, err := parseEntry(line)
		if err == nil && slices.ContainsFunc(strings.Split(e.path, "/"), func(part string) bool { return part == "" || part == ".." || archive.IsGit(part) }) {
			t.Errorf("%q was taken", e.path)
		}
	})
}
