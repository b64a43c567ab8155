package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pyro-sandbox/pyro/api"
)

func (a *app) shellCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "shell",
		Short:   "work in a shell that keeps its state",
		GroupID: groupWork,
		Long: `A shell is a bash on a terminal of its own, or /bin/sh where there is no bash. It
lives until it ends by itself, is closed, or the workspace stops, whatever becomes
of the commands here: its directory, its variables and what runs in it stay.

For people there is attach. Programs open one, write to it, and read what it printed
from a cursor on.`,
		Example: `  pyro workspace shell attach 0123456789ab

  shell=$(pyro workspace shell open 0123456789ab --id-only)
  pyro workspace shell write 0123456789ab "$shell" --input 'make test'
  pyro workspace shell read 0123456789ab "$shell" --plain --wait-for-idle-ms 300
  pyro workspace shell signal 0123456789ab "$shell"
  pyro workspace shell close 0123456789ab "$shell"`,
	}
	cmd.AddCommand(
		a.shellOpenCommand(), a.shellReadCommand(), a.shellWriteCommand(), a.shellSignalCommand(), a.shellResizeCommand(),
		a.shellCloseCommand(), a.shellListCommand(), a.shellAttachCommand(),
	)
	return cmd
}

func (a *app) shellOpenCommand() *cobra.Command {
	var (
		req    api.ShellOpenRequest
		env    secretEnv
		idOnly bool
	)
	cmd := &cobra.Command{
		Use:   "open WORKSPACE_ID",
		Short: "start a shell",
		Long:  `Starts a shell and says its id. Nothing of it is shown: read does that.`,
		Example: `  pyro workspace shell open 0123456789ab
  shell=$(pyro workspace shell open 0123456789ab --cwd /workspace/src --id-only)
  pyro workspace shell open 0123456789ab --secret-env TOKEN`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if a.json && idOnly {
				return misuse(cmd, "argument --id-only: not allowed with argument --json")
			}
			if err := (api.TerminalSize{Cols: req.Cols, Rows: req.Rows}).Check(); err != nil { // a typed 0 is no default
				return err
			}
			if req.SecretEnv, err = env.names(); err != nil {
				return err
			}
			return a.shellOpen(cmd.Context(), args[0], req, idOnly)
		},
		ValidArgsFunction: a.completeIDs(nil, api.StateStarted),
	}
	f := cmd.Flags()
	f.Var(textValue{&req.Cwd, "PATH"}, "cwd", "the directory that it starts in")
	f.Lookup("cwd").DefValue = api.WorkspacePath
	intFlag(f, &req.Cols, "cols", "N", api.DefaultCols, "width of its terminal, 1 to %d characters", api.MaxTerminal)
	intFlag(f, &req.Rows, "rows", "N", api.DefaultRows, "height of its terminal, 1 to %d lines", api.MaxTerminal)
	env.flag(f)
	f.BoolVar(&idOnly, "id-only", false, "print the id and nothing else")
	a.jsonFlag(f)
	return cmd
}

func (a *app) shellOpen(ctx context.Context, id string, req api.ShellOpenRequest, idOnly bool) error {
	const tag = "workspace-shell-open"
	ws, err := await(ctx, a, tag, func(ctx context.Context) (workspace, error) { return a.get(ctx, id) })
	if err != nil {
		return err
	}
	a.warnUnisolated(ws.Seen())
	shell, err := await(ctx, a, tag, func(ctx context.Context) (*api.Shell, error) { return ws.OpenShell(ctx, req) })
	switch {
	case err != nil:
		return err
	case idOnly:
		return a.print(oneLine(shell.ShellID) + "\n")
	}
	return a.tell(tag, shell, shell)
}

// tell shows an answer about a shell: to programs all of it, to people a line beside the
// output of the guest.
func (a *app) tell(tag string, answer any, s *api.Shell) error {
	if a.json {
		return a.printJSON(answer)
	}
	a.say("[%s] workspace_id=%s shell_id=%s state=%s cwd=%s cols=%d rows=%d execution_mode=%s",
		tag, s.WorkspaceID, s.ShellID, s.State, s.Cwd, s.Cols, s.Rows, s.ExecutionMode)
	return nil
}

func (a *app) shellReadCommand() *cobra.Command {
	var (
		cursor, idle int
		req          api.ShellReadRequest
	)
	cmd := &cobra.Command{
		Use:   "read WORKSPACE_ID SHELL_ID",
		Short: "show what a shell has printed",
		Long: `Shows what a shell has printed since a cursor, and says from where to go on: the
next_cursor of one read is the --cursor of the next. Cursors count characters since
the shell began. Of what was printed the last 4 MiB are kept; skipped_chars says how
much of what was asked for is lost.

With --plain it is what a terminal would show; without, control sequences and all,
save that on a terminal here they are not obeyed. --wait-for-idle-ms waits until the
shell has printed nothing for so long, which is when a command is probably done.`,
		Example: `  pyro workspace shell read 0123456789ab 9f3c21d07b44 --plain --wait-for-idle-ms 300
  pyro workspace shell read 0123456789ab 9f3c21d07b44 --cursor 1024 --json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Cursor = int64(cursor)
			if cmd.Flags().Changed("wait-for-idle-ms") {
				req.WaitForIdleMS = &idle
			}
			if req.MaxChars == 0 { // typed: not the default
				req.MaxChars = -1
				return invalid("max_chars is 0, it must be greater than 0", "choose a value in that range")
			}
			if err := req.Check(); err != nil {
				return err
			}
			return a.shellRead(cmd.Context(), args[0], args[1], req)
		},
		ValidArgsFunction: a.completeIDs(a.completeShells, api.StateStarted),
	}
	f := cmd.Flags()
	intFlag(f, &cursor, "cursor", "N", 0, "where to begin, 0 characters or more")
	intFlag(f, &req.MaxChars, "max-chars", "N", api.DefaultMaxChars, "how much to show, 1 character or more")
	f.BoolVar(&req.Plain, "plain", false, "show what a terminal would show")
	intFlag(f, &idle, "wait-for-idle-ms", "MS", 0, "wait for so long a silence, 1 to %d ms; 300 is usual", api.MaxIdleWaitMS)
	a.jsonFlag(f)
	return cmd
}

func (a *app) shellRead(ctx context.Context, id, shell string, req api.ShellReadRequest) error {
	const tag = "workspace-shell-read"
	r, err := awaitOf(ctx, a, tag, id, func(ctx context.Context, ws workspace) (*api.ShellRead, error) {
		return ws.ReadShell(ctx, shell, req)
	})
	switch {
	case err != nil:
		return err
	case a.json:
		return a.printJSON(r)
	}
	if err := a.pass(a.Stdout, "stdout", r.Output); err != nil {
		return err
	}
	line := fmt.Sprintf("[%s] workspace_id=%s shell_id=%s state=%s cursor=%d next_cursor=%d truncated=%s plain=%s wait_for_idle_ms=%s execution_mode=%s",
		tag, r.WorkspaceID, r.ShellID, r.State, r.Cursor, r.NextCursor, trueFalse(r.Truncated), trueFalse(r.Plain), noneOr(r.WaitForIdleMS), r.ExecutionMode)
	if r.SkippedChars > 0 {
		line += fmt.Sprintf(" skipped_chars=%d", r.SkippedChars)
	}
	a.say("%s", line)
	return nil
}

// trueFalse and noneOr are written as scripts know them from the line of a read.
func trueFalse(b bool) string {
	if b {
		return "True"
	}
	return "False"
}

func noneOr(n *int) string {
	if n == nil {
		return "None"
	}
	return fmt.Sprint(*n)
}

func (a *app) shellWriteCommand() *cobra.Command {
	var (
		req       api.ShellWriteRequest
		noNewline bool
	)
	cmd := &cobra.Command{
		Use:   "write WORKSPACE_ID SHELL_ID",
		Short: "type into a shell",
		Long: `Types a text into a shell, and the Enter key after it. It says nothing about what
comes of that: read does.`,
		Example: `  pyro workspace shell write 0123456789ab 9f3c21d07b44 --input 'cd src && make'
  pyro workspace shell write 0123456789ab 9f3c21d07b44 --input y --no-newline
  pyro workspace shell write 0123456789ab 9f3c21d07b44 --input "$(printf '\003')" --no-newline`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("input") {
				return misuse(cmd, "the following arguments are required: --input")
			}
			req.AppendNewline = !noNewline
			return a.shellWrite(cmd.Context(), args[0], args[1], req)
		},
		ValidArgsFunction: a.completeIDs(a.completeShells, api.StateStarted),
	}
	f := cmd.Flags()
	f.Var(textValue{&req.Input, "TEXT"}, "input", "what to type; required")
	f.BoolVar(&noNewline, "no-newline", false, "do not press Enter after it")
	a.jsonFlag(f)
	return cmd
}

func (a *app) shellWrite(ctx context.Context, id, shell string, req api.ShellWriteRequest) error {
	const tag = "workspace-shell-write"
	w, err := awaitOf(ctx, a, tag, id, func(ctx context.Context, ws workspace) (*api.ShellWrite, error) {
		return ws.WriteShell(ctx, shell, req)
	})
	if err != nil {
		return err
	}
	return a.tell(tag, w, &w.Shell)
}

func (a *app) shellSignalCommand() *cobra.Command {
	signal := "INT"
	cmd := &cobra.Command{
		Use:   "signal WORKSPACE_ID SHELL_ID",
		Short: "send a signal to what runs in a shell",
		Long: `Sends a signal to the job in the foreground of a shell, as Ctrl-C does, or to the
shell itself where nothing runs in it.`,
		Example: `  pyro workspace shell signal 0123456789ab 9f3c21d07b44
  pyro workspace shell signal 0123456789ab 9f3c21d07b44 --signal KILL`,
		RunE: func(cmd *cobra.Command, args []string) error {
			const tag = "workspace-shell-signal"
			s, err := awaitOf(cmd.Context(), a, tag, args[0], func(ctx context.Context, ws workspace) (*api.ShellSignal, error) {
				return ws.SignalShell(ctx, args[1], signal)
			})
			if err != nil {
				return err
			}
			return a.tell(tag, s, &s.Shell)
		},
		ValidArgsFunction: a.completeIDs(a.completeShells, api.StateStarted),
	}
	f := cmd.Flags()
	f.Var(choiceValue{&signal, "SIGNAL", api.ShellSignals}, "signal", "HUP, INT, TERM or KILL")
	a.jsonFlag(f)
	_ = cmd.RegisterFlagCompletionFunc("signal", cobra.FixedCompletions(api.ShellSignals, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (a *app) shellResizeCommand() *cobra.Command {
	var size api.TerminalSize
	cmd := &cobra.Command{
		Use:     "resize WORKSPACE_ID SHELL_ID",
		Short:   "change the size of a shell's terminal",
		Long:    `Changes the size of a shell's terminal. What draws on it is told.`,
		Example: `  pyro workspace shell resize 0123456789ab 9f3c21d07b44 --cols 200 --rows 50`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("cols") || !cmd.Flags().Changed("rows") {
				return misuse(cmd, "the following arguments are required: --cols, --rows")
			}
			const tag = "workspace-shell-resize"
			s, err := awaitOf(cmd.Context(), a, tag, args[0], func(ctx context.Context, ws workspace) (*api.Shell, error) {
				return ws.ResizeShell(ctx, args[1], size)
			})
			if err != nil {
				return err
			}
			return a.tell(tag, s, s)
		},
		ValidArgsFunction: a.completeIDs(a.completeShells, api.StateStarted),
	}
	f := cmd.Flags()
	intFlag(f, &size.Cols, "cols", "N", 0, "width, 1 to %d characters; required", api.MaxTerminal)
	intFlag(f, &size.Rows, "rows", "N", 0, "height, 1 to %d lines; required", api.MaxTerminal)
	a.jsonFlag(f)
	return cmd
}

func (a *app) shellCloseCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "close WORKSPACE_ID SHELL_ID",
		Short: "end a shell and all that runs in it",
		Long: `Ends a shell with HUP, as a terminal that is closed does, and with KILL where that
does not help within five seconds. What it printed is gone with it.`,
		Example: `  pyro workspace shell close 0123456789ab 9f3c21d07b44`,
		RunE: func(cmd *cobra.Command, args []string) error {
			const tag = "workspace-shell-close"
			s, err := awaitOf(cmd.Context(), a, tag, args[0], func(ctx context.Context, ws workspace) (*api.ShellClose, error) {
				return ws.CloseShell(ctx, args[1])
			})
			if err != nil {
				return err
			}
			return a.tell(tag, s, &s.Shell)
		},
		ValidArgsFunction: a.completeIDs(a.completeShells, api.StateStarted),
	}
	a.jsonFlag(cmd.Flags())
	return cmd
}

func (a *app) shellListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list WORKSPACE_ID",
		Short:   "show the shells of a workspace, the oldest first",
		Long:    `Shows a line for each shell that was opened and not closed.`,
		Example: "  pyro workspace shell list 0123456789ab\n  pyro workspace shell list 0123456789ab --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := awaitOf(cmd.Context(), a, "workspace-shell-list", args[0], func(ctx context.Context, ws workspace) (*api.ShellList, error) {
				return ws.Shells(ctx)
			})
			if err != nil {
				return err
			}
			return a.show(list, func() string { return shellLines(list) })
		},
		ValidArgsFunction: a.completeIDs(nil),
	}
	a.jsonFlag(cmd.Flags())
	return cmd
}

// shellLines is a list, one line a shell.
func shellLines(list *api.ShellList) string {
	if len(list.Shells) == 0 {
		return "No workspace shells found.\n"
	}
	p := &page{}
	for _, s := range list.Shells {
		line := fmt.Sprintf("%s [%s] cwd=%s cols=%d rows=%d", s.ShellID, s.State, s.Cwd, s.Cols, s.Rows)
		if s.ExitCode != nil {
			line += fmt.Sprintf(" exit_code=%d", *s.ExitCode)
		}
		p.line("%s", line)
	}
	return p.String()
}
