package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/internal/cli"
	"github.com/pyro-sandbox/pyro/internal/mcpserver"
	"github.com/pyro-sandbox/pyro/internal/version"
)

// serveMCP is `pyro mcp serve`. stdout is the protocol's: whatever else would write there,
// now or one day, finds stderr in its place.
func serveMCP(ctx context.Context, asked cli.MCPServe) error {
	protocol := os.Stdout
	os.Stdout = os.Stderr
	project, err := mcpserver.FindProject(mcpserver.ProjectOptions{
		Path: asked.ProjectPath, URL: asked.RepoURL, Ref: asked.RepoRef, None: asked.NoProject,
	})
	if err != nil {
		return err
	}
	server, err := mcpserver.New(mcpserver.Options{
		Profile: asked.Profile, Mode: asked.Mode, Project: project, Version: version.String(),
		Open: func() (*pyro.Client, error) { return pyro.Open(&pyro.Options{URL: asked.URL}) },
		Log:  slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return err
	}
	if asked.HTTP {
		return server.ServeHTTP(ctx, mcpserver.HTTPOptions{
			Listen: asked.Listen, TokenFile: asked.TokenFile, NoAuth: asked.NoAuth, Talk: os.Stderr,
		})
	}
	return server.ServeStdio(ctx, os.Stdin, protocol)
}
