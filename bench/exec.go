package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// execOverhead is a command's time as the SDK's caller sees it, against what the
// agent itself says that the command took. The agent's word has microseconds only
// in its own protocol, so it comes from a second command, through agent.sock.
func execOverhead(ctx context.Context, b *bench) (r result, err error) {
	err = b.within(ctx, func(ws *pyro.Workspace) error {
		var bridged []time.Duration
		dial := wire.Bridge(*ws.Seen().AgentSocket)
		sdk := func(ctx context.Context) (time.Duration, error) {
			began := time.Now()
			_, err := ws.Exec(ctx, api.ExecRequest{Argv: []string{"true"}})
			return time.Since(began), err
		}
		agent := func(ctx context.Context) (time.Duration, error) {
			began := time.Now()
			took, err := ask(ctx, dial, "true")
			bridged = append(bridged, time.Since(began))
			return took, err
		}
		sides, err := inTurns(ctx, b.n, sdk, agent, b.wall("/bin/true"))
		if err != nil {
			return err
		}
		r = compared(sides[0], sides[1])
		r.What = "SDK: exec of true in a running workspace"
		r.Command = "the agent's own duration_us of true, over agent.sock"
		r.Figures = []figure{
			{"SDK, beyond the agent's time, p50", r.Product.P50 - r.Baseline.P50, "ms", "<= 2"},
			{"SDK, beyond the agent's time, min", r.Product.Min - r.Baseline.Min, "ms", ""},
		}
		r.Figures = append(r.Figures, figures("wall over agent.sock, without the HTTP API", bridged[1:], "")...)
		r.Figures = append(r.Figures, figures("/bin/true on the host", sides[2], "")...)
		return nil
	})
	return r, err
}

// ask runs a command by the agent's protocol and returns its own time.
func ask(ctx context.Context, dial wire.Dialer, argv ...string) (time.Duration, error) {
	line, err := json.Marshal(wire.StreamRequest{Action: wire.ActionStream, Argv: argv})
	if err != nil {
		return 0, err
	}
	conn, err := dial(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write(append(line, '\n')); err != nil {
		return 0, err
	}
	var buf []byte
	for {
		frame, err := wire.ReadFrame(conn, &buf)
		if err != nil {
			return 0, err
		}
		switch frame.Type {
		case wire.FrameExit:
			var exit wire.Exit
			if err := json.Unmarshal(frame.Payload, &exit); err != nil || exit.Code != 0 {
				return 0, fmt.Errorf("exit frame %s: %w", frame.Payload, errors.Join(err, errNotZero))
			}
			return time.Duration(exit.DurationUS) * time.Microsecond, nil
		case wire.FrameFail:
			return 0, fmt.Errorf("the agent: %s", frame.Payload)
		}
	}
}

var errNotZero = errors.New("a status other than 0")

// outputBytes are few enough for a slow machine and many enough to hide the start.
const outputBytes = 50_000_000

// output is bulk output through all of pyro, against the same bytes inside the guest.
func output(ctx context.Context, b *bench) (r result, err error) {
	err = b.within(ctx, func(ws *pyro.Workspace) error {
		head := "head -c " + strconv.Itoa(outputBytes) + " /dev/zero"
		inside := func(line string) side {
			return func(ctx context.Context) (time.Duration, error) {
				return ask(ctx, wire.Bridge(*ws.Seen().AgentSocket), "sh", "-c", line)
			}
		}
		sdk := func(ctx context.Context) (time.Duration, error) {
			cmd := ws.ShellCommand(ctx, head)
			cmd.Stdout = io.Discard
			began := time.Now()
			err := cmd.Run()
			return time.Since(began), err
		}
		sides, err := inTurns(ctx, min(b.n, 5),
			b.wall(b.program("pyro"), "workspace", "exec", ws.ID(), "--", "sh", "-c", head), // cmd.Stdout nil is /dev/null
			inside(head+" | cat >/dev/null"), inside(head+" >/dev/null"), sdk)
		if err != nil {
			return err
		}
		r = compared(sides[0], sides[1])
		r.What = fmt.Sprintf("process: pyro workspace exec ID -- %s >/dev/null", head)
		r.Command = "in the guest, by the agent's clock: " + head + " | cat >/dev/null"
		for i, name := range []string{"pyro workspace exec", "in the guest, through a pipe", "in the guest, to /dev/null", "SDK, streamed to io.Discard"} {
			p50 := summary(sides[i]).P50
			r.Figures = append(r.Figures, figure{name, outputBytes / 1000 / p50, "MB/s", ""})
		}
		return nil
	})
	return r, err
}
