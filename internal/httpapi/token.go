package httpapi

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
)

// TokenVariable names the variable with the token that callers must show.
const TokenVariable = "PYRO_SERVE_TOKEN"

// minToken is how many characters a token must have, so that it is not guessed; maxToken
// how many are read of a file.
const (
	minToken = 16
	maxToken = 4096
)

const tokenHint = "make one with `openssl rand -hex 32`"

// findToken returns the token that callers must show: that of a file, the one that was
// given, or one that is made up.
func findToken(file, given string) (token string, madeUp bool, err error) {
	from := TokenVariable
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
		err = fmt.Errorf("the token in %s has %d characters, at least %d are wanted", clip(from), len(token), minToken)
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		err = fmt.Errorf("the token in %s has characters that no header can carry", clip(from))
	}
	if err != nil {
		return "", false, &api.Error{Kind: api.Invalid, Hint: tokenHint, Err: err}
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
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", &api.Error{Kind: api.Invalid, Hint: "name a file with nothing but the token", Err: fmt.Errorf("%s is no regular file", clip(path))}
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", &api.Error{
			Kind: api.Denied, Hint: "keep it to yourself: `chmod 600 " + clip(path) + "`",
			Err: fmt.Errorf("the token in %s is no secret: the file's mode is %#o", clip(path), info.Mode().Perm()),
		}
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	if err == nil && len(raw) > maxToken {
		err = fmt.Errorf("%s has more than %d bytes", clip(path), maxToken)
	}
	if err != nil {
		return "", &api.Error{Kind: api.Invalid, Hint: "name a file with nothing but the token", Err: err}
	}
	return strings.TrimSpace(string(raw)), nil
}
