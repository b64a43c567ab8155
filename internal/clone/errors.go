package clone

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
)

const maxComplaint = 300 // bytes of it that are shown

// reason is what git complains of, in the C locale, and what it means to a user.
type reason struct {
	kind  api.Kind
	hint  string
	words []string
}

const ownClone = ", or clone it yourself and hand in the directory with --seed-path"

// reasons are looked through in this order: the first that has one of its words in what
// git says is it.
var reasons = []reason{
	{api.Denied, "connect with ssh once by hand, so that the host is known", []string{"Host key verification failed"}},
	{api.Denied, "use an ssh address and a key that the agent holds, or https://USER:TOKEN@HOST/PATH" + ownClone, []string{
		"could not read Username", "could not read Password", "Authentication failed", "Permission denied", "terminal prompts disabled",
		"The requested URL returned error: 401", "The requested URL returned error: 403",
	}},
	{api.Denied, "make it your own, or clone it yourself and hand in the directory with --seed-path", []string{"dubious ownership"}},
	{api.Denied, "write the address that it leads to", []string{"not allowed"}},
	{api.Unavailable, "check the address and this machine's network, by which it is fetched" + ownClone, []string{
		"Could not resolve", "Couldn't resolve", "Connection refused", "Failed to connect", "Couldn't connect", "Connection timed out",
		"Network is unreachable", "No route to host", "unable to connect", "Connection reset", "Operation too slow", "early EOF", "unexpected disconnect",
		"The requested URL returned error: 5", "timed out", "Connection closed",
	}},
	{api.NotFound, "check the name; a commit is named by all of its digits", []string{"couldn't find remote ref", "not our ref", "Server does not allow request"}},
	{api.NotFound, "check the address", []string{
		"not found", "does not appear to be a git repository", "The requested URL returned error: 404", "does not exist", "Repository not found",
	}},
}

// failed gives a failure of git its kind, and a next step.
func failed(ctx context.Context, err error, complaint string) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if complaint = telling(complaint); complaint != "" {
		err = errors.New(complaint)
	}
	for _, r := range reasons {
		for _, word := range r.words {
			if strings.Contains(complaint, word) {
				return &api.Error{Kind: r.kind, Hint: r.hint, Err: fmt.Errorf("git: %w", err)}
			}
		}
	}
	return &api.Error{Kind: api.Unavailable, Hint: "check the address" + ownClone, Err: fmt.Errorf("git: %w", err)}
}

// telling is the line of a complaint that says most, made fit for showing: part of it
// may come from the other side.
func telling(complaint string) string {
	var best string
	for line := range strings.Lines(complaint) {
		line = strings.TrimSpace(line)
		for _, head := range []string{"fatal: ", "error: ", "ssh: "} {
			if strings.HasPrefix(line, head) && (best == "" || strings.HasPrefix(best, "error: ")) {
				best = line
			}
		}
		if strings.Contains(line, "Permission denied (") || strings.Contains(line, "Host key verification failed") {
			best = line
			break
		}
	}
	if best == "" {
		best, _, _ = strings.Cut(complaint, "\n")
	}
	best = strings.TrimPrefix(best, "fatal: ")
	if len(best) > maxComplaint {
		best = strings.ToValidUTF8(best[:maxComplaint], "") + "…"
	}
	if quoted := strconv.Quote(best); quoted != `"`+best+`"` && strings.ContainsFunc(best, func(c rune) bool { return !strconv.IsPrint(c) }) {
		return quoted
	}
	return best
}

// overTime is the cause of a context whose time for one step is over.
func overTime(what string) error {
	return &api.Error{Kind: api.Timeout, Hint: "try again" + ownClone, Err: errors.New(what + " takes too long")}
}

func tooLarge(format string, args ...any) error {
	return &api.Error{Kind: api.Invalid, Hint: "clone what is needed of it yourself, with git clone --depth 1, and hand in the directory with --seed-path", Err: fmt.Errorf(format, args...)}
}
