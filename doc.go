// Package pyro runs commands in disposable Linux workspaces.
//
// A workspace is one sandboxed machine with an id, a directory /workspace and a
// limited life. A program makes one, runs anything in it, looks at what came of it,
// and throws it away. What runs inside is walled off from the machine outside, by the
// engine that [Workspace.Seen] names; without a wall only where
// CreateOptions.AllowHostCompat consents to that.
//
// # A first program
//
//	client, err := pyro.Open(nil)
//	if err != nil {
//		return err
//	}
//	ws, err := client.Create(ctx, "host", nil)
//	if err != nil {
//		return err
//	}
//	defer ws.Delete(context.WithoutCancel(ctx))
//
//	cmd := ws.Command(ctx, "make", "test")
//	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
//	err = cmd.Run()
//
// There are two ways to run a command. [Workspace.Command] streams and has the
// shape of [os/exec.Cmd]: bytes arrive as they are written, without a limit, and a
// slow reader slows the command. [Workspace.Exec] returns once with everything,
// capped, and is what fits into one JSON value. [Client.Run] makes a workspace for
// a single command and leaves nothing behind.
//
// # What outlives a call
//
// [Workspace.OpenShell] gives a shell on a terminal that keeps its state, for programs
// that write and read and for people, by [Workspace.AttachShell].
// [Workspace.StartService] starts a program, returns when it is ready, and can publish
// its ports on this machine. Both live until they end, are ended, or the workspace
// stops, whatever becomes of the program that asked. [CreateOptions].Secrets and
// [Workspace.SetSecret] give values to commands, shells and services that are in no
// answer, record or log.
//
// # What does the work
//
// The package is a client. Every running workspace has a supervisor, a process of
// the pyro executable, that owns the sandbox and answers on a unix socket; the
// package starts supervisors and talks to them. So it needs the executable (see
// [Options]) but no daemon, no root and no configuration, and it compiles on
// systems that cannot run workspaces themselves. Programs in other languages and
// the command line see the same workspaces, in the same state directory.
//
// # Errors
//
// What goes wrong in pyro is an [api.Error] with a kind and a next step:
//
//	if errors.Is(err, api.NotFound) { … }
//	fmt.Println(api.HintOf(err))
//
// A command that ran and failed is no fault of pyro: Run and Wait return an
// [*ExitError] for it, and Exec just the exit code. When a context ends, the error
// has the kind api.Canceled or api.Timeout, and the context's own error in its
// chain. When a supervisor is lost in the middle of a call, the kind is
// api.Unavailable; the command may have run.
//
// # Concurrency
//
// A Client and a Workspace may be used by any number of goroutines, and any number
// of processes may use the same workspace at once. A Cmd belongs to one goroutine
// at a time, except for its Signal. No call keeps a connection, a goroutine or a
// descriptor after it has ended, and neither Client nor Workspace needs closing;
// the exception is a goroutine that reads a Stdin that never ends, see [Cmd].
//
// # What survives
//
// A workspace outlives the program that made it, until it is deleted or its time
// is over; [Client.Get] finds it again by its id. A command does not: it is killed
// when its context or the program ends. A workspace made with
// CreateOptions.OneShot ends with the program, even if that is killed, and also
// when the [Workspace] value is no longer used.
package pyro
