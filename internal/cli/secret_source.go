package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/pyro-sandbox/pyro/api"
)

// given is the secrets of a new workspace as they were typed.
type given struct{ literals, files, variables, commands []string }

func (g *given) flags(f *pflag.FlagSet) {
	f.Var(listValue{&g.literals, "N=VALUE"}, "secret", "a secret; may be given again")
	f.Var(listValue{&g.files, "N=PATH"}, "secret-file", "a secret that is what a file holds; may be given again")
	f.Var(listValue{&g.variables, "NAME"}, "secret-from-env", "a secret that is a variable's value here, as NAME or NAME=VAR; may be given again")
	f.Var(listValue{&g.commands, "N=CMD"}, "secret-command", "a secret that a line for /bin/sh prints, here; may be given again")
	for _, name := range []string{"secret-from-env", "secret-command"} {
		yield(f, name) // --secret-f has always been --secret-file
	}
}

// gather fetches the values of all that were given.
func (a *app) gather(ctx context.Context, tag string, g given) ([]api.SecretValue, error) {
	all, err := await(ctx, a, tag, func(ctx context.Context) ([]api.SecretValue, error) { return a.fetchAll(ctx, g) })
	if err != nil {
		return nil, err
	}
	if len(g.literals) > 0 && a.terminal(a.Stderr) {
		a.phase("[hint] others on this machine can see the value of --secret; --secret-file, --secret-from-env and --secret-command hide it")
	}
	a.warnShort(all)
	return all, api.CheckSecrets(all)
}

func (a *app) fetchAll(ctx context.Context, g given) ([]api.SecretValue, error) {
	var all []api.SecretValue
	for _, kind := range []struct {
		flag, form string
		items      []string
		fetch      func(ctx context.Context, name, rest string) (api.SecretValue, error)
	}{
		{"--secret", "NAME=VALUE", g.literals, func(_ context.Context, name, value string) (api.SecretValue, error) {
			return secretOf(name, []byte(value), api.SecretLiteral)
		}},
		{"--secret-file", "NAME=PATH", g.files, func(ctx context.Context, name, path string) (api.SecretValue, error) {
			return a.fetch(ctx, name, origin{file: path})
		}},
		{"--secret-from-env", "NAME or NAME=VAR", g.variables, func(_ context.Context, name, variable string) (api.SecretValue, error) {
			return a.secretVariable(name, variable)
		}},
		{"--secret-command", "NAME=COMMAND", g.commands, func(ctx context.Context, name, line string) (api.SecretValue, error) {
			return a.fetch(ctx, name, origin{command: line})
		}},
	} {
		for _, item := range kind.items {
			name, rest, both := strings.Cut(item, "=")
			name = strings.TrimSpace(name)
			if !both && kind.flag == "--secret-from-env" {
				rest = name
			} else if !both || name == "" || rest == "" {
				return nil, invalid(kind.flag+" needs "+kind.form, nameHint)
			}
			if api.CheckSecretName(name) != nil {
				return nil, invalid(kind.flag+" needs "+kind.form+", and what stands for NAME is no name", nameHint)
			}
			secret, err := kind.fetch(ctx, name, rest)
			if err != nil {
				return nil, err
			}
			all = append(all, secret)
		}
	}
	return all, nil
}

// nameHint goes with errors that quote nothing: what was typed in the wrong place may be
// the value.
const nameHint = "names are letters, digits and underscore, at most 64, the first no digit"

// secretTime bounds a command that prints a value: somebody may have to type a password.
const secretTime = 5 * time.Minute

// fetch gets the value of one secret from where it is.
func (a *app) fetch(ctx context.Context, name string, from origin) (api.SecretValue, error) {
	switch {
	case from.stdin:
		value, err := io.ReadAll(io.LimitReader(a.Stdin, api.MaxSecretBytes+3)) // too long with its line end, if it is
		if err != nil {
			return api.SecretValue{}, fmt.Errorf("read stdin: %w", err)
		}
		return secretOf(name, trimLineEnd(value), api.SecretLiteral)
	case from.fromEnv:
		return a.secretVariable(name, name)
	case from.file != "":
		return a.secretFile(name, from.file)
	}
	return a.secretCommandOutput(ctx, name, from.command)
}

func secretOf(name string, value []byte, kind string) (api.SecretValue, error) {
	s := api.SecretValue{Name: name, Value: api.Masked(value), SourceKind: kind}
	return s, s.Check()
}

// trimLineEnd drops one line end, which programs add and few values have.
func trimLineEnd(value []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(value, []byte("\n")), []byte("\r"))
}

func (a *app) secretVariable(name, variable string) (api.SecretValue, error) {
	for _, entry := range a.Environ {
		if value, ok := strings.CutPrefix(entry, variable+"="); ok && variable != "" {
			return secretOf(name, []byte(value), api.SecretFromEnv)
		}
	}
	return api.SecretValue{}, invalid("secret "+name+": there is no variable "+quote(variable)+" here", "export it first")
}

// secretFile reads a file whole. All of it is the value, the end of its last line too.
func (a *app) secretFile(name, path string) (api.SecretValue, error) {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		path = filepath.Join(variable(a.Environ, "HOME"), rest)
	}
	f, err := os.Open(path)
	if err != nil {
		return api.SecretValue{}, unreadable(name, path, err)
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return api.SecretValue{}, invalid("secret "+name+": "+quote(path)+" is a directory", "name a file")
	}
	value, err := io.ReadAll(io.LimitReader(f, api.MaxSecretBytes+1))
	if err != nil {
		return api.SecretValue{}, unreadable(name, path, err)
	}
	return secretOf(name, value, api.SecretFromFile)
}

func unreadable(name, path string, err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	return &api.Error{
		Kind: api.Invalid, Hint: "name a file that you can read",
		Err: fmt.Errorf("secret %s: %s: %w", name, quote(path), err),
	}
}

func variable(environ []string, name string) string {
	for _, entry := range environ {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// secretCommandOutput runs a line on this machine. It talks to people on our stderr, and
// what it wrote there is in no error: it may be about the value.
func (a *app) secretCommandOutput(ctx context.Context, name, line string) (api.SecretValue, error) {
	ctx, cancel := context.WithTimeout(ctx, secretTime)
	defer cancel()
	out := &capture{limit: 2 * (api.MaxSecretBytes + 3)}
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", line)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = a.Environ, out, a.Stderr, time.Second
	if err := cmd.Run(); err != nil {
		return api.SecretValue{}, &api.Error{
			Kind: api.Invalid, Hint: "run it by itself to see what is wrong",
			Err: fmt.Errorf("secret %s: its command failed: %w", name, err),
		}
	}
	return secretOf(name, trimLineEnd([]byte(out.text())), api.SecretFromCommand)
}

// Values that are short stand in much that is no secret: from so many bytes on they are
// redacted at all, and from so many it can be trusted.
const (
	redactedBytes = 4
	trustedBytes  = 8
)

// warnShort tells people that a value is too short to be hidden well.
func (a *app) warnShort(secrets []api.SecretValue) {
	for _, s := range secrets {
		switch n := len(s.Value); {
		case n < redactedBytes:
			a.phase("[warning] secret %s is shorter than %d bytes: it is not redacted where it is printed", s.Name, redactedBytes)
		case n < trustedBytes:
			a.phase("[warning] secret %s is shorter than %d bytes: where that text is printed by chance, it is redacted too", s.Name, trustedBytes)
		}
	}
}
