package mcpserver

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
// how many are read of a file.
const (
	minToken = 16
	maxToken = 4096
)

const (
	tokenVariable = "PYRO_MCP_TOKEN"
	tokenHint     = "make one with `openssl rand -hex 32`"
)

// findToken returns the token that callers must show: the file's, the variable's, or one
// that is made up. Without authentication it is empty.
func findToken(o HTTPOptions) (token string, madeUp bool, err error) {
	from := tokenVariable
	switch {
	case o.NoAuth:
		return "", false, nil
	case o.TokenFile != "":
		from = o.TokenFile
		if token, err = readToken(o.TokenFile); err != nil {
			return "", false, err
		}
	default:
		token = strings.TrimSpace(os.Getenv(tokenVariable))
		if token == "" {
			return rand.Text(), true, nil
		}
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
	if info.Mode().Perm()&0o077 != 0 {
		return "", &api.Error{
			Kind: api.Denied, Hint: "keep it to yourself: `chmod 600 " + clip(path) + "`",
			Err: fmt.Errorf("the token in %s is no secret: the file's mode is %#o", clip(path), info.Mode().Perm()),
		}
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	switch {
	case err != nil:
		return "", &api.Error{Kind: api.Invalid, Hint: "name a file with nothing but the token", Err: err}
	case len(raw) > maxToken:
		return "", &api.Error{
			Kind: api.Invalid, Hint: "name a file with nothing but the token",
			Err: fmt.Errorf("%s has more than %d bytes", clip(path), maxToken),
		}
	}
	return strings.TrimSpace(string(raw)), nil
}
