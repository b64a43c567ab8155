package mcpserver

import (
	"context"
	"encoding/json"
	"log/slog"
	"runtime/debug"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// maxCalls is how many calls of tools are at work at a time. The rest wait.
const maxCalls = 64

// recoverPanics turns a panic of a handler into the error of its request. The library
// would let it end the process, and with it every other call.
func recoverPanics(log *slog.Logger) mcp.Middleware {
	return func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (res mcp.Result, err error) {
			defer func() {
				if p := recover(); p != nil {
					log.Error("panic in a handler", "method", method, "panic", p, "stack", string(debug.Stack()))
					res, err = nil, &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "internal error"}
				}
			}()
			return next(ctx, method, req)
		}
	}
}

// onlyDeclared refuses the methods of features that the server has not declared. The
// library would answer them with empty lists.
func onlyDeclared(has *mcp.ServerCapabilities) mcp.Middleware {
	lacking := map[string]bool{
		"prompts": has.Prompts == nil, "resources": has.Resources == nil,
		//lint:ignore SA1019 old clients ask for it, and must be told that it is not there
		"logging":    has.Logging == nil,
		"completion": has.Completions == nil,
	}
	return func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			if feature, _, _ := strings.Cut(method, "/"); lacking[feature] {
				return nil, &jsonrpc.Error{Code: jsonrpc.CodeMethodNotFound, Message: "method not found: " + method}
			}
			return next(ctx, method, req)
		}
	}
}

// whenReady makes requests wait until the server has all that it offers, but for those
// that need none of it. Schemas take longer to make than a process to start, so that is
// begun when the first of these is answered: the client reads meanwhile.
func (s *Server) whenReady(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		defer s.begin()
		if method == "initialize" || method == "server/discover" || method == "ping" || strings.HasPrefix(method, "notifications/") {
			return next(ctx, method, req)
		}
		s.begin()
		select {
		case <-s.ready:
			return next(ctx, method, req)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// limitCalls lets so many calls of tools work at a time. Who only waits for a command that
// was begun, or ends it, does not count: such a call must come through.
func limitCalls(n int) mcp.Middleware {
	turns := make(chan struct{}, n)
	return func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			params, calls := req.GetParams().(*mcp.CallToolParamsRaw)
			if !calls || params == nil || params.Name == execWaitName {
				return next(ctx, method, req)
			}
			select {
			case turns <- struct{}{}:
				defer func() { <-turns }()
				return next(ctx, method, req)
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}
}

// endWith ends the calls of tools when the server is stopped. The library would wait for
// them.
func endWith(over <-chan struct{}) mcp.Middleware {
	return func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			if method != "tools/call" {
				return next(ctx, method, req)
			}
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			go func() { // ends with the call
				select {
				case <-over:
					cancel()
				case <-ctx.Done():
				}
			}()
			return next(ctx, method, req)
		}
	}
}

// markComplete marks a result that a middleware has made as one that is complete, where clients
// want that to be said: the library does so for handlers alone, and has no setter.
func markComplete(req mcp.Request, res *mcp.CallToolResult) (*mcp.CallToolResult, error) {
	session, ok := req.GetSession().(*mcp.ServerSession)
	if !ok {
		return res, nil
	}
	if with := session.InitializeParams(); with == nil || with.ProtocolVersion < firstStateless {
		return res, nil
	}
	raw, err := json.Marshal(res)
	if err != nil {
		return nil, err
	}
	raw = append([]byte(`{"resultType":"complete",`), raw[1:]...)
	var said mcp.CallToolResult
	return &said, json.Unmarshal(raw, &said)
}
