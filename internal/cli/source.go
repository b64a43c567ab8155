package cli

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pyro-sandbox/pyro"
)

// selection says what of a source is taken. Create, run and sync push share it.
type selection struct {
	exclude     []string
	gitignore   bool
	skipSpecial bool
}

func (s *selection) flags(f *pflag.FlagSet) {
	f.Var(listValue{&s.exclude, "PATTERN"}, "exclude", "leave out what matches, as in .gitignore; may be given again")
	f.BoolVar(&s.gitignore, "gitignore", false, "leave out what git ignores")
	f.BoolVar(&s.skipSpecial, "skip-special", false, "leave out FIFOs, sockets and devices instead of refusing them")
}

func (s *selection) of(path string) source {
	return source{Path: path, Exclude: s.exclude, Gitignore: s.gitignore, SkipSpecial: s.skipSpecial}
}

// seeding is what a workspace is to begin with.
type seeding struct {
	path     string
	url, ref string
	selection
}

func (s *seeding) flags(f *pflag.FlagSet) {
	f.Var(pathValue{&s.path, "PATH"}, "seed-path", "a directory or tar archive to put into /workspace")
	f.Var(textValue{&s.url, "URL"}, "repo-url", "a git repository to put into /workspace; git of this machine fetches it")
	f.Var(textValue{&s.ref, "REF"}, "repo-ref", "of --repo-url: a branch, tag or commit")
	s.selection.flags(f)
}

// source returns nil where no seed was asked for.
func (s *seeding) source(cmd *cobra.Command) (*source, error) {
	f := cmd.Flags()
	switch {
	case f.Changed("seed-path") && f.Changed("repo-url"):
		return nil, misuse(cmd, "argument --repo-url: not allowed with argument --seed-path")
	case f.Changed("repo-ref") && !f.Changed("repo-url"):
		return nil, misuse(cmd, "argument --repo-ref: not allowed without argument --repo-url")
	case f.Changed("seed-path") && s.path == "":
		return nil, invalid("seed_path must not be empty", "leave --seed-path out for an empty workspace")
	case f.Changed("seed-path"):
		from := s.of(s.path)
		return &from, nil
	case f.Changed("repo-url"):
		from := s.of("")
		from.URL, from.Ref = s.url, s.ref
		return &from, pyro.Repository{URL: s.url, Ref: s.ref}.Check()
	}
	for _, name := range []string{"exclude", "gitignore", "skip-special"} {
		if f.Changed(name) {
			return nil, misuse(cmd, "argument --%s: not allowed without argument --seed-path", name)
		}
	}
	return nil, nil
}
