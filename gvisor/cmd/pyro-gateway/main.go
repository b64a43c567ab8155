// Command pyro-gateway will carry the packets of sandboxes that have a network.
// This version of pyro knows the network policy "off" alone, for which no gateway
// is needed; the program only says so.
package main

import (
	"fmt"
	"io"
	"os"
	"runtime/debug"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	if len(args) == 1 && args[0] == "--version" {
		_, _ = fmt.Fprintln(stdout, "pyro-gateway", version())
		return 0
	}
	_, _ = fmt.Fprintln(stderr, "pyro-gateway: this version of pyro has the network policy off only, which needs no gateway")
	return 1
}

// stamp is written by the linker (-X main.stamp=…) and by nothing else: a release
// tag or an abbreviated commit.
var stamp string

// version is "(devel)" in an unstamped build from a working tree.
func version() string {
	if stamp != "" {
		return stamp
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return info.Main.Version
}
