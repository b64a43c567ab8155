package agent

import (
	"bufio"
	"context"
	"fmt"
	"net"

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
	case *wire.PushRequest:
		reply, err := a.push(ctx, conn, r, req)
		answerTree(conn, reply, err)
	case *wire.CompareRequest:
		reply, err := a.compare(conn, r, req)
		answerTree(conn, reply, err)
	default:
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
	return nil, &api.Error{Kind: api.Unsupported, Err: fmt.Errorf("this version of the agent does not have %s yet", nameOf(req))}
}

func hello() wire.Hello {
	return wire.Hello{
		Version:      version.String(),
		Protocol:     wire.Protocol,
		Capabilities: []string{wire.ActionStream, wire.ActionPush, wire.ActionCompare},
	}
}

// nameOf is the action of a request that this version cannot do.
func nameOf(req wire.Request) string {
	switch req := req.(type) {
	case *wire.OpenShellRequest:
		return req.Action
	case *wire.ReadShellRequest:
		return req.Action
	case *wire.WriteShellRequest:
		return req.Action
	case *wire.SignalShellRequest:
		return req.Action
	case *wire.CloseShellRequest:
		return req.Action
	}
	return "this action"
}
