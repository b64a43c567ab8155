package cli

import (
	"cmp"
	"context"
	"errors"
	"math"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

const attachTag = "workspace-shell-attach"

func (a *app) shellAttachCommand() *cobra.Command {
	var (
		detach = usualDetach
		env    secretEnv
		open   api.ShellOpenRequest
	)
	cmd := &cobra.Command{
		Use:   "attach WORKSPACE_ID [SHELL_ID]",
		Short: "sit down at a shell",
		Long: `Joins this terminal with a shell: every key goes there, Ctrl-C too, and what it
prints comes here as it is, control sequences and all. With a SHELL_ID it is one that
is there, and leaving it with the detach keys leaves it as it is. Without, one is
opened, and closed when you leave.

The detach keys are typed one after the other. The exit code is that of the shell
where it ended, and 0 where it was left.`,
		Example: `  pyro workspace shell attach 0123456789ab
  pyro workspace shell attach 0123456789ab 9f3c21d07b44 --detach-keys ctrl-a,d`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if len(args) > 2 {
				return misuse(cmd, "unrecognized arguments: %s", args[2])
			}
			if open.SecretEnv, err = env.names(); err != nil {
				return err
			}
			if len(args) == 2 && len(open.SecretEnv)+len(open.Cwd) > 0 {
				return misuse(cmd, "argument SHELL_ID: not allowed with arguments --cwd and --secret-env")
			}
			keys, err := parseKeys(detach)
			if err != nil {
				return err
			}
			return a.attach(cmd.Context(), visit{id: args[0], shell: append(args, "")[1], open: open, keys: keys, detach: detach})
		},
		ValidArgsFunction: a.completeIDs(a.completeShells, api.StateStarted),
	}
	f := cmd.Flags()
	f.Var(textValue{&detach, "KEYS"}, "detach-keys", "what to type to leave; none: nothing leaves")
	f.Var(textValue{&open.Cwd, "PATH"}, "cwd", "the directory that a new shell starts in")
	env.flag(f)
	a.jsonFlag(f)
	return cmd
}

// visit is what shell attach was told.
type visit struct {
	id, shell string // shell empty: a new one
	own       bool   // it is new
	open      api.ShellOpenRequest
	keys      []byte
	detach    string
}

func (a *app) attach(ctx context.Context, v visit) error {
	if _, ok := a.sit(a.Stdin); !ok {
		return invalid("stdin is no terminal", "`pyro workspace shell write` and `pyro workspace shell read` need none")
	}
	ws, err := await(ctx, a, attachTag, func(ctx context.Context) (workspace, error) { return a.get(ctx, v.id) })
	if err != nil {
		return err
	}
	a.warnUnisolated(ws.Seen())
	if v.shell != "" {
		ended, err := a.join(ctx, ws, v)
		if err != nil {
			return err
		}
		return a.visited(ctx, ws, v, ended)
	}
	opened, err := a.openHere(ctx, ws, v.open)
	if err != nil {
		return err
	}
	v.shell, v.own = opened.ShellID, true
	ended, err := a.join(ctx, ws, v)
	closed, left := a.closeShell(ctx, ws, v.shell)
	if err = cmp.Or(err, left); err != nil {
		return err
	}
	return a.closed(cmp.Or(closed, opened), ended)
}

// openHere opens a shell as large as our terminal.
func (a *app) openHere(ctx context.Context, ws workspace, req api.ShellOpenRequest) (*api.Shell, error) {
	seat, err := a.takeSeat(false)
	if err != nil {
		return nil, err
	}
	size := seat.size()
	seat.leave()
	req.Cols, req.Rows = size.Cols, size.Rows
	return await(ctx, a, attachTag, func(ctx context.Context) (*api.Shell, error) { return ws.OpenShell(ctx, req) })
}

// closeTime bounds the end of a shell that nobody sits at any more.
const closeTime = 15 * time.Second

// closeShell closes a shell, also when ctx is over. Nil is one that is gone already.
func (a *app) closeShell(ctx context.Context, ws workspace, shell string) (*api.Shell, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	closed, err := await(ctx, a, attachTag, func(ctx context.Context) (*api.ShellClose, error) { return ws.CloseShell(ctx, shell) })
	switch {
	case err == nil:
		return &closed.Shell, nil
	case errors.Is(err, api.NotFound), errors.Is(err, api.Conflict): // closed by another, or the workspace has stopped
		return nil, nil
	}
	return nil, err
}

// join lets a guest have our terminal until the shell has ended, which it returns, or is
// left, which is nil.
func (a *app) join(ctx context.Context, ws workspace, v visit) (*api.Shell, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cursor, err := a.lately(ctx, ws, v)
	if err != nil {
		return nil, err
	}
	v.announce(a)
	seat, err := a.takeSeat(true)
	if err != nil {
		return nil, err
	}
	screen, typed := &screen{w: a.Stdout, seat: seat}, newKeyboard(a.Stdin, v.keys, seat)
	defer a.newLine(screen)
	defer seat.leave()
	sizes := make(chan api.TerminalSize)
	go seat.follow(ctx, func(size api.TerminalSize) { // ends with ctx
		select {
		case sizes <- size:
		case <-ctx.Done():
		}
	})
	with := pyro.ShellAttachment{Stdin: typed, Stdout: screen, Cursor: cursor, Size: seat.size(), Resize: sizes}
	ended := make(chan attached, 1)
	go func() { // ends with ctx
		defer seat.guard()
		shell, err := ws.AttachShell(ctx, v.shell, with)
		ended <- attached{shell, err}
	}()
	return a.sitThrough(seat, typed, ended, cancel)
}

// announce says how to leave, while one can still read it.
func (v visit) announce(a *app) {
	switch {
	case len(v.keys) == 0:
	case v.own:
		a.phase("[%s] shell %s: %s leaves and closes it", attachTag, v.shell, v.detach)
	default:
		a.phase("[%s] shell %s: %s leaves it as it is", attachTag, v.shell, v.detach)
	}
}

// lately is the cursor of about a screen ago, so that one sees where one is.
func (a *app) lately(ctx context.Context, ws workspace, v visit) (int64, error) {
	const screenful = api.DefaultCols * api.DefaultRows / 2
	if v.own {
		return 0, nil
	}
	now, err := await(ctx, a, attachTag, func(ctx context.Context) (*api.ShellRead, error) {
		return ws.ReadShell(ctx, v.shell, api.ShellReadRequest{Cursor: math.MaxInt64, MaxChars: 1})
	})
	if err != nil {
		return 0, err
	}
	return max(0, now.NextCursor-screenful), nil
}

// attached is what came of an attachment.
type attached struct {
	shell *api.Shell
	err   error
}

// settling is how long what a shell printed last may take to be shown.
const settling = time.Second

// sitThrough waits until the shell has ended, the detach keys were typed, or a signal
// came. Then nothing of the guest is written any more, unless our terminal is stuck.
func (a *app) sitThrough(seat *seat, typed *keyboard, ended <-chan attached, cancel func()) (*api.Shell, error) {
	var s os.Signal
	select {
	case o := <-ended:
		return o.shell, o.err
	case <-typed.left:
	case s = <-seat.lost():
	case s = <-a.Signals:
	}
	cancel()
	patience := time.NewTimer(settling)
	defer patience.Stop()
	select {
	case <-ended:
	case <-patience.C:
	}
	if s != nil {
		return nil, &leaving{code: 128 + number(s)}
	}
	return nil, nil
}

// visited says how a shell is now that was there before us.
func (a *app) visited(ctx context.Context, ws workspace, v visit, ended *api.Shell) error {
	if ended != nil {
		return cmp.Or(a.tell(attachTag, ended, ended), shellStatus(ended))
	}
	now, err := await(ctx, a, attachTag, func(ctx context.Context) (*api.Shell, error) { return ws.Shell(ctx, v.shell) })
	if err != nil {
		return err
	}
	return a.tell(attachTag, now, now)
}

// closed says how a shell of ours was, as it was closed, or as it had ended before.
func (a *app) closed(closed, ended *api.Shell) error {
	last := cmp.Or(ended, closed)
	if err := a.tell(attachTag, last, last); err != nil || ended == nil {
		return err
	}
	return shellStatus(ended)
}

// shellStatus makes the exit code of a shell that ended by itself ours.
func shellStatus(s *api.Shell) error {
	if s.ExitCode == nil || *s.ExitCode == 0 {
		return nil
	}
	return guestStatus(*s.ExitCode)
}
