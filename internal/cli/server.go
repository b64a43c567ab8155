package cli

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// envURL names the server that has the workspaces in place of this machine.
const envURL = "PYRO_URL"

// serverValue is --url. Whoever opens a client finds it in the environment.
type serverValue struct{ a *app }

func (v serverValue) String() string { return "" }
func (v serverValue) Type() string   { return "URL" }

// Set implements pflag.Value.
func (v serverValue) Set(url string) error {
	if url == "" {
		return errors.New("the URL is empty")
	}
	v.a.Environ = append(slices.Clip(v.a.Environ), envURL+"="+url)
	return nil
}

// server is the URL of the server that is used; empty: none.
func (a *app) server() string {
	for _, entry := range slices.Backward(a.Environ) {
		if url, ok := strings.CutPrefix(entry, envURL+"="); ok {
			return url
		}
	}
	return ""
}

// hereKey is the annotation of commands about this machine alone.
const hereKey = "this machine"

// here marks a command, and all below it, as one about this machine alone.
func here(cmd *cobra.Command) *cobra.Command {
	if cmd.Annotations == nil {
		cmd.Annotations = make(map[string]string)
	}
	cmd.Annotations[hereKey] = "true"
	return cmd
}

// checkHere refuses to ask a server for what only this machine knows.
func checkHere(cmd *cobra.Command, _ []string) error {
	if !cmd.Flags().Changed("url") {
		return nil
	}
	for at := cmd; at != nil; at = at.Parent() {
		if at.Annotations[hereKey] != "" {
			return misuse(cmd, "argument --url: not allowed with %s, which is about this machine", at.Name())
		}
	}
	return nil
}
