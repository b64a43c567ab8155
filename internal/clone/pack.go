package clone

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pyro-sandbox/pyro/internal/sys"
)

// packer writes the archive of one commit.
type packer struct {
	tar   *tar.Writer
	when  time.Time // of the commit: all that is in the archive is as old
	left  int64     // bytes that files may still have
	limit int64
}

// pack puts the files of a commit and the repository into an archive at path.
func (r *Repository) pack(ctx context.Context, s *stage, t target, commit, path string) error {
	entries, err := s.git.list(ctx, commit, s.options.Limits.Entries)
	if err != nil {
		return err
	}
	when, err := s.git.date(ctx, commit)
	if err != nil {
		return err
	}
	index := filepath.Join(s.dir, "index")
	if err := s.git.readTree(ctx, commit, index); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return sys.Explain("keep clone", err)
	}
	defer func() { _ = f.Close() }()
	out := bufio.NewWriterSize(f, 256<<10)
	p := &packer{tar: tar.NewWriter(out), when: when, left: s.options.Limits.Files, limit: s.options.Limits.Files}
	err = s.git.contents(ctx, entries, p.entry)
	if err == nil {
		err = p.repository(s.git.repo, index, r.gitFiles(t, commit))
	}
	if err == nil {
		err = errors.Join(p.tar.Close(), out.Flush(), f.Sync(), f.Close())
	}
	return sys.Explain("keep clone", err)
}

// date is when a commit was made, as far as anybody knows.
func (g *git) date(ctx context.Context, commit string) (time.Time, error) {
	said, err := g.ask(ctx, "log", "-1", "--no-show-signature", "--format=%ct", "--end-of-options", commit)
	if err != nil {
		return time.Time{}, err
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(said), 10, 64)
	if err != nil || seconds < 0 || seconds > 1<<33 {
		seconds = 0
	}
	return time.Unix(seconds, 0), nil
}

// readTree writes the index that a checkout would have left. It knows nothing of files
// yet; git looks at them once when it is asked for the first time.
func (g *git) readTree(ctx context.Context, commit, index string) error {
	with := *g
	with.env = append(with.env[:len(with.env):len(with.env)], "GIT_INDEX_FILE="+index)
	_, err := with.ask(ctx, "read-tree", commit)
	return err
}

func (p *packer) entry(e entry, size int64, body io.Reader) error {
	switch e.mode {
	case modeDir, modeModule:
		return p.header(&tar.Header{Typeflag: tar.TypeDir, Name: e.path + "/", Mode: 0o755})
	case modeLink:
		if size == 0 || size > maxTarget {
			return tooLarge("the symlink %s has a target of %d bytes", strconv.Quote(e.path), size)
		}
		target, err := io.ReadAll(body)
		if err != nil {
			return err
		}
		return p.header(&tar.Header{Typeflag: tar.TypeSymlink, Name: e.path, Linkname: string(target), Mode: 0o777})
	case modeFile, modeOldFile:
		return p.file(e.path, 0o644, size, body)
	case modeProgram:
		return p.file(e.path, 0o755, size, body)
	}
	return errBroken
}

func (p *packer) file(name string, mode int64, size int64, body io.Reader) error {
	if p.left -= size; p.left < 0 {
		return tooLarge("the files have more than %d MiB", p.limit>>20)
	}
	if err := p.header(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: size}); err != nil {
		return err
	}
	_, err := io.Copy(p.tar, body)
	return err
}

func (p *packer) header(h *tar.Header) error {
	h.ModTime, h.Format = p.when, tar.FormatPAX
	return p.tar.WriteHeader(h)
}

// kept are the files of our repository's objects: packs, and single ones, which come
// from servers that only serve files.
var kept = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:pack/pack-[0-9a-f]+\.(?:pack|idx|rev)|[0-9a-f]{2}/[0-9a-f]{38,62})$`)
})

// repository writes .git: what it consists of is written here, and only objects and
// index are git's. Nothing in it runs by itself.
func (p *packer) repository(repo, index string, files []gitFile) error {
	for _, dir := range []string{".git", ".git/objects", ".git/objects/info", ".git/objects/pack", ".git/refs", ".git/refs/heads", ".git/refs/tags"} {
		if err := p.header(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755}); err != nil {
			return err
		}
	}
	for _, f := range files {
		if err := p.file(".git/"+f.name, 0o644, int64(len(f.content)), strings.NewReader(f.content)); err != nil {
			return err
		}
	}
	if err := p.copy(index, ".git/index", 0o644); err != nil {
		return err
	}
	objects := filepath.Join(repo, "objects")
	return filepath.WalkDir(objects, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(objects, path)
		if err != nil || !d.Type().IsRegular() || !kept().MatchString(name) {
			return err
		}
		return p.copy(path, ".git/objects/"+name, 0o444)
	})
}

func (p *packer) copy(path, name string, mode int64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := p.header(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: info.Size()}); err != nil {
		return err
	}
	_, err = io.CopyN(p.tar, f, info.Size())
	return err
}

// gitFile is a file of .git that we write.
type gitFile struct{ name, content string }

// gitFiles are HEAD, the refs and the configuration of a fresh clone.
func (r *Repository) gitFiles(t target, commit string) []gitFile {
	head, refs := commit+"\n", "# pack-refs with: peeled fully-peeled sorted \n"
	var follow string
	switch branch, ok := strings.CutPrefix(t.ref, "refs/heads/"); {
	case ok:
		head = "ref: " + t.ref + "\n"
		refs += commit + " " + t.ref + "\n" + commit + " refs/remotes/origin/" + branch + "\n"
		follow = fmt.Sprintf("[branch %s]\n\tremote = origin\n\tmerge = %s\n", quoteConfig(branch), t.ref)
	case strings.HasPrefix(t.ref, "refs/tags/"):
		refs += t.object + " " + t.ref + "\n"
		if t.object != commit {
			refs += "^" + commit + "\n"
		}
	}
	core := "[core]\n\trepositoryformatversion = 0\n"
	if len(commit) == 64 {
		core = "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tobjectformat = sha256\n[core]\n"
	}
	core += "\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n"
	remote := fmt.Sprintf("[remote \"origin\"]\n\turl = %s\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n", quoteConfig(r.shown))
	return []gitFile{{"HEAD", head}, {"packed-refs", refs}, {"config", core + remote + follow}}
}

// quoteConfig writes a text as git-config(1) has it. Control characters are in no
// address and in no ref.
func quoteConfig(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
