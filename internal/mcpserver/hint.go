package mcpserver

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

// commands are what hints name, and the tools that do the same.
var commands = []struct{ command, tool string }{
	{"workspace file list", "workspace_file_list"},
	{"workspace file stat", "workspace_file_list"},
	{"workspace file read", "workspace_file_read"},
	{"workspace file", "workspace_file_list"},
	{"workspace disk list", "workspace_disk_list"},
	{"workspace snapshot list", "snapshot_list"},
	{"workspace snapshot create", "snapshot_create"},
	{"workspace snapshot delete", "snapshot_delete"},
	{"workspace secret list", "workspace_status"},
	{"workspace service list", "service_list"},
	{"workspace service logs", "service_logs"},
	{"workspace service start", "service_start"},
	{"workspace service stop", "service_stop"},
	{"workspace shell open", "shell_open"},
	{"workspace shell close", "shell_close"},
	{"workspace sync push", "workspace_sync_push"},
	{"workspace create", "workspace_create"},
	{"workspace delete", "workspace_delete"},
	{"workspace diff", "workspace_diff"},
	{"workspace exec", "workspace_exec"},
	{"workspace export", "workspace_export"},
	{"workspace list", "workspace_list"},
	{"workspace logs", "workspace_logs"},
	{"workspace reset", "workspace_reset"},
	{"workspace start", "workspace_start"},
	{"workspace status", "workspace_status"},
	{"workspace stop", "workspace_stop"},
	{"workspace summary", "workspace_summary"},
	{"workspace update", "workspace_update"},
}

// phrase is a part of a hint that speaks of options, and what it says of tools.
type phrase struct {
	of *regexp.Regexp
	to string
}

const anotherSource = "name a directory without it, or copy what is needed to one of its own and name that"

// phrases are made when a hint is first needed: no other command of pyro pays for them.
var phrases = sync.OnceValue(func() []phrase {
	var all []phrase
	for _, p := range [][2]string{
		// What is left out of a seed can be chosen on the command line alone.
		{".*--(exclude|gitignore|skip-special).*", anotherSource},
		{"`pyro workspace shell list [^`]*` shows those there are", "shell_open opens another"},
		{"`pyro workspace file delete [^`]*` removes what is named there", "remove what is named there by workspace_exec"},
		{"`pyro workspace disk export --path`( brings out a file of any size)?", "workspace_disk_export"},
		{", or let pyro choose: `--publish [0-9]+`", ", or leave host_port out"},
		{"--max-bytes allows up to [0-9]+", "split the patch by files"},
		{"--file and --stdin write files of any size", "workspace_sync_push brings in larger ones"},
		{"--file and --stdin write bytes as they are", "workspace_sync_push brings in bytes as they are"},
		{", or bring both out with --allow-collisions", ""},
		{"replace what is there with --force", "call again with overwrite true if the user agrees"},
		{"bring it out with --allow-autorun, after a look at it", "if the user agrees after a look at it, call again with allow_autorun true"},
		{"--allow-autorun brings it along", "allow_autorun true brings it along"},
		{"add --allow-host-compat if that is what you want", "ask the user, and if they agree make it with allow_host_compat true"},
		{"read a part of it with --offset, or all of it with --all or --output", "read a part of it with offset"},
		{"read more with --all or --output, or in parts with --offset", "read it in parts with offset"},
		{"go on with what --after takes, the last path of the list", "go on with after, the last path of the list"},
		{"; without --exclusive the file is replaced|; --overwrite replaces a file or link|; with --parents a directory that is there is no error", ""},
		{"--parents makes the directories above it, too|--recursive deletes a directory with all that is in it", "use workspace_exec for it"},
		{"fork it without --memory; or ", ""},
		{"(; or )?leave out --memory(: the forks begin with the disk, and no processes)?", ""},
		{"^start it first$", "vm_start starts it"},
		{"--seed-path", "seed_path"},
	} {
		all = append(all, phrase{regexp.MustCompile(p[0]), p[1]})
	}
	return all
})

var quotedCommand = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("`pyro ([^`]+)`") })

// inTools puts a hint that speaks of commands into the words of a model, which has tools.
// Commands that no tool stands for are the user's to run.
func (c *call) inTools(hint string) string {
	for _, p := range phrases() {
		hint = p.of.ReplaceAllString(hint, p.to)
	}
	return quotedCommand().ReplaceAllStringFunc(hint, func(quoted string) string {
		command := strings.TrimPrefix(strings.Trim(quoted, "`"), "pyro ")
		for _, known := range commands {
			rest, ok := strings.CutPrefix(command, known.command)
			if ok && (rest == "" || rest[0] == ' ') {
				if asked := c.asCall(known.tool, strings.Fields(rest)); asked != "" {
					return asked
				}
			}
		}
		return quoted + " (for the user to run)"
	})
}

// asCall is a command as the call of a tool, its words as the arguments that have to be
// given, in order. Where the tool is not offered, or has not all that the command was
// given, it is empty.
func (c *call) asCall(tool string, words []string) string {
	schema := c.offers[tool]
	if schema == nil {
		return ""
	}
	var arguments []any
	open := slices.Clone(schema.Required)
	if schema.Properties["path"] != nil && !slices.Contains(open, "path") {
		open = append(open, "path")
	}
	for _, word := range words {
		name, isOption := strings.CutPrefix(word, "--")
		switch name = strings.ReplaceAll(name, "-", "_"); {
		case isOption && schema.Properties[name] != nil && schema.Properties[name].Type == "boolean":
			arguments = append(arguments, name, true)
		case isOption || len(open) == 0:
			return ""
		default:
			arguments = append(arguments, open[0], word)
			open = open[1:]
		}
	}
	if len(arguments) == 0 {
		return tool
	}
	return *more(tool, arguments...)
}
