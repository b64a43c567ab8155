// Command hello is the smallest server of the Model Context Protocol that its Go SDK
// makes: one tool, over stdio. What pyro takes to start is compared with it.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func main() {
	server := mcp.NewServer(&mcp.Implementation{Name: "hello", Version: "1"}, nil)
	type greeting struct {
		Text string `json:"text"`
	}
	mcp.AddTool(server, &mcp.Tool{Name: "hello", Description: "Say hello."},
		func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, greeting, error) {
			return nil, greeting{"hello"}, nil
		})
	if err := server.Run(context.Background(), &mcp.StdioTransport{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
