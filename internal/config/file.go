package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// maxFile is far more than all settings with their comments need, in bytes.
const maxFile = 64 << 10

// Path returns where the file is looked for: $XDG_CONFIG_HOME/pyro/config.toml, else
// ~/.config/pyro/config.toml, and "" where neither is known. A relative
// XDG_CONFIG_HOME is ignored, as the XDG base directory specification asks.
func Path(getenv func(string) string) string {
	if dir := getenv("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "pyro", "config.toml")
	}
	if home := getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".config", "pyro", "config.toml")
	}
	return ""
}

// ErrNoPlace means that Path knows none.
var ErrNoPlace error = &api.Error{
	Kind: api.Invalid, Op: "configuration", Hint: "set one of them",
	Err: errors.New("neither XDG_CONFIG_HOME nor HOME is set"),
}

// readFile returns what the file holds, and nil if there is none. It refuses a file
// that somebody else could have written: whoever sets capacity and time to live here
// decides about this user's workspaces.
func readFile(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	// A link is followed: many keep such files elsewhere. Asked before it is opened,
	// because opening a pipe would wait for its writer.
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = trusted(info)
	}
	if err != nil {
		return nil, refused(path, err)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, refused(path, err)
	}
	defer func() { _ = file.Close() }()
	if info, err = file.Stat(); err == nil { // again: what was opened may be another
		err = trusted(info)
	}
	if err != nil {
		return nil, refused(path, err)
	}
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("more than %d bytes", maxFile)
	}
	if err != nil {
		return nil, refused(path, err)
	}
	return data, nil
}

// errUnsafe marks a file that another user could have written.
var errUnsafe = errors.New("another user could have written it")

func trusted(info fs.FileInfo) error {
	owner := sys.Owner(info)
	switch {
	case !info.Mode().IsRegular():
		return errors.New("it is no regular file")
	case owner != 0 && owner != os.Geteuid(), info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("%w: mode %#o, owner %d", errUnsafe, info.Mode().Perm(), owner)
	default:
		return nil
	}
}

func refused(path string, err error) error {
	hint := "correct it, or remove it: everything has a default"
	switch {
	case errors.Is(err, errUnsafe):
		hint = fmt.Sprintf("it must be yours or root's, and nobody else may write to it: chown %d %s; chmod go-w %s", os.Geteuid(), api.Quote([]string{path}), api.Quote([]string{path}))
	case sys.IsDenied(err):
		hint = "give yourself the right to read it, or set XDG_CONFIG_HOME to another directory"
	}
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err // its path is said already
	}
	return &api.Error{Kind: api.Invalid, Op: "configuration", Hint: hint, Err: fmt.Errorf("%s: %w", path, err)}
}

// parseFile returns what the file says, by key, each in its one form.
func parseFile(path string, data []byte) (map[string]string, error) {
	var tree map[string]any
	if err := toml.Unmarshal(data, &tree); err != nil {
		var wrong *toml.DecodeError
		if errors.As(err, &wrong) {
			line, _ := wrong.Position()
			path = at(path, line)
		}
		return nil, refused(path, fmt.Errorf("no TOML: %s", strings.TrimPrefix(err.Error(), "toml: ")))
	}
	said, lines := make(map[string]string), linesOf(data)
	for _, leaf := range leaves("", tree) {
		value, err := leaf.read()
		if err != nil {
			return nil, refused(at(path, lines[leaf.key]), fmt.Errorf("%s %w", clip(leaf.key), err))
		}
		said[leaf.key] = value
	}
	return said, nil
}

// at is a place in a file; line 0 is not known.
func at(path string, line int) string {
	if line == 0 {
		return path
	}
	return fmt.Sprintf("%s:%d", path, line)
}

// leaf is a value in the file, or a table that should be one or should not be there.
type leaf struct {
	key   string
	value any
}

func (l leaf) read() (string, error) {
	s := find(l.key)
	if s == nil {
		return "", errors.New("is no setting; there are " + keys())
	}
	return s.fromFile(l.value)
}

// leaves flattens the tree, in order. A table is entered only where keys lie below
// it, so the depth of the file does not matter.
func leaves(prefix string, tree map[string]any) []leaf {
	var list []leaf
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		key := prefix + part(name)
		if sub, ok := tree[name].(map[string]any); ok && isGroup(key) {
			list = append(list, leaves(key+".", sub)...)
			continue
		}
		list = append(list, leaf{key, tree[name]})
	}
	return list
}

func isGroup(key string) bool {
	return slices.ContainsFunc(table, func(s setting) bool { return strings.HasPrefix(s.key, key+".") })
}

// part is one part of a dotted key: what is not bare keeps its quotes, so that
// "ttl.max_seconds" in quotes is not taken for two parts.
func part(name string) string {
	isBare := func(r rune) bool {
		return r == '_' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
	}
	if name != "" && strings.IndexFunc(name, func(r rune) bool { return !isBare(r) }) < 0 {
		return name
	}
	return strconv.Quote(name)
}

// Init writes the template where Path says, for the owner alone, and returns the path.
// It makes missing directories and refuses to replace a file: api.Exists.
func Init(getenv func(string) string) (string, error) {
	path := Path(getenv)
	if path == "" {
		return "", ErrNoPlace
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", sys.Explain("write configuration", err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return "", &api.Error{Kind: api.Exists, Op: "write configuration", Hint: "edit it, or move it away first", Err: fmt.Errorf("%s exists", path)}
	}
	if err != nil {
		return "", sys.Explain("write configuration", err)
	}
	_, err = file.WriteString(template())
	if err := errors.Join(err, file.Close()); err != nil {
		_ = os.Remove(path)
		return "", sys.Explain("write configuration", err)
	}
	return path, nil
}
