package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pyro-sandbox/pyro/api"
)

const eventsTag = "workspace-events"

func (a *app) eventsCommand() *cobra.Command {
	var after int
	var follow bool
	cmd := &cobra.Command{
		Use:     "events WORKSPACE_ID",
		Short:   "show what was done to a workspace and what happened in it",
		GroupID: groupLook,
		Long: `Shows a line for each event, the oldest first: commands that ended, services and
shells that changed, snapshots, resets, exports, secrets by name, starts and stops.
Times are those of this machine. The newest few thousand are kept, also while the
workspace is stopped; deleting it removes them. With --follow what comes is shown
until the workspace stops or Ctrl-C is typed. With --json each line is one event as
JSON.`,
		Example: `  pyro workspace events 0123456789ab
  pyro workspace events 0123456789ab --follow --json
  pyro workspace events 0123456789ab --after 41`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if after < 0 {
				return invalid(fmt.Sprintf("after is %d, allowed is 0 or more", after), "0 shows all events that are kept")
			}
			if follow {
				return a.followEvents(cmd.Context(), args[0], int64(after))
			}
			return a.events(cmd.Context(), args[0], int64(after))
		},
		ValidArgsFunction: a.completeIDs(nil),
	}
	f := cmd.Flags()
	intFlag(f, &after, "after", "N", 0, "leave out those up to number N, 1 event or more; 0: show all")
	f.BoolVar(&follow, "follow", false, "go on showing what comes")
	a.jsonFlag(f)
	return cmd
}

func (a *app) events(ctx context.Context, id string, after int64) error {
	list, err := awaitOf(ctx, a, eventsTag, id, func(ctx context.Context, ws workspace) (*api.EventList, error) {
		return ws.Events(ctx, after)
	})
	switch {
	case err != nil:
		return err
	case !a.json && len(list.Events) == 0:
		return a.print("No workspace events found.\n")
	}
	for _, e := range list.Events {
		if err := a.event(e); err != nil {
			return err
		}
	}
	return nil
}

// followEvents shows events as they come. A signal ends that, and is no error.
func (a *app) followEvents(ctx context.Context, id string, after int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ws, err := await(ctx, a, eventsTag, func(ctx context.Context) (workspace, error) { return a.get(ctx, id) })
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- ws.FollowEvents(ctx, after, a.event) }() // ends with ctx, unless our own output is stuck
	select {
	case s := <-a.Signals:
		_, code := signalOf(s)
		return &leaving{code: code}
	case <-a.readerGone(ctx):
		return errUnread
	case err := <-ended:
		return err
	}
}

// event prints one event, in a line.
func (a *app) event(e api.Event) error {
	if !a.json {
		return a.print(eventLine(e))
	}
	var line bytes.Buffer
	if err := api.Encode(&line, e); err != nil {
		return err
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, line.Bytes()); err != nil {
		return err
	}
	return a.print(compact.String() + "\n")
}

// eventLine is an event for people: when, what, and the words that it has.
func eventLine(e api.Event) string {
	p := &page{}
	p.line("#%d %s %s%s", e.Sequence, date(e.At), e.Kind, eventWords(e))
	return p.String()
}

// eventWords are the fields that an event has, each after a blank.
func eventWords(e api.Event) string {
	var b strings.Builder
	text := func(key string, value *string) {
		if value != nil && *value != "" {
			fmt.Fprintf(&b, " %s=%s", key, quoteWord(*value))
		}
	}
	text("name", e.Name)
	text("state", e.State)
	text("reason", e.Reason)
	figure(&b, "command_sequence", e.CommandSequence)
	figure(&b, "exit_code", e.ExitCode)
	figure(&b, "duration_ms", e.DurationMS)
	text("path", e.Path)
	text("host_path", e.HostPath)
	figure(&b, "entries", e.Entries)
	figure(&b, "bytes", e.Bytes)
	text("command", e.Command)
	text("detail", e.Detail)
	return b.String()
}

func figure[N int | int64](b *strings.Builder, key string, value *N) {
	if value != nil {
		fmt.Fprintf(b, " %s=%d", key, *value)
	}
}

// quoteWord is a text as one word of a line.
func quoteWord(text string) string {
	if strings.ContainsAny(text, " \t\r\n'\"\\") {
		return quote(text)
	}
	return text
}
