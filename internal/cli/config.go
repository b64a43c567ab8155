package cli

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pyro-sandbox/pyro/api"
)

// Configuration is what the command config needs of this machine.
type Configuration struct {
	Show func() (*api.Config, error)
	Path func() (string, error)
	Init func() (string, error) // writes a file that changes nothing, and returns its path
}

var configActions = []string{"get", "init", "path"}

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config [ACTION] [KEY]",
		Short: "show the settings in force, and where each comes from",
		Long: `Shows every setting. A value comes from a variable of the environment, else from the
file config.toml in $XDG_CONFIG_HOME/pyro or ~/.config/pyro, else it is the default. A
flag of a command goes before all of them. With --json also what each is for, and
what it takes.

Actions:
  get KEY  print the value of one setting
  path     print where the file is looked for, whether there is one or not
  init     write a file with all settings as comments, if there is none`,
		Example: "  pyro config\n  pyro config get ttl.max_seconds\n  PYRO_CAPACITY=4 pyro config --json\n  pyro config init",
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.Config.Show == nil {
				return &api.Error{Kind: api.Unsupported, Op: "config", Hint: "run it where sandboxes run"}
			}
			return a.config(cmd, args)
		},
		ValidArgsFunction: a.completeConfig,
	}
	a.jsonFlag(cmd.Flags())
	return cmd
}

func (a *app) config(cmd *cobra.Command, args []string) error {
	action, rest := "", args
	if len(args) > 0 {
		action, rest = args[0], args[1:]
	}
	want := 0
	if action == "get" {
		want = 1
	}
	switch {
	case action != "" && !slices.Contains(configActions, action):
		return misuse(cmd, "argument ACTION: invalid choice: %s (choose from %s)", quote(action), quoteAll(configActions))
	case len(rest) > want:
		return misuse(cmd, "unrecognized arguments: %s", quoteAll(rest[want:]))
	case len(rest) < want:
		return misuse(cmd, "the following arguments are required: KEY")
	}
	switch action {
	case "get":
		return a.configGet(rest[0])
	case "path":
		return a.configPath(a.Config.Path)
	case "init":
		return a.configPath(a.Config.Init)
	}
	c, err := a.Config.Show()
	if err != nil {
		return err
	}
	return a.show(c, func() string { return configPage(c) })
}

func (a *app) configGet(key string) error {
	c, err := a.Config.Show()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(c.Settings, func(s api.Setting) bool { return s.Key == key })
	if i < 0 {
		return &api.Error{Kind: api.NotFound, Hint: "`pyro config` shows those there are", Err: errors.New("no setting " + quote(key))}
	}
	s := c.Settings[i]
	return a.show(s, func() string { return oneLine(s.Value) + "\n" })
}

// configPath prints the path that find returns; as JSON in the form of config itself.
func (a *app) configPath(find func() (string, error)) error {
	path, err := find()
	if err != nil {
		return err
	}
	return a.show(map[string]string{"path": path}, func() string { return oneLine(path) + "\n" })
}

// configPage has one line for each setting; where it comes from is aligned.
func configPage(c *api.Config) string {
	p := &page{}
	width := 0
	for _, s := range c.Settings {
		width = max(width, len(s.Key)+len(s.Value))
	}
	width = min(width, 60) // a long path pushes only its own line
	for _, s := range c.Settings {
		from := s.Source
		if from == api.SourceEnvironment {
			from = s.Variable
		}
		p.line("%-*s  # from %s", width+3, s.Key+" = "+s.Value, from)
	}
	switch {
	case c.Path == nil:
	case c.Exists:
		p.line("# file: %s", *c.Path)
	default:
		p.line("# file: %s (there is none)", *c.Path)
	}
	return p.String()
}

func (a *app) completeConfig(_ *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var found []cobra.Completion
	switch {
	case len(args) == 0:
		found = configActions
	case len(args) == 1 && args[0] == "get" && a.Config.Show != nil:
		c, err := a.Config.Show()
		if err != nil {
			break
		}
		for _, s := range c.Settings {
			if !strings.HasPrefix(s.Key, begun) {
				continue
			}
			found = append(found, cobra.CompletionWithDesc(s.Key, oneLine(s.Description)))
		}
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}
