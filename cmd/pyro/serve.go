package main

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/internal/cli"
	"github.com/pyro-sandbox/pyro/internal/httpapi"
	"github.com/pyro-sandbox/pyro/internal/local"
	"github.com/pyro-sandbox/pyro/internal/mcpserver"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/version"
)

// serveAPI is `pyro serve`.
func serveAPI(ctx context.Context, asked cli.ServeRequest, ready func(url, madeUp string) error) error {
	here := slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, "PYRO_URL=") })
	client, err := pyro.Open(&pyro.Options{Env: here}) // another server's workspaces are that one's to serve
	if err != nil {
		return err
	}
	dirs, err := store.FindDirs(os.Getenv, os.Geteuid())
	if err != nil {
		return err
	}
	o := httpapi.Options{Client: client, Version: version.String(), Doctor: local.Doctor, Log: serveLog(asked, slog.LevelInfo)}
	if !asked.NoMCP {
		agents, err := mcpserver.New(mcpserver.Options{
			Version: version.String(), Log: serveLog(asked, slog.LevelWarn), // below it stand ids of sessions
			Open: func() (*pyro.Client, error) { return client, nil },
		})
		if err != nil {
			return err
		}
		o.MCP = agents.Handler()
		stop := context.AfterFunc(ctx, agents.Close)
		defer stop()
	}
	place := httpapi.Place{
		Listen:    cmp.Or(asked.Listen, "unix:"+filepath.Join(dirs.Run, "api.sock")),
		TokenFile: asked.TokenFile, Token: os.Getenv(httpapi.TokenVariable),
		TLSCert: asked.TLSCert, TLSKey: asked.TLSKey, Rate: float64(asked.Rate), Ready: ready,
	}
	if asked.Private {
		place.PrivateIn = dirs.Run
	}
	return httpapi.New(o).Serve(ctx, place)
}

// serveLog goes to stderr, from a level on; where whoever started us reads that, errors alone.
func serveLog(asked cli.ServeRequest, from slog.Level) *slog.Logger {
	if asked.Quiet {
		from = slog.LevelError
	}
	level := &slog.HandlerOptions{Level: from}
	if asked.LogJSON {
		return slog.New(slog.NewJSONHandler(os.Stderr, level))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, level))
}
