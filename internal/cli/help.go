package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// codesKey is the annotation of a command that has exit codes of its own.
const codesKey = "exit codes"

// guestCodes are those of commands that run one in the guest.
var guestCodes = map[string]string{codesKey: `  0-255  the command's own, modulo 256; a command ended by signal N: 256-N
  124    it ran into --timeout-seconds
  126    it was found and cannot be run
  127    it was not found
  1      also: pyro itself failed, and says [error]
  2      also: the command line makes no sense
  130    ended by Ctrl-C, pressed twice`}

// helpText explains a command: what it does, how it is written, by example, and
// every option with its unit, range and default.
func helpText(cmd *cobra.Command) string {
	cmd.InitDefaultHelpFlag()
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\nusage: %s\n", cmd.CommandPath(), cmd.Short, usageLine(cmd))
	section := func(title, text string) {
		if text != "" {
			fmt.Fprintf(&b, "\n%s%s\n", title, strings.TrimRight(text, "\n"))
		}
	}
	section("", cmd.Long)
	section("Examples:\n", cmd.Example)
	if len(cmd.Groups()) == 0 {
		section("Commands:\n", commandTable(cmd, ""))
	}
	for _, g := range cmd.Groups() {
		section(g.Title+"\n", commandTable(cmd, g.ID))
	}
	section("Options:\n", optionTable(cmd))
	section("Exit codes:\n", cmd.Annotations[codesKey])
	if cmd.HasSubCommands() {
		section("", fmt.Sprintf("`%s COMMAND --help` explains a command.", cmd.CommandPath()))
	}
	return b.String()
}

// commandTable lists the commands of a group; those of no group are in "".
func commandTable(cmd *cobra.Command, group string) string {
	var rows [][2]string
	for _, sub := range cmd.Commands() {
		if sub.GroupID == group {
			rows = append(rows, [2]string{sub.Name(), sub.Short})
		}
	}
	return table(rows)
}

func optionTable(cmd *cobra.Command) string {
	var rows [][2]string
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) { // what the program itself takes is explained there
		name, usage := "--"+f.Name, f.Usage
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		if f.NoOptDefVal == "" {
			name += " " + f.Value.Type()
			if f.DefValue != "" {
				usage += fmt.Sprintf(" (default %s)", f.DefValue)
			}
		}
		if f.Name == "help" {
			usage = "print this"
		}
		rows = append(rows, [2]string{name, usage})
	})
	return table(rows)
}

// table aligns the second column.
func table(rows [][2]string) string {
	width := 0
	for _, row := range rows {
		width = max(width, len(row[0]))
	}
	var b strings.Builder
	for _, row := range rows {
		fmt.Fprintf(&b, "  %-*s  %s\n", width, row[0], row[1])
	}
	return b.String()
}
