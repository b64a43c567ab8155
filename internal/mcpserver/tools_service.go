package mcpserver

import (
	"context"
	"fmt"
	"strings"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

// inService is a call about one service.
type inService struct {
	WorkspaceID string `json:"workspace_id"`
	ServiceName string `json:"service_name"`
}

type serviceStartArguments struct {
	WorkspaceID         string            `json:"workspace_id"`
	ServiceName         string            `json:"service_name"`
	Command             string            `json:"command"`
	Cwd                 string            `json:"cwd,omitempty" limits:"default=/workspace"`
	ReadyFile           string            `json:"ready_file,omitempty" jsonschema:"ready when this file is there"`
	ReadyTCP            string            `json:"ready_tcp,omitempty" jsonschema:"ready when HOST:PORT accepts"`
	ReadyHTTP           string            `json:"ready_http,omitempty" jsonschema:"ready when this URL answers"`
	ReadyCommand        string            `json:"ready_command,omitempty" jsonschema:"ready when this succeeds"`
	ReadyTimeoutSeconds int               `json:"ready_timeout_seconds,omitempty" limits:"default=30,min=1"`
	ReadyIntervalMS     int               `json:"ready_interval_ms,omitempty" limits:"default=500,min=1"`
	SecretEnv           map[string]string `json:"secret_env,omitempty" jsonschema:"secret name to variable"`
	PublishedPorts      []map[string]*int `json:"published_ports,omitempty" jsonschema:"each {guest_port, host_port?}"`
}

// serviceAnswer is the contract's Service.
type serviceAnswer struct {
	api.Service
	part
}

func serviced(s *api.Service, err error) (*serviceAnswer, error) {
	if err != nil {
		return nil, err
	}
	return &serviceAnswer{Service: *s}, nil
}

// servicesAnswer is the contract's ServiceList.
type servicesAnswer struct {
	api.ServiceList
	part
}

func serviceTools() []tool {
	return []tool{serviceStart(), serviceList(), serviceStatus(), serviceLogs(), serviceStop()}
}

func serviceStart() tool {
	return define(tool{
		name: "service_start", title: "Start a service",
		says: "Start a program that outlives the call and wait until it is ready; at most one ready_ argument. " +
			"Example: {\"workspace_id\":\"ab12…\",\"service_name\":\"web\",\"command\":\"python3 -m http.server 8000\",\"ready_tcp\":\"127.0.0.1:8000\"}.",
		effects: effects{destroys: true, runsOutside: true},
	}, func(ctx context.Context, c *call, in serviceStartArguments) (*serviceAnswer, error) {
		readiness, err := in.readiness()
		if err != nil {
			return nil, err
		}
		ports, err := publishes(in.PublishedPorts)
		if err != nil {
			return nil, err
		}
		ws, err := c.workspace(ctx, in.WorkspaceID)
		if err != nil {
			return nil, err
		}
		return serviced(ws.StartService(ctx, api.ServiceStartRequest{
			ServiceName: in.ServiceName, Command: in.Command, Cwd: in.Cwd, Readiness: readiness,
			ReadyTimeoutSeconds: in.ReadyTimeoutSeconds, ReadyIntervalMS: in.ReadyIntervalMS,
			SecretEnv: in.SecretEnv, Publish: ports,
		}))
	})
}

// readiness is the one way of being ready that was given; nil: there is none.
func (in serviceStartArguments) readiness() (*api.Readiness, error) {
	var given []string
	var r *api.Readiness
	for _, way := range []struct {
		argument, value string
		readiness       api.Readiness
	}{
		{"ready_file", in.ReadyFile, api.Readiness{Type: api.ReadyFile, Path: in.ReadyFile}},
		{"ready_tcp", in.ReadyTCP, api.Readiness{Type: api.ReadyTCP, Address: in.ReadyTCP}},
		{"ready_http", in.ReadyHTTP, api.Readiness{Type: api.ReadyHTTP, URL: in.ReadyHTTP}},
		{"ready_command", in.ReadyCommand, api.Readiness{Type: api.ReadyCommand, Command: in.ReadyCommand}},
	} {
		if way.value != "" {
			given, r = append(given, way.argument), &way.readiness
		}
	}
	if len(given) > 1 {
		return nil, badArguments(fmt.Errorf("%s exclude each other: a service is ready in one way", strings.Join(given, " and ")))
	}
	return r, nil
}

// publishes takes ports as the contract has them; null is as good as nothing.
func publishes(given []map[string]*int) ([]api.PublishRequest, error) {
	var all []api.PublishRequest
	for i, p := range given {
		var r api.PublishRequest
		for key, port := range p {
			switch {
			case key != "guest_port" && key != "host_port":
				return nil, badArguments(fmt.Errorf("published_ports[%d] has the unknown key %q, allowed are guest_port and host_port", i, clip(key)))
			case port == nil:
			case key == "guest_port":
				r.GuestPort = *port
			default:
				r.HostPort = *port
			}
		}
		if p["guest_port"] == nil {
			return nil, badArguments(fmt.Errorf("published_ports[%d] has no guest_port", i))
		}
		all = append(all, r)
	}
	return all, nil
}

func serviceList() tool {
	return define(tool{
		name: "service_list", title: "List services",
		says: "List the services of a workspace.", effects: effects{reads: true},
	}, about(func(ctx context.Context, ws *pyro.Workspace) (*servicesAnswer, error) {
		list, err := ws.Services(ctx)
		if err != nil {
			return nil, err
		}
		return &servicesAnswer{ServiceList: *list}, nil
	}))
}

func serviceStatus() tool {
	return define(tool{
		name: "service_status", title: "Show a service",
		says: "Return state, readiness, ports and exit code of a service.", effects: effects{reads: true},
	}, func(ctx context.Context, c *call, in inService) (*serviceAnswer, error) {
		ws, err := c.workspace(ctx, in.WorkspaceID)
		if err != nil {
			return nil, err
		}
		return serviced(ws.Service(ctx, in.ServiceName))
	})
}

type serviceLogsArguments struct {
	WorkspaceID string `json:"workspace_id"`
	ServiceName string `json:"service_name"`
	TailLines   int    `json:"tail_lines,omitempty" limits:"default=200,min=1"`
	All         bool   `json:"all,omitempty" jsonschema:"all lines that are kept" limits:"default=false"`
	MaxChars    int    `json:"max_chars,omitempty" limits:"default=10000,min=1000,max=200000"`
}

// serviceLogsAnswer is the contract's ServiceLogs.
type serviceLogsAnswer struct {
	api.ServiceLogs         // Truncated is its own
	StdoutBytes     int     `json:"stdout_bytes"` // of what was asked for
	StderrBytes     int     `json:"stderr_bytes"`
	Next            *string `json:"next"`
}

func (a *serviceLogsAnswer) markCut() { a.Truncated = true }

func serviceLogs() tool {
	return define(tool{
		name: "service_logs", title: "Read a service's output",
		says: "Return the last lines that a service printed.", effects: effects{reads: true},
	}, func(ctx context.Context, c *call, in serviceLogsArguments) (*serviceLogsAnswer, error) {
		c.most = in.MaxChars
		ws, err := c.workspace(ctx, in.WorkspaceID)
		if err != nil {
			return nil, err
		}
		lines := in.TailLines
		if in.All {
			lines = 0
		}
		logs, err := ws.ServiceLogs(ctx, in.ServiceName, lines)
		if err != nil {
			return nil, err
		}
		out := &serviceLogsAnswer{ServiceLogs: *logs, StdoutBytes: len(logs.Stdout), StderrBytes: len(logs.Stderr)}
		c.shortenLogs(out, in)
		return out, nil
	})
}

// shortenLogs keeps the newest of both streams.
func (c *call) shortenLogs(out *serviceLogsAnswer, in serviceLogsArguments) {
	stdout, stderr := out.Stdout, out.Stderr
	out.Stdout, out.Stderr, out.Command = "", "", brief(out.Command, c.most/8)
	out.Next = more(c.tool, "workspace_id", in.WorkspaceID, "service_name", in.ServiceName, "all", true, "max_chars", maxAsked)
	forOut, forErr := shares(c.most-size(out), cost(stdout), cost(stderr))
	out.Stdout, out.Stderr = lastLines(stdout, forOut), lastLines(stderr, forErr)
	cut := len(out.Stdout) < len(stdout) || len(out.Stderr) < len(stderr)
	out.Truncated = out.Truncated || cut
	if !out.Truncated || c.most == maxAsked {
		out.Next = nil
	}
}

// lastLines is ending, from the beginning of a line where that is not far away.
func lastLines(text string, room int) string {
	end := ending(text, room)
	if len(end) == len(text) {
		return text
	}
	if i := strings.IndexByte(end, '\n') + 1; i < len(end)/2 {
		return end[i:]
	}
	return end
}

func serviceStop() tool {
	return define(tool{
		name: "service_stop", title: "Stop a service",
		says: "End a service and all that it started.", effects: effects{destroys: true, idempotent: true},
	}, func(ctx context.Context, c *call, in inService) (*serviceAnswer, error) {
		ws, err := c.workspace(ctx, in.WorkspaceID)
		if err != nil {
			return nil, err
		}
		return serviced(ws.StopService(ctx, in.ServiceName))
	})
}
