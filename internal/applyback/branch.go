package applyback

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
)

// Branch makes a commit of the changes on top of HEAD and a new branch that names it, and
// returns what was done. The files, the index and the branch that is checked out stay as
// they are: what is compared is what HEAD has. Author and committer are those that git is
// configured with. Where nothing is to be done there is no branch.
//
// Errors are as those of Plan; a branch of that name is api.Exists. What git's filters do
// to files (line ends, large file storage) is not done: the commit has the bytes of the
// workspace.
func (a *Area) Branch(ctx context.Context, name, message string, allowAutorun bool) (*api.Apply, error) {
	if a.git == nil {
		return nil, needsGit(a.dir)
	}
	p := &Plan{}
	p.Result.Entries, p.Result.Warnings = []api.ApplyEntry{}, []string{}
	slices.SortStableFunc(a.changes, func(x, y Change) int { return strings.Compare(x.Path, y.Path) })
	changes, refused := p.allowed(a.changes, allowAutorun)
	if err := refusals(api.Denied, "these would run by themselves here, and nothing was changed", "look at them with `pyro workspace diff`; what would run by itself needs --allow-autorun", refused); err != nil {
		return nil, err
	}
	b := &brancher{Area: a, p: p, ref: "refs/heads/" + name}
	if err := b.check(ctx, name); err != nil {
		return nil, err
	}
	if err := b.compare(ctx, changes); err != nil {
		return nil, err
	}
	if len(b.index)+len(b.removals) == 0 {
		p.warn("nothing is to be done, so there is no new branch")
		return &p.Result, nil
	}
	commit, err := b.commit(ctx, message)
	if err != nil {
		return nil, err
	}
	p.Result.Branch, p.Result.Commit = &name, &commit
	return &p.Result, nil
}

// brancher makes one commit.
type brancher struct {
	*Area
	p    *Plan
	ref  string
	head string            // the commit
	tree map[string]blob   // what HEAD has, by path in the work tree
	dirs map[string]bool   // its directories
	ids  map[string]string // of files of the area: the blobs that they are

	removals, index []string // lines for update-index
}

// blob is a file or link in a tree of git.
type blob struct{ mode, id string }

// check looks at names and finds HEAD.
func (b *brancher) check(ctx context.Context, name string) error {
	if _, err := b.git.run(ctx, nil, "check-ref-format", b.ref); err != nil || strings.HasPrefix(name, "-") || name == "HEAD" {
		return &api.Error{Kind: api.Invalid, Hint: "choose a name as git takes it, such as workspace/fix", Err: fmt.Errorf("%q is no name of a branch", name)}
	}
	if _, err := b.git.run(ctx, nil, "show-ref", "--verify", "--quiet", b.ref); err == nil {
		return &api.Error{Kind: api.Exists, Hint: "choose another name, or delete it with `git branch -D`", Err: fmt.Errorf("branch %s exists already", name)}
	}
	out, err := b.git.run(ctx, nil, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
	if err != nil {
		return &api.Error{Kind: api.Conflict, Hint: "make a first commit", Err: errors.New("the repository has no commit that a branch could begin at")}
	}
	b.head = strings.TrimSpace(string(out))
	return b.readTree(ctx)
}

// readTree reads what HEAD has.
func (b *brancher) readTree(ctx context.Context) error {
	out, err := b.git.run(ctx, nil, "ls-tree", "-r", "-z", "--full-tree", b.head)
	if err != nil {
		return err
	}
	b.tree, b.dirs = make(map[string]blob), make(map[string]bool)
	for line := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		head, name, _ := strings.Cut(line, "\t")
		fields := strings.Fields(head)
		if len(fields) != 3 {
			continue
		}
		b.tree[name] = blob{fields[0], fields[2]}
		for above := path.Dir(name); above != "." && !b.dirs[above]; above = path.Dir(above) {
			b.dirs[above] = true
		}
	}
	return nil
}

// compare decides about all changes.
func (b *brancher) compare(ctx context.Context, changes []Change) error {
	if err := b.hash(ctx, changes); err != nil {
		return err
	}
	ignored, err := b.ignored(ctx, changes)
	if err != nil {
		return err
	}
	gone := make(map[string]bool)
	for i := range changes {
		if changes[i].New == nil {
			gone[b.git.prefix+changes[i].Path] = true
		}
	}
	var movedOn []refusal
	for i := range changes {
		c, entry := &changes[i], &b.p.Result.Entries[i]
		why, err := b.one(ctx, c, entry, ignored, gone)
		if err != nil {
			return err
		}
		if why != "" {
			movedOn = append(movedOn, refusal{c.Path, why})
			continue
		}
		b.p.count(entry)
	}
	return refusals(api.Conflict, "HEAD has moved on, and nothing was changed", "check out what the workspace was seeded with, or apply to the files without --branch", movedOn)
}

// one decides about one change, and writes its line for the index.
func (b *brancher) one(ctx context.Context, c *Change, entry *api.ApplyEntry, ignored, gone map[string]bool) (why string, err error) {
	name := b.git.prefix + c.Path
	head, has := b.tree[name]
	old, fresh := b.blobOf(c.Old, c.base), b.blobOf(c.New, c.content)
	if isFile(fresh) && !c.content.kept { // the mode alone is another
		if !has {
			entry.Already = true
			b.p.warn("%s is not in HEAD, and its mode not in the commit", quoted(c.Path))
			return "", nil
		}
		old.id, fresh.id = head.id, head.id
	}
	switch {
	case b.inModule(name):
		return "it lies in a submodule", nil
	case c.New != nil && c.New.Kind == archive.KindDirectory, c.New == nil && !has:
		entry.Already = true
		return "", nil
	case !has && ignored[c.Path]:
		entry.Already = true
		b.p.warn("%s is ignored by git, and not in the commit", quoted(c.Path))
		return "", nil
	case has && c.New != nil && head == fresh:
		entry.Already = true
		return "", nil
	case has && (c.Old == nil || c.Old.Kind == archive.KindDirectory):
		return "it is in HEAD too, and is another", nil
	case has && c.New == nil && head != old:
		return "it is to be deleted, and is another in HEAD", nil
	case c.New == nil:
		b.line("0", strings.Repeat("0", len(head.id)), name)
		return "", nil
	case b.inTheWay(name, gone):
		return "HEAD has a file or directory in its place", nil
	case !has || head == old:
		b.line(fresh.mode, fresh.id, name)
		return "", nil
	}
	return b.merge(ctx, c, entry, head, old, fresh)
}

// line adds a line for update-index; a mode of 0 removes the path.
func (b *brancher) line(mode, id, name string) {
	if mode == "0" {
		b.removals = append(b.removals, mode+" "+id+"\t"+name+"\x00")
		return
	}
	b.index = append(b.index, mode+" "+id+"\t"+name+"\x00")
}

// merge puts the changes of the workspace into what HEAD has.
func (b *brancher) merge(ctx context.Context, c *Change, entry *api.ApplyEntry, head, old, fresh blob) (why string, err error) {
	if old.id == "" || !isFile(head) || !isFile(old) || !isFile(fresh) || max(c.Old.Size, c.New.Size) > maxMerge {
		return "it is another in HEAD", nil
	}
	if head.mode == old.mode {
		head.mode = fresh.mode
	}
	if head.id != old.id && old.id != fresh.id {
		out, err := b.git.run(ctx, nil, "cat-file", "blob", head.id)
		if err != nil {
			return "", err
		}
		ours := b.newName("ours")
		if _, err := b.fill(ours, bytes.NewReader(out), 0o600, nobodys); err != nil {
			return "", err
		}
		merged, why, err := b.mergeWith(ctx, ours, c.base, c.content)
		if err != nil || why != "" {
			return strings.ReplaceAll(why, "here", "in HEAD"), err
		}
		id, err := b.git.run(ctx, bytes.NewReader(merged), "hash-object", "-w", "--no-filters", "--stdin")
		if err != nil {
			return "", err
		}
		fresh.id = strings.TrimSpace(string(id))
	} else if old.id == fresh.id {
		fresh.id = head.id
	}
	if fresh.id == b.tree[b.git.prefix+c.Path].id && head.mode == b.tree[b.git.prefix+c.Path].mode {
		entry.Already = true
		return "", nil
	}
	entry.Merged = true
	b.line(head.mode, fresh.id, b.git.prefix+c.Path)
	return "", nil
}

func isFile(b blob) bool { return strings.HasPrefix(b.mode, "100") }

// inModule reports whether a path lies in what is a repository of its own.
func (b *brancher) inModule(name string) bool {
	for above := name; above != "."; above = path.Dir(above) {
		if b.tree[above].mode == "160000" {
			return true
		}
	}
	return false
}

// inTheWay reports whether HEAD has a file where a directory is needed, or the other way
// round, that does not go.
func (b *brancher) inTheWay(name string, gone map[string]bool) bool {
	for above := path.Dir(name); above != "."; above = path.Dir(above) {
		if _, file := b.tree[above]; file && !gone[above] {
			return true
		}
	}
	if !b.dirs[name] {
		return false
	}
	for other := range b.tree {
		if strings.HasPrefix(other, name+"/") && !gone[other] {
			return true
		}
	}
	return false
}

// blobOf is what git would make of a state whose content lies in a file of the area.
func (b *brancher) blobOf(s *State, content piece) blob {
	switch {
	case s == nil, s.Kind == archive.KindDirectory:
		return blob{}
	case s.Kind == archive.KindSymlink:
		return blob{"120000", b.ids["link:"+s.Target]}
	case s.runs():
		return blob{"100755", b.ids[content.key()]}
	}
	return blob{"100644", b.ids[content.key()]}
}

// key names a piece among others, of which none is the empty one.
func (p piece) key() string {
	if !p.kept {
		return ""
	}
	return fmt.Sprintf("%d+%d", p.from, p.size)
}

// hash makes blobs of all that changed; of what there was only the name of one is needed,
// but whether HEAD has it is not known yet.
func (b *brancher) hash(ctx context.Context, changes []Change) error {
	b.ids = make(map[string]string)
	var names, keys []string
	add := func(key string, content io.Reader) error {
		if _, known := b.ids[key]; known {
			return nil
		}
		name := b.newName("blob")
		b.ids[key] = ""
		names, keys = append(names, b.path(name)), append(keys, key)
		_, err := b.fill(name, content, 0o600, nobodys)
		return err
	}
	for i := range changes {
		c := &changes[i]
		for _, p := range []piece{c.content, c.base} {
			if !p.kept {
				continue
			}
			if err := add(p.key(), io.NewSectionReader(b.spool, p.from, p.size)); err != nil {
				return err
			}
		}
		for _, s := range []*State{c.Old, c.New} {
			if s == nil || s.Kind != archive.KindSymlink {
				continue
			}
			if err := add("link:"+s.Target, strings.NewReader(s.Target)); err != nil {
				return err
			}
		}
	}
	if len(names) == 0 {
		return nil
	}
	out, err := b.git.run(ctx, strings.NewReader(strings.Join(names, "\n")+"\n"), "hash-object", "-w", "--no-filters", "--stdin-paths")
	if err != nil {
		return err
	}
	ids := strings.Fields(string(out))
	if len(ids) != len(keys) {
		return fmt.Errorf("git hash-object: %d ids for %d files", len(ids), len(keys))
	}
	for i, id := range ids {
		if _, err := hex.DecodeString(id); err != nil {
			return fmt.Errorf("git hash-object: %w", err)
		}
		b.ids[keys[i]] = id
	}
	return nil
}

// ignored asks git which paths would not be added.
func (b *brancher) ignored(ctx context.Context, changes []Change) (map[string]bool, error) {
	var ask []string
	for i := range changes {
		if c := &changes[i]; c.New != nil {
			if _, has := b.tree[b.git.prefix+c.Path]; !has {
				ask = append(ask, "./"+c.Path)
			}
		}
	}
	if len(ask) == 0 {
		return nil, nil
	}
	out, err := b.git.run(ctx, strings.NewReader(strings.Join(ask, "\x00")+"\x00"), "check-ignore", "-z", "--stdin")
	if err != nil && status(err) != 1 { // none
		return nil, err
	}
	ignored := make(map[string]bool)
	for name := range strings.SplitSeq(string(out), "\x00") {
		ignored[strings.TrimPrefix(name, "./")] = true
	}
	return ignored, nil
}

// commit makes the tree in an index of its own, the commit, and last the branch.
func (b *brancher) commit(ctx context.Context, message string) (string, error) {
	env := []string{"GIT_INDEX_FILE=" + b.path("index")}
	if _, err := b.git.runWith(ctx, nil, env, "read-tree", b.head); err != nil {
		return "", err
	}
	lines := strings.Join(b.removals, "") + strings.Join(b.index, "")
	if _, err := b.git.runWith(ctx, strings.NewReader(lines), env, "update-index", "-z", "--index-info"); err != nil {
		return "", err
	}
	tree, err := b.git.runWith(ctx, nil, env, "write-tree")
	if err != nil {
		return "", err
	}
	out, err := b.git.run(ctx, strings.NewReader(message), "commit-tree", strings.TrimSpace(string(tree)), "-p", b.head)
	if err != nil {
		if said := err.Error(); strings.Contains(said, "ident") || strings.Contains(said, "tell me who you are") {
			return "", &api.Error{Kind: api.Conflict, Hint: "set them with `git config user.name` and `git config user.email`", Err: errors.New("git knows neither name nor address of an author")}
		}
		return "", err
	}
	commit := strings.TrimSpace(string(out))
	_, err = b.git.run(ctx, nil, "update-ref", "-m", "pyro workspace apply", b.ref, commit, strings.Repeat("0", len(commit)))
	return commit, err
}
