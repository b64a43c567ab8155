package agent

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"slices"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/version"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// handle does one request and writes its reply. r holds what follows the request
// line on conn.
func (a *agent) handle(ctx context.Context, conn net.Conn, r *bufio.Reader, req wire.Request) {
	if _, ok := req.(*wire.HelloRequest); !ok {
		a.prepareDirs()
	}
	switch req := req.(type) {
	case *wire.StreamRequest:
		a.stream(ctx, conn, r, req)
	case *wire.ExportRequest:
		a.export(ctx, conn, req)
	case *wire.AttachShellRequest:
		a.attachShell(ctx, conn, r, req)
	case *wire.DialRequest:
		a.connect(ctx, conn, r, req)
	case *wire.PushRequest:
		reply, err := a.push(ctx, conn, r, req)
		answerTree(conn, reply, err)
	case *wire.CompareRequest:
		reply, err := a.compare(conn, r, req)
		answerTree(conn, reply, err)
	case *wire.WatchServicesRequest:
		a.watchServices(ctx, conn, r)
	case *wire.FollowServiceRequest:
		a.followService(ctx, conn, r, req)
	default:
		if a.handleTree(ctx, conn, r, req) {
			return
		}
		reply, err := a.answer(ctx, conn, r, req)
		if err != nil {
			reply = wire.FailureOf(err)
		}
		_ = wire.Reply(patient{conn}, reply) // a lost peer is no concern of anybody else
	}
}

// answer does a request whose whole reply is one line.
func (a *agent) answer(ctx context.Context, conn net.Conn, r *bufio.Reader, req wire.Request) (any, error) {
	switch req := req.(type) {
	case *wire.HelloRequest:
		return hello(), nil
	case *wire.ExecRequest:
		return a.exec(ctx, req)
	case *wire.ExtractRequest:
		return a.extract(ctx, conn, r, req)
	case *wire.SecretsRequest:
		return a.installSecrets(ctx, conn, r, req)
	case *wire.ListRequest:
		return a.list(req)
	case *wire.ReadRequest:
		return a.readFile(req)
	case *wire.WriteRequest:
		return a.writeFile(req)
	case *wire.DeleteRequest:
		return a.deletePath(req)
	}
	return a.answerLive(ctx, req)
}

// answerLive is answer for what lives on after the request.
func (a *agent) answerLive(ctx context.Context, req wire.Request) (any, error) {
	switch req := req.(type) {
	case *wire.OpenShellRequest:
		return a.openShell(req)
	case *wire.ReadShellRequest:
		return a.readShell(req)
	case *wire.WriteShellRequest:
		return a.writeShell(req)
	case *wire.SignalShellRequest:
		return a.signalShell(req)
	case *wire.CloseShellRequest:
		return a.closeShell(req)
	case *wire.ListShellsRequest:
		return a.listShells(), nil
	case *wire.ResizeShellRequest:
		return a.resizeShell(req)
	case *wire.StartServiceRequest:
		return a.startService(ctx, req)
	case *wire.StatusServiceRequest:
		return a.statusService(req)
	case *wire.LogsServiceRequest:
		return a.logsService(req)
	case *wire.StopServiceRequest:
		return a.stopService(ctx, req)
	case *wire.ListServicesRequest:
		return a.listServices(), nil
	case *wire.StatRequest:
		return a.stat(req)
	case *wire.MakeDirRequest:
		return a.makeDir(req)
	case *wire.MoveRequest:
		return a.movePath(req)
	case *wire.RemoveRequest:
		return a.removePath(ctx, req)
	}
	return nil, &api.Error{Kind: api.Unsupported, Err: fmt.Errorf("this version of the agent cannot do a %T", req)}
}

func hello() wire.Hello {
	able := slices.Clone(capabilities)
	if hasStates() { // a Sentry that has them has the rest
		able = append(able, wire.CapabilityTellsWrites)
	}
	return wire.Hello{Version: version.String(), Protocol: wire.Protocol, Capabilities: able}
}

// capabilities are the actions beyond the base protocol, and those of it that not every
// agent has.
var capabilities = []string{
	wire.ActionStream, wire.ActionPush, wire.ActionCompare,
	wire.ActionOpenShell, wire.ActionReadShell, wire.ActionWriteShell, wire.ActionSignalShell, wire.ActionCloseShell,
	wire.ActionListShells, wire.ActionResizeShell, wire.ActionAttachShell, wire.ActionDial,
	wire.ActionStartService, wire.ActionStatusService, wire.ActionLogsService, wire.ActionStopService,
	wire.ActionListServices, wire.ActionWatchServices, wire.ActionFollowService,
	wire.ActionWalk, wire.ActionHash, wire.ActionPull, wire.ActionStat, wire.ActionReadRange,
	wire.ActionPut, wire.ActionMakeDir, wire.ActionMove, wire.ActionRemove, wire.ActionPatch,
	wire.CapabilityTTY,
}
