package pyro

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/autorun"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

const (
	// maxWarnings is how many lines are kept; how many more there were is said.
	maxWarnings = 200

	// maxGuarded is the longest file of a .git that is compared with the seed, in bytes,
	// before it is known whether it may come along. A longer one differs.
	maxGuarded = 1 << 20
)

// exportJudge looks at what comes out of a workspace: what of it would run by itself on
// this machine, and which links lead elsewhere.
type exportJudge struct {
	at           string // below /workspace: where names count from; "" is /workspace itself
	single       string // the one name that there may be, where it is no directory
	allowAutorun bool
	seed         map[string]api.SeedEntry

	kept     map[string]string // digests of guarded files that are as in the seed, by name
	left     map[string]bool   // names that were left out
	bare     autorun.Bare      // what git takes for a repository without a .git
	warnings []string
	unsaid   int
	skipped  int
}

func newExportJudge(x *export, head api.TreeHead) *exportJudge {
	j := &exportJudge{
		at: strings.TrimPrefix(strings.TrimPrefix(x.path, api.WorkspacePath), "/"), allowAutorun: x.opts.AllowAutorun,
		seed: make(map[string]api.SeedEntry, len(head.Seed)),
		kept: make(map[string]string), left: make(map[string]bool),
	}
	for _, e := range head.Seed {
		j.seed[string(e.Path)] = e
	}
	if head.ArtifactType != string(wire.Directory) {
		j.single = path.Base(x.path)
		j.at = strings.TrimPrefix(path.Dir("/"+j.at), "/")
	}
	return j
}

// admit implements archive.Admit.
func (j *exportJudge) admit(m archive.Member, body io.Reader) (io.Reader, error) {
	if j.single != "" && (m.Path != j.single || m.Kind == archive.KindDirectory) {
		return nil, fmt.Errorf("%w: %s alone was asked for", archive.ErrFormat, quoted(j.single))
	}
	full := path.Join(j.at, m.Path)
	j.repository(full, m.Kind)
	if m.Kind == archive.KindDirectory {
		return body, nil
	}
	if m.LinkTo != "" && j.left[m.LinkTo] {
		return j.leave(m, full, "left out, being another name of "+quoted(m.LinkTo)), nil
	}
	if why := guarded(full, m.Kind); why != "" && !j.allowAutorun {
		content, same, err := j.asSeeded(full, m, body)
		if err != nil {
			return nil, err
		}
		if !same {
			return j.leave(m, full, "left out: "+why+"; --allow-autorun brings it along"), nil
		}
		return content, nil
	}
	if m.Kind == archive.KindSymlink && leadsOut(m.Path, m.Target) {
		j.warn(full, "leads out of what was exported, to "+quoted(m.Target))
	}
	if why, flagged := autorun.Reason(full); flagged {
		return j.flag(full, why, m, body), nil
	}
	return body, nil
}

func (j *exportJudge) leave(m archive.Member, full, why string) io.Reader {
	j.left[m.Path] = true
	j.skipped++
	j.warn(full, why)
	return nil
}

func (j *exportJudge) warn(full, what string) {
	if len(j.warnings) >= maxWarnings {
		j.unsaid++
		return
	}
	j.warnings = append(j.warnings, quoted(full)+": "+what)
}

// said is all warnings, with that about what could not be removed.
func (j *exportJudge) said(left error) []string {
	all := append([]string{}, j.warnings...)
	if j.unsaid > 0 {
		all = append(all, fmt.Sprintf("and %d more", j.unsaid))
	}
	if left != nil {
		all = append(all, left.Error())
	}
	return all
}

// quoted is a name as it is, if that can be read.
func quoted(name string) string {
	const most = 512
	if len(name) > most {
		return strconv.Quote(name[:most]) + "…"
	}
	if q := strconv.Quote(name); q != `"`+name+`"` {
		return q
	}
	return name
}

// guarded says why a path does not leave the workspace unless it is as it came in: git
// on this machine would do what it says, at the next prompt. What only names commits and
// files does not count, and samples of hooks are not run.
func guarded(full string, kind archive.Kind) string {
	parts := strings.Split(full, "/")
	for i, part := range parts {
		if part != ".git" {
			continue
		}
		inside := parts[i+1:]
		switch {
		case len(inside) == 0:
			return "it points git to a repository"
		case kind == archive.KindSymlink:
			return "it is a link in a repository of git"
		case inside[0] == "refs" || inside[0] == "logs" || inside[0] == "objects":
			continue
		}
		last := inside[len(inside)-1]
		for _, dir := range inside[:len(inside)-1] {
			if dir == "hooks" && !strings.HasSuffix(last, ".sample") {
				return "git runs it as a hook"
			}
		}
		switch last {
		case "config", "config.worktree", "commondir", "gitdir":
			return "git runs what it names"
		}
	}
	return ""
}

// asSeeded compares a guarded file or link with that of the seed. content is what is to
// be read in place of body.
func (j *exportJudge) asSeeded(full string, m archive.Member, body io.Reader) (content io.Reader, same bool, err error) {
	e, seeded := j.seed[full]
	switch {
	case !seeded:
		return body, false, nil
	case m.Kind == archive.KindSymlink:
		return body, len(e.Target) > 0 && string(e.Target) == m.Target, nil
	case m.LinkTo != "":
		digest, known := j.kept[m.LinkTo]
		return body, known && e.SHA256 == digest, nil
	case m.Size > maxGuarded || e.Executable != (m.Mode&0o111 != 0):
		return body, false, nil
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return nil, false, err
	}
	sum := sha256.Sum256(data)
	digest := hex.EncodeToString(sum[:])
	if digest != e.SHA256 {
		return nil, false, nil
	}
	j.kept[m.Path] = digest
	return bytes.NewReader(data), true, nil
}

// flag warns of a file that would run by itself, unless it is as in the seed, which is
// known when it has been read.
func (j *exportJudge) flag(full, why string, m archive.Member, body io.Reader) io.Reader {
	e, seeded := j.seed[full]
	warn := func() { j.warn(full, "would run by itself: "+why) }
	switch {
	case m.Kind == archive.KindSymlink && seeded && string(e.Target) == m.Target:
	case m.Kind == archive.KindSymlink, m.LinkTo != "", !seeded, e.Executable != (m.Mode&0o111 != 0):
		warn()
	case m.Size == 0: // nobody reads it
		if sum := sha256.Sum256(nil); hex.EncodeToString(sum[:]) != e.SHA256 {
			warn()
		}
	default:
		return &comparing{from: body, left: m.Size, sum: sha256.New(), want: e.SHA256, differs: warn}
	}
	return body
}

// comparing passes a file on and says at its end whether it was another.
type comparing struct {
	from    io.Reader
	left    int64
	sum     hash.Hash
	want    string
	differs func()
	said    bool
}

// Read implements io.Reader.
func (c *comparing) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.left -= int64(n)
	_, _ = c.sum.Write(p[:n]) // a hash never fails
	if (c.left <= 0 || errors.Is(err, io.EOF)) && !c.said {
		c.said = true
		if hex.EncodeToString(c.sum.Sum(nil)) != c.want {
			c.differs()
		}
	}
	return n, err
}

// leadsOut reports whether a link at a name leads out of what was exported, going by its
// text alone.
func leadsOut(name, target string) bool {
	if path.IsAbs(target) {
		return true
	}
	to := path.Join(path.Dir(name), target)
	return to == ".." || strings.HasPrefix(to, "../")
}

// repository warns of a repository that is not in a .git: git takes its configuration too,
// when somebody enters it.
func (j *exportJudge) repository(full string, kind archive.Kind) {
	if dir, whole := j.bare.See(full, kind != archive.KindFile); whole {
		j.warn(dir, "would run by itself: git takes it for a repository and does what its config says")
	}
}

// whole says whether there is what was asked for.
func (j *exportJudge) whole(c archive.Counts) error {
	switch {
	case j.single == "" || c.Entries == 1:
		return nil
	case j.skipped > 0:
		return &api.Error{
			Kind: api.Denied, Hint: "bring it out with --allow-autorun, after a look at it",
			Err: errors.New(strings.Join(j.warnings, "; ")),
		}
	}
	return fmt.Errorf("%w: %s is not in it", archive.ErrFormat, quoted(j.single))
}
