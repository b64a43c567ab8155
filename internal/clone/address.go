package clone

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/pyro-sandbox/pyro/api"
)

// Repository is a repository of strangers by its address, and what of it is wanted. It
// holds nothing open.
type Repository struct {
	address        string // for git: without what follows
	shown          string // for people: without a user, too
	scheme         string
	user, password string // of http and https
	ref            string // as asked; empty: the default branch
}

// Limits of what a user names, in bytes.
const (
	maxAddress = 2048
	maxRef     = 255
)

// protocols are what git may speak for an address of a scheme.
var protocols = map[string]string{"https": "https", "http": "http:https", "ssh": "ssh", "git": "git", "file": "file"}

// scp is the short form of an ssh address: USER@HOST:PATH.
var scp = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:([A-Za-z0-9_][A-Za-z0-9_.-]*)@)?([A-Za-z0-9][A-Za-z0-9.-]*):([^:-][^:]*)$`)
})

// Parse checks an address (https, http, ssh, git, or file as file:///PATH; also
// USER@HOST:PATH) and the name of what is wanted: a branch, a tag, a ref in full
// (refs/…), or a commit in full; empty is the default branch. Errors are api.Invalid.
func Parse(address, ref string) (*Repository, error) {
	r := &Repository{ref: ref}
	if err := r.read(address); err != nil {
		return nil, &api.Error{
			Kind: api.Invalid, Hint: "write it like https://HOST/PATH.git, ssh://USER@HOST/PATH or file:///PATH",
			Err: fmt.Errorf("address of the repository: %w", err),
		}
	}
	if err := checkRef(ref); err != nil {
		return nil, &api.Error{
			Kind: api.Invalid, Hint: "name a branch, a tag, or a commit by all of its digits",
			Err: fmt.Errorf("ref %s: %w", strconv.Quote(ref[:min(len(ref), maxRef)]), err),
		}
	}
	return r, nil
}

// String is the address without user and password.
func (r *Repository) String() string { return r.shown }

func (r *Repository) read(address string) error {
	switch {
	case address == "":
		return errors.New("it is empty")
	case len(address) > maxAddress:
		return fmt.Errorf("it has more than %d bytes", maxAddress)
	case strings.ContainsFunc(address, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '\\' || c == 0xfffd }):
		return errors.New("it has blanks, backslashes or control characters in it")
	case strings.Contains(address, "::"):
		return errors.New("helpers of git (NAME::…) are not used")
	}
	if m := scp().FindStringSubmatch(address); m != nil && !strings.Contains(address, "://") && protocols[strings.ToLower(m[2])] == "" {
		r.scheme, r.address, r.shown = "ssh", address, m[2]+":"+m[3]
		return nil
	}
	u, err := url.Parse(address)
	switch {
	case err != nil: // its text would show the password
		return errors.New("it is no URL")
	case protocols[u.Scheme] == "" || !strings.HasPrefix(address[len(u.Scheme):], "://"):
		return errors.New("it begins with none of https://, http://, ssh://, git:// and file://")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New("it has no ? and no # in it")
	}
	r.scheme = u.Scheme
	return r.place(u)
}

// place takes the parts of an address that has a scheme.
func (r *Repository) place(u *url.URL) error {
	password, secret := u.User.Password()
	user := u.User.Username()
	host := u.Hostname()
	switch local := u.Scheme == "file"; {
	case local && (u.Host != "" || u.User != nil):
		return errors.New("a file has no host: file:///PATH")
	case !local && (host == "" || strings.HasPrefix(host, "-")):
		return errors.New("it names no host")
	case len(strings.Trim(u.Path, "/")) == 0:
		return errors.New("it names no path")
	case strings.HasPrefix(user, "-") || strings.ContainsAny(user+password, "\r\n\x00"):
		return errors.New("its user is none")
	case secret && u.Scheme == "ssh":
		return errors.New("ssh takes no password from it")
	case u.User != nil && u.Scheme == "git":
		return errors.New("this protocol knows no users")
	}
	bare := *u
	bare.User = nil
	r.shown, r.address = bare.String(), bare.String()
	if u.Scheme == "ssh" {
		r.address = u.String()
	} else {
		r.user, r.password = user, password
	}
	return nil
}

// object is the name of a commit in full: SHA-1 or SHA-256.
var object = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(?:[0-9a-f]{40}|[0-9a-f]{64})$`) })

// checkRef follows git-check-ref-format(1).
func checkRef(ref string) error {
	if ref == "" || object().MatchString(ref) {
		return nil
	}
	if len(ref) > maxRef {
		return fmt.Errorf("it has more than %d bytes", maxRef)
	}
	if strings.HasPrefix(ref, "-") {
		return errors.New(`a name does not begin with "-"`)
	}
	if strings.ContainsFunc(ref, func(c rune) bool { return c <= ' ' || c == 0x7f || strings.ContainsRune(`~^:?*[\`, c) }) ||
		strings.Contains(ref, "..") || strings.Contains(ref, "@{") || strings.Contains(ref, "//") || ref == "@" || strings.HasPrefix(ref, "/") {
		return errors.New("git has no names like that")
	}
	for part := range strings.SplitSeq(ref, "/") {
		if part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".") || strings.HasSuffix(part, ".lock") {
			return errors.New("git has no names like that")
		}
	}
	return nil
}
