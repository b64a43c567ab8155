package clone

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

// What git is given.
const (
	resolveTime = time.Minute      // to ask what a name stands for
	fetchTime   = 15 * time.Minute // to bring a repository here and put the archive together
)

// target is what a name stands for at a moment.
type target struct {
	ref    string // in full; empty: a commit that was named by its digits, and has no name
	object string // what the other side has there: a commit, or an annotated tag
	commit string // empty: not known before it is here
}

// Resolve asks the other side which commit the name stands for now. Errors are
// api.NotFound, api.Denied, api.Unavailable, api.Timeout and api.Unsupported (no git).
func (r *Repository) Resolve(ctx context.Context, o Options) (string, error) {
	if object().MatchString(r.ref) {
		return r.ref, nil
	}
	s, err := newStage(o)
	if err != nil {
		return "", err
	}
	defer s.close()
	found, err := r.resolve(ctx, s.git)
	return found.commit, err
}

func (r *Repository) resolve(ctx context.Context, g *git) (target, error) {
	if object().MatchString(r.ref) {
		return target{object: r.ref}, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, resolveTime, overTime("asking for "+r.shown))
	defer cancel()
	g.about(r)
	wanted := r.candidates()
	patterns := wanted
	for _, name := range wanted {
		patterns = append(patterns, name+"^{}")
	}
	said, err := g.ask(ctx, append([]string{"ls-remote", "--symref", "--end-of-options", r.address}, patterns...)...)
	if err != nil {
		return target{}, err
	}
	return choose(said, wanted, r)
}

// candidates are the refs that a name may stand for. A branch goes before a tag, as in
// git clone --branch.
func (r *Repository) candidates() []string {
	switch {
	case r.ref == "" || r.ref == "HEAD":
		return []string{"HEAD"}
	case strings.HasPrefix(r.ref, "refs/"):
		return []string{r.ref}
	}
	return []string{"refs/heads/" + r.ref, "refs/tags/" + r.ref, "refs/" + r.ref}
}

// choose reads the answer of ls-remote, and takes the first of the refs that is in it.
func choose(said string, wanted []string, r *Repository) (target, error) {
	objects, leads := map[string]string{}, map[string]string{}
	for line := range strings.Lines(said) {
		what, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		to, symbolic := strings.CutPrefix(what, "ref: ")
		switch {
		case ok && symbolic && strings.HasPrefix(to, "refs/heads/") && checkRef(to) == nil:
			leads[name] = to
		case ok && object().MatchString(what):
			objects[name] = what
		}
	}
	for _, name := range wanted {
		id, found := objects[name]
		if !found {
			continue
		}
		t := target{ref: name, object: id, commit: id}
		if peeled := objects[name+"^{}"]; peeled != "" {
			t.commit = peeled
		}
		if branch, ok := leads[name]; ok {
			t.ref = branch
		}
		return t, nil
	}
	if r.ref == "" {
		return target{}, &api.Error{Kind: api.NotFound, Hint: "name a branch or a commit that there is", Err: fmt.Errorf("%s has no commits, or no default branch", r.shown)}
	}
	return target{}, &api.Error{
		Kind: api.NotFound, Hint: "check the name; a commit is named by all of its digits",
		Err: fmt.Errorf("%s has no branch or tag %s", r.shown, strconv.Quote(r.ref)),
	}
}

// fetch brings the target and its history into the empty repository of g. The other
// side may have moved on since it was asked; commit, if there is one, is what is wanted.
func (r *Repository) fetch(ctx context.Context, g *git, t target, commit string) (string, error) {
	format := "sha1"
	if len(t.object) == 64 {
		format = "sha256"
	}
	if _, err := g.ask(ctx, "init", "--quiet", "--bare", "--template=", "--object-format="+format, "--end-of-options", g.repo); err != nil {
		return "", err
	}
	here := t.local()
	err := errors.New("a commit that has no name")
	if t.ref != "" {
		err = r.get(ctx, g, "+"+t.ref+":"+here)
	}
	if commit != "" && (t.ref == "" || err == nil && !g.has(ctx, commit)) {
		err = r.get(ctx, g, "+"+commit+":"+here)
		if err != nil && !errors.Is(err, api.Denied) && ctx.Err() == nil { // a server that gives out what has a name alone
			err = r.get(ctx, g, "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
		}
	}
	if err != nil {
		return "", err
	}
	name := here
	if commit != "" {
		name = commit
	}
	said, err := g.ask(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", name+"^{commit}")
	if found := strings.TrimSpace(said); err == nil && object().MatchString(found) {
		return found, nil
	}
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	return "", &api.Error{Kind: api.NotFound, Hint: "check the name; a commit is named by all of its digits", Err: fmt.Errorf("%s has no commit %s", r.shown, name)}
}

// local is where a target lies in our repository.
func (t target) local() string {
	switch branch, ok := strings.CutPrefix(t.ref, "refs/heads/"); {
	case ok:
		return path.Join("refs/remotes/origin", branch)
	case strings.HasPrefix(t.ref, "refs/tags/"):
		return t.ref
	}
	return "refs/remotes/origin/HEAD"
}

// get fetches refs with all that they lead to, and nothing else.
func (r *Repository) get(ctx context.Context, g *git, refs ...string) error {
	_, err := g.ask(ctx, append([]string{
		"fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--no-auto-maintenance",
		"--end-of-options", r.address,
	}, refs...)...)
	return err
}

// tagged makes a target that is a tag what it is here. The tag may have moved since the
// commit was chosen; then it names something else, and is left out.
func (g *git) tagged(ctx context.Context, t target, commit string) target {
	if !strings.HasPrefix(t.ref, "refs/tags/") {
		return t
	}
	said, err := g.ask(ctx, "rev-parse", "--quiet", t.ref, t.ref+"^{commit}")
	if words := strings.Fields(said); err == nil && len(words) == 2 && words[1] == commit {
		t.object = words[0]
		return t
	}
	return target{object: commit}
}

func (g *git) has(ctx context.Context, commit string) bool {
	_, err := g.ask(ctx, "cat-file", "-e", commit+"^{commit}")
	return err == nil
}
