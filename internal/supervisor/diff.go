package supervisor

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/autorun"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

const opDiff = "diff workspace"

// routeDiff adds what is about diffs.
func (s *supervisor) routeDiff(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/diff", s.serveDiff)
}

// serveDiff answers what differs: as JSON, or with format=patch as frames that carry the
// patch and, as the last one, an api.DiffPatched or why there is no more.
func (s *supervisor) serveDiff(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	req, err := diffRequest(q)
	if err != nil {
		s.answer(w, opDiff, nil, err)
		return
	}
	if q.Get("format") == "patch" {
		s.streamDiff(w, r, req)
		return
	}
	doc := &document{s: s, noPatch: req.NoPatch}
	err = s.diff(r.Context(), req, doc)
	s.answer(w, opDiff, &doc.diff, err)
	if doc.diff.Summary.Total > manyEntries {
		debug.FreeOSMemory() // some hundred MB that nobody needs for long
	}
}

// manyEntries is how many entries of one answer are worth to be given back at once.
const manyEntries = 10_000

func diffRequest(q url.Values) (api.DiffRequest, error) {
	none, _ := strconv.ParseBool(q.Get("no_patch")) // what is none leaves nothing out
	return api.DiffRequest{Paths: q["path"], Against: q.Get("against"), NoPatch: none}.Check()
}

// streamDiff sends the patch as it is made. A client that goes away ends it.
func (s *supervisor) streamDiff(w http.ResponseWriter, r *http.Request, req api.DiffRequest) {
	pour(w, r, func(ctx context.Context, conn net.Conn) {
		out := newPatchStream(s, conn)
		if err := s.diff(ctx, req, out); err != nil {
			s.sendFailure(conn, api.About(opDiff, s.ID, err))
			return
		}
		send(conn, wire.FrameExit, out.end)
	})
}

// differences takes what a diff finds, by path.
type differences interface {
	// begin is called first, and again when the tree was not steady and all that was
	// taken counts for nothing. It reports whether that may be.
	begin(req api.DiffRequest) bool
	// longest is the length of the longest file whose content is wanted, in bytes.
	longest() int64
	// take takes one difference. Of what is on both sides the content is there unless it
	// is the same, or side.unread.
	take(path string, old, now *side) error
	// close is called last, with what stands in the tree and cannot be told.
	close(specials []string) error
}

// treeHint is the next step where a tree is more than is read: too deep, or too much.
func (s *supervisor) treeHint() string {
	return "`pyro workspace file delete " + s.ID + " PATH --recursive` removes what is named there, or move it out of " + api.WorkspacePath
}

// attempts is how often a diff is tried while the guest writes.
const attempts = 3

// diff finds out what is not in the workspace as it was. The sandbox is asked about by one
// of its processes: what it says selects what is fetched, and what was fetched counts.
func (s *supervisor) diff(ctx context.Context, req api.DiffRequest, to differences) error {
	done, err := s.enter(opDiff)
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := s.untilOver(ctx)
	defer cancel()
	b := s.box()
	for try := 1; ; try++ {
		err := s.tryDiff(ctx, b, req, to)
		if !errors.Is(err, errMoved) || try == attempts || !to.begin(req) {
			return s.diffError(err)
		}
	}
}

func (s *supervisor) diffError(err error) error {
	switch {
	case err == nil || errors.Is(err, errClientLeft):
		return err
	case s.endsNow(err):
		return s.tooLate(opDiff)
	case errors.Is(err, api.Invalid) && api.HintOf(err) == "": // of the request all is known to be good
		return &api.Error{Kind: api.Invalid, Hint: s.treeHint(), Err: err}
	}
	return err
}

func (s *supervisor) tryDiff(ctx context.Context, b *box, req api.DiffRequest, to differences) error {
	to.begin(req)
	from, err := s.formerOf(ctx, req.Against)
	if err != nil {
		return err
	}
	if held, ok := from.(ender); ok {
		defer held.end(ctx)
	}
	c := &comparison{wanted: within(req.Paths)}
	if c.old, err = from.nodes(ctx); err != nil {
		return err
	}
	ours := req.Against == api.DiffBaseline && b.tellsWrites()
	if ours {
		c.known = s.knowing(b)
	}
	bare := new(autorun.Bare)
	if err := walkBoth(ctx, b, c, bare); err != nil {
		return err
	}
	if err := c.hash(ctx, b); err != nil {
		return err
	}
	if ours {
		s.keepScan(b, c.stamps)
	}
	if err := s.tell(ctx, &fetcher{s: s, b: b, longest: to.longest(), bare: bare}, req, from, c.changes, to); err != nil {
		return err
	}
	return to.close(c.specials)
}

// ender is a former tree that has to be given up.
type ender interface{ end(ctx context.Context) }

// within tells which paths are asked about.
func within(paths []string) func(string) bool {
	return func(path string) bool {
		return len(paths) == 0 || slices.ContainsFunc(paths, func(p string) bool { return path == p || isBelow(path, p) })
	}
}

// walkInto feeds a comparison with what is in the workspace now.
func walkInto(ctx context.Context, b *box, c *comparison) error {
	return walkBoth(ctx, b, c, new(autorun.Bare))
}

// walkBoth does it, and looks for repositories of git: changes alone would not tell where
// one is made of what was there before.
func walkBoth(ctx context.Context, b *box, c *comparison, bare *autorun.Bare) error {
	_, err := b.agent().Walk(ctx, wire.WalkRequest{Path: api.WorkspacePath, Recursive: true, MaxEntries: maxWalked(len(c.old))}, func(e *wire.WalkEntry) error {
		bare.See(string(e.Path), e.Kind == string(wire.Directory) || e.Kind == string(wire.Symlink))
		c.see(e)
		return nil
	})
	if err != nil {
		return moved(err)
	}
	c.end()
	return nil
}

// maxWalked bounds a workspace that is compared, in entries: all may have to be held.
func maxWalked(former int) int { return min(wire.MaxTreeEntries, 1_000_000+2*former) }

// moved is errMoved where the guest says that something changed while it was read.
func moved(err error) error {
	if errors.Is(err, api.Conflict) && !errors.Is(err, errReset) {
		return errMoved
	}
	return err
}

// hash has the guest read what may have changed, and drops what has not.
func (c *comparison) hash(ctx context.Context, b *box) error {
	asked := func(yield func([]byte) bool) {
		for i := range c.changes {
			if c.changes[i].need == needDigest && !yield([]byte(c.changes[i].path)) {
				return
			}
		}
	}
	var list []*difference
	for i := range c.changes {
		if c.changes[i].need == needDigest {
			list = append(list, &c.changes[i])
		}
	}
	if len(list) == 0 {
		return nil
	}
	dropped := make(map[string]bool)
	err := b.agent().Hash(ctx, api.WorkspacePath, asked, func(d *wire.FileDigest) error {
		changed := list[0]
		list = list[1:]
		if !changed.hashed(d) {
			dropped[changed.path] = true
		}
		if s := changed.now.stamp; d.Err == "" && d.CTime == s.ctime && d.Inode == s.inode {
			c.stamps = append(c.stamps, s)
		}
		return nil
	})
	if err != nil {
		return moved(err)
	}
	c.changes = slices.DeleteFunc(c.changes, func(x difference) bool { return dropped[x.path] })
	return nil
}

// tell fetches what differs, some of it at a time, and hands it on.
func (s *supervisor) tell(ctx context.Context, f *fetcher, req api.DiffRequest, from former, changes []difference, to differences) error {
	if wanted := f.formerFiles(changes); len(wanted) > 0 && !req.NoPatch {
		var err error
		if f.before, err = from.contents(ctx, wanted); err != nil {
			return err
		}
		defer f.before.close()
	}
	for batch := range f.batches(changes) {
		got, err := f.pull(ctx, batch)
		if err != nil {
			return moved(err)
		}
		err = f.hand(ctx, got, batch, to)
		got.close()
		if err != nil {
			return err
		}
	}
	return nil
}

// formerFiles are the files of which it is asked what they held.
func (f *fetcher) formerFiles(changes []difference) map[string]bool {
	wanted := make(map[string]bool)
	for i := range changes {
		if c := &changes[i]; c.old != nil && c.old.size <= f.longest && (c.need == needContent || c.now == nil || c.now.kind != c.old.kind) {
			wanted[c.old.path] = true
		}
	}
	return wanted
}

func (f *fetcher) hand(ctx context.Context, got *pulled, batch []difference, to differences) error {
	for i := range batch {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		now, err := f.now(got, &batch[i])
		if err != nil {
			return err
		}
		old, err := f.was(&batch[i], now)
		if err != nil {
			return err
		}
		if old.equal(now) {
			continue
		}
		if old.kind == now.kind && old.sameContent(now) {
			old.content, now.content = nil, nil
		}
		if now.exists() {
			now.why, _ = f.bare.Reason(batch[i].path)
		}
		if err := to.take(batch[i].path, old, now); err != nil {
			return err
		}
	}
	return nil
}
