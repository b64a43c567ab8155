package clone

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
)

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
