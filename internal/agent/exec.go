package agent

import (
	"context"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// maxTimeout bounds the timeouts that requests may ask for, so that no product of
// theirs overflows.
const maxTimeout = 365 * 24 * time.Hour

// exec runs a command of the base protocol and captures its output. A peer that goes
// away does not end it, since it cannot be told from one that ended its half of the
// connection after the request; the timeout does.
func (a *agent) exec(ctx context.Context, req *wire.ExecRequest) (*wire.ExecReply, error) {
	env, err := a.environment(req.Env)
	if err != nil {
		return nil, err
	}
	c := command{
		argv:    []string{shell, "-lc", string(req.Command)},
		env:     env,
		timeout: maxTimeout,
	}
	if seconds := int64(req.TimeoutSeconds); seconds < int64(maxTimeout/time.Second) {
		c.timeout = time.Duration(seconds) * time.Second
	}
	out, errs := newCapture(wire.MaxCapture), newCapture(wire.MaxCapture)
	end, err := a.captured(ctx, c, out, errs)
	if err != nil {
		return nil, err
	}
	return &wire.ExecReply{
		Stdout: out.text(), StdoutTruncated: out.truncated(),
		Stderr: errs.text(), StderrTruncated: errs.truncated(),
		ExitCode: end.code, DurationMS: end.took.Milliseconds(), Reason: end.reason,
	}, nil
}

// captured runs c, or says why it does not run in the words and with the code of a
// shell.
func (a *agent) captured(ctx context.Context, c command, out, errs *capture) (ending, error) {
	if c.timeout <= 0 { // it has struck already
		end := ending{code: codeTimeout, reason: api.EndedByTimeout}
		_, err := errs.Write([]byte(end.note(c.timeout)))
		return end, err
	}
	end, err := a.run(ctx, c, out, errs, func(*process) {})
	if err != nil {
		return unstarted(err, errs)
	}
	return end, nil
}
