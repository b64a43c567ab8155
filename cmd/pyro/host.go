package main

import (
	"context"
	"fmt"
	"os"
	"runtime"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/cli"
	"github.com/pyro-sandbox/pyro/internal/host"
)

// hosts are the chat hosts as seen from where pyro was started.
func hosts() cli.Hosts {
	return cli.Hosts{
		Names: host.Names(),
		Plan: func(action string, req api.HostRequest) (*api.HostChange, func(context.Context) error, error) {
			m, err := machine()
			if err != nil {
				return nil, nil, err
			}
			return m.Plan(action, req)
		},
		Config: func(req api.HostRequest) (*api.HostConfig, error) {
			m, err := machine()
			if err != nil {
				return nil, err
			}
			return m.Config(req)
		},
		Doctor: func(ctx context.Context, req api.HostRequest) (*api.HostDoctor, error) {
			m, err := machine()
			if err != nil {
				return nil, err
			}
			return m.Doctor(ctx, req)
		},
	}
}

func machine() (host.Machine, error) {
	dir, err := os.Getwd()
	if err != nil {
		return host.Machine{}, fmt.Errorf("find the current directory: %w", err)
	}
	program, err := host.Executable(os.Environ())
	if err != nil {
		return host.Machine{}, err
	}
	return host.Machine{Environ: os.Environ(), Dir: dir, OS: runtime.GOOS, Executable: program}, nil
}
