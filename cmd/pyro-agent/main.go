// Command pyro-agent is the program inside a sandbox that does what the host asks.
package main

import (
	"context"
	"os"

	"github.com/pyro-sandbox/pyro/internal/agent"
)

func main() {
	os.Exit(agent.Main(context.Background(), os.Args[1:], os.Stderr))
}
