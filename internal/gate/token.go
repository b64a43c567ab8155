package gate

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
)

// minToken is how many characters a token must have, so that it is not guessed; maxToken
// how many bytes are read of a file.
const (
	minToken = 16
	maxToken = 4096
)

const fileHint = "name a file with nothing but the token"

// FindToken returns the token that callers must show: what is in the file, else what was
// given in the variable, else one that is made up. One that can be guessed or sent by no
// header is api.Invalid, and so is a file that holds something else; one that others can read
// is api.Denied.
func FindToken(file, variable, given string) (token string, madeUp bool, err error) {
	from := variable
	token = strings.TrimSpace(given)
	switch {
	case file != "":
		from = file
		if token, err = readToken(file); err != nil {
			return "", false, err
		}
	case token == "":
		return rand.Text(), true, nil
	}
	switch {
	case len(token) < minToken:
		err = fmt.Errorf("the token in %.80s has %d characters, at least %d are wanted", from, len(token), minToken)
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		err = fmt.Errorf("the token in %.80s has characters that no header can carry", from)
	}
	if err != nil {
		return "", false, &api.Error{Kind: api.Invalid, Hint: "make one with `openssl rand -hex 32`", Err: err}
	}
	return token, false, nil
}

// readToken reads a file that nobody else can read.
func readToken(path string) (string, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrPermission) {
		return "", &api.Error{Kind: api.Denied, Hint: "name a file that you can read", Err: err}
	}
	if err != nil {
		return "", &api.Error{Kind: api.NotFound, Hint: "name a file that there is", Err: err}
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", &api.Error{Kind: api.Invalid, Hint: fileHint, Err: fmt.Errorf("%.80s is no regular file", path)}
	case info.Mode().Perm()&0o077 != 0:
		return "", &api.Error{
			Kind: api.Denied, Hint: fmt.Sprintf("keep it to yourself: `chmod 600 %.80s`", path),
			Err: fmt.Errorf("the token in %.80s is no secret: the file's mode is %#o", path, info.Mode().Perm()),
		}
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	if err == nil && len(raw) > maxToken {
		err = fmt.Errorf("%.80s has more than %d bytes", path, maxToken)
	}
	if err != nil {
		return "", &api.Error{Kind: api.Invalid, Hint: fileHint, Err: err}
	}
	return strings.TrimSpace(string(raw)), nil
}
