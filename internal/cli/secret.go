package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pyro-sandbox/pyro/api"
)

func (a *app) secretCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "secret",
		Short:   "give a workspace values that are used and not seen",
		GroupID: groupWork,
		Long: `A secret is a value that lies in a file of /run/pyro-secrets in the guest, and in the
environment of what is given it by --secret-env. No answer, record or log holds it,
and where a command, a shell or a service prints it, [REDACTED] stands instead.`,
		Example: `  pyro workspace secret set 0123456789ab GITHUB_TOKEN --from-env
  pyro workspace exec 0123456789ab --secret-env GITHUB_TOKEN -- ./release
  pyro workspace secret unset 0123456789ab GITHUB_TOKEN`,
	}
	cmd.AddCommand(a.secretSetCommand(), a.secretUnsetCommand(), a.secretListCommand())
	return cmd
}

// origin is where one value comes from: one of its fields.
type origin struct {
	stdin   bool
	file    string
	fromEnv bool
	command string
}

func (a *app) secretSetCommand() *cobra.Command {
	var from origin
	cmd := &cobra.Command{
		Use:   "set WORKSPACE_ID NAME",
		Short: "give a workspace a secret, or another value to one",
		Long: `Gives a secret to a workspace that runs. What runs in it with the old value in its
environment keeps that; the file changes at once. A final line end of what comes
from stdin or from a command is no part of the value; of a file all is.`,
		Example: `  pass show github | pyro workspace secret set 0123456789ab GITHUB_TOKEN --value-stdin
  pyro workspace secret set 0123456789ab GITHUB_TOKEN --from-env
  pyro workspace secret set 0123456789ab TLS_KEY --file ~/key.pem
  pyro workspace secret set 0123456789ab DB --command 'pass show db'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := from.check(cmd); err != nil {
				return err
			}
			return a.secretSet(cmd.Context(), args[0], strings.TrimSpace(args[1]), from)
		},
		ValidArgsFunction: a.completeIDs(a.completeSecrets, api.StateStarted),
	}
	f := cmd.Flags()
	f.BoolVar(&from.stdin, "value-stdin", false, "the value is what stdin holds")
	f.Var(pathValue{&from.file, "PATH"}, "file", "the value is what a file holds")
	f.BoolVar(&from.fromEnv, "from-env", false, "the value is that of the variable of its name, here")
	f.Var(textValue{&from.command, "COMMAND"}, "command", "the value is what a line for /bin/sh prints, here")
	a.jsonFlag(f)
	return cmd
}

func (o *origin) check(cmd *cobra.Command) error {
	n := 0
	for _, name := range []string{"value-stdin", "file", "from-env", "command"} {
		if cmd.Flags().Changed(name) {
			n++
		}
	}
	if n != 1 {
		return misuse(cmd, "exactly one of the arguments --value-stdin, --file, --from-env and --command is required")
	}
	return nil
}

func (a *app) secretSet(ctx context.Context, id, name string, from origin) error {
	const tag = "workspace-secret-set"
	if err := api.CheckSecretName(name); err != nil {
		return err
	}
	secret, err := await(ctx, a, tag, func(ctx context.Context) (api.SecretValue, error) { return a.fetch(ctx, name, from) })
	if err != nil {
		return err
	}
	a.warnShort([]api.SecretValue{secret})
	list, err := awaitOf(ctx, a, tag, id, func(ctx context.Context, ws workspace) (*api.SecretList, error) {
		return ws.SetSecret(ctx, secret)
	})
	if err != nil {
		return err
	}
	return a.show(list, func() string {
		return oneLine(fmt.Sprintf("[%s] workspace_id=%s name=%s source_kind=%s", tag, id, name, secret.SourceKind)) + "\n"
	})
}

func (a *app) secretUnsetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "unset WORKSPACE_ID NAME",
		Short: "take a secret away",
		Long: `Takes a secret away from a workspace that runs, here and in the guest. What runs in
it with the value in its environment keeps that.`,
		Example: `  pyro workspace secret unset 0123456789ab GITHUB_TOKEN`,
		RunE: func(cmd *cobra.Command, args []string) error {
			name := strings.TrimSpace(args[1])
			if err := api.CheckSecretName(name); err != nil {
				return err
			}
			list, err := awaitOf(cmd.Context(), a, "workspace-secret-unset", args[0], func(ctx context.Context, ws workspace) (*api.SecretList, error) {
				return ws.UnsetSecret(ctx, name)
			})
			if err != nil {
				return err
			}
			return a.show(list, func() string { return oneLine("Deleted workspace secret: "+name) + "\n" })
		},
		ValidArgsFunction: a.completeIDs(a.completeSecrets, api.StateStarted),
	}
	a.jsonFlag(cmd.Flags())
	return cmd
}

func (a *app) secretListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list WORKSPACE_ID",
		Short:   "name the secrets of a workspace",
		Long:    `Shows a line for each secret: its name, and where its value came from.`,
		Example: "  pyro workspace secret list 0123456789ab\n  pyro workspace secret list 0123456789ab --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := awaitOf(cmd.Context(), a, "workspace-secret-list", args[0], func(ctx context.Context, ws workspace) (*api.SecretList, error) {
				return ws.Secrets(ctx)
			})
			if err != nil {
				return err
			}
			return a.show(list, func() string { return secretLines(list) })
		},
		ValidArgsFunction: a.completeIDs(nil),
	}
	a.jsonFlag(cmd.Flags())
	return cmd
}

func secretLines(list *api.SecretList) string {
	if len(list.Secrets) == 0 {
		return "No workspace secrets found.\n"
	}
	p := &page{}
	for _, s := range list.Secrets {
		p.line("%s [%s]", s.Name, s.SourceKind)
	}
	return p.String()
}

// secretEnv is the secrets that a program gets in its environment, as they were typed.
type secretEnv []string

func (e *secretEnv) flag(f *pflag.FlagSet) {
	f.Var(listValue{(*[]string)(e), "NAME[=VAR]"}, "secret-env", "a secret for its environment; may be given again")
}

// names reads NAME or NAME=VAR, and is by the name of the secret that of the
// variable.
func (e secretEnv) names() (map[string]string, error) {
	if len(e) == 0 {
		return nil, nil
	}
	names := make(map[string]string, len(e))
	for _, item := range e {
		secret, variable, both := strings.Cut(item, "=")
		secret, variable = strings.TrimSpace(secret), strings.TrimSpace(variable)
		if !both {
			variable = secret
		}
		if _, ok := names[secret]; ok {
			return nil, invalid("secret_env names the secret "+quote(secret)+" twice", "give it once")
		}
		names[secret] = variable
	}
	return names, api.CheckSecretEnv(names)
}
