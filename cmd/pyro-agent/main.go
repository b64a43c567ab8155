// Command pyro-agent is the program inside a sandbox that does what the host asks.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/pyro-sandbox/pyro/internal/agent"
	"github.com/pyro-sandbox/pyro/internal/version"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--version" { // on the host, for pyro version
		fmt.Println("pyro-agent", version.String())
		return
	}
	os.Exit(agent.Main(context.Background(), os.Args[1:], os.Stderr))
}
