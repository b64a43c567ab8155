package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
)

// quoted makes a name fit for an error: as it is where that is plain to read.
func quoted(name string) string {
	if q := strconv.Quote(name); q != `"`+name+`"` {
		return q
	}
	return name
}

func invalid(what string, err error, hint string) error {
	return &api.Error{Kind: api.Invalid, Hint: hint, Err: fmt.Errorf("%s: %w", quoted(what), err)}
}

// explain gives an error of the packing its kind and a next step. What comes from the
// writer stays as it is.
func explain(err error) error {
	var known *api.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	kind, hint := api.Internal, ""
	switch {
	case errors.Is(err, context.Canceled):
		kind = api.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		kind = api.Timeout
	case errors.Is(err, archive.ErrSpecial):
		kind, hint = api.Invalid, "leave special files out with --skip-special, or this one with --exclude"
	case errors.Is(err, archive.ErrLimit):
		kind, hint = api.Invalid, "leave out with --exclude or --gitignore what is not needed"
	case errors.Is(err, archive.ErrChanged):
		kind, hint = api.Conflict, "try again when nothing writes to it"
	case errors.Is(err, archive.ErrFormat), errors.Is(err, archive.ErrEscapes), errors.Is(err, archive.ErrName), errors.Is(err, archive.ErrLink), errors.Is(err, archive.ErrSymlink), errors.Is(err, fs.ErrExist):
		kind, hint = api.Invalid, "make the archive anew, or hand in the directory"
	case errors.Is(err, fs.ErrPermission):
		kind, hint = api.Denied, "make it readable, or leave it out with --exclude"
	case errors.Is(err, fs.ErrNotExist):
		kind, hint = api.NotFound, "check the path"
	default:
		return err
	}
	return &api.Error{Kind: kind, Hint: hint, Err: err}
}
