package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/pyro-sandbox/pyro/api"
)

// Serve is the server of the HTTP API, handed in like Doctor. It serves until its context
// ends, and tells where when it takes callers.
type Serve func(ctx context.Context, asked ServeRequest, ready func(url, madeUpToken string) error) error

// ServeRequest is what a server was asked for. Empty texts are the defaults.
type ServeRequest struct {
	Listen          string // unix:PATH or HOST:PORT
	Private         bool   // on a socket of its own, in place of Listen
	TokenFile       string
	TLSCert, TLSKey string
	Rate            int // requests a second; 0: the default, negative: no limit
	LogJSON         bool
	Quiet           bool // no line for each request
	NoMCP           bool
}

func (a *app) serveCommand() *cobra.Command {
	var s ServeRequest
	format := "text"
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "serve workspaces over HTTP, to programs here or elsewhere",
		Long: `Serves the HTTP API until a signal comes: on a socket that its owner alone can use, or
with --listen HOST:PORT to whoever shows the token. That is the one in --token-file
or PYRO_SERVE_TOKEN, else one that is made up and printed. Whoever has it can run
commands and read whatever they print. Beyond this machine it takes a certificate.

Other commands use it with --url URL or PYRO_URL. It also answers at /mcp, and for
Prometheus at /metrics. When it ends, workspaces live on.`,
		Example: `  pyro serve
  pyro serve --listen unix:/run/user/1000/pyro.sock
  pyro serve --listen 127.0.0.1:8700 --token-file token
  pyro serve --listen 0.0.0.0:8700 --token-file token --tls-cert cert.pem --tls-key key.pem`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s.LogJSON = format == "json"
			return a.serve(cmd, s)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.Var(textValue{&s.Listen, "ADDRESS"}, "listen", "unix:PATH, or HOST:PORT (port 0: any free one); else a socket of the run directory")
	f.Var(pathValue{&s.TokenFile, "FILE"}, "token-file", "a file with the token")
	f.Var(pathValue{&s.TLSCert, "FILE"}, "tls-cert", "a certificate in PEM")
	f.Var(pathValue{&s.TLSKey, "FILE"}, "tls-key", "its key in PEM")
	intFlag(f, &s.Rate, "rate", "N", 0, "over TCP, 1 request or more a second; -1 for no limit")
	f.Lookup("rate").DefValue = strconv.Itoa(DefaultRate)
	f.Var(choiceValue{&format, "FORMAT", []string{"text", "json"}}, "log-format", "of the line for each request on stderr: text or json")
	f.BoolVar(&s.NoMCP, "no-mcp", false, "do not answer at /mcp")
	f.BoolVar(&s.Private, "private", false, "a socket of its own, until stdin ends; for the program that starts it")
	a.jsonFlag(f)
	f.Lookup("json").Usage = `print {"url": "..."} when it takes callers, and JSON for errors`
	_ = cmd.RegisterFlagCompletionFunc("log-format", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// DefaultRate is how many requests a second a server answers over TCP unless one says
// otherwise.
const DefaultRate = 1000

func (a *app) serve(cmd *cobra.Command, s ServeRequest) error {
	given := cmd.Flags().Changed
	switch {
	case s.Private && given("listen"):
		return misuse(cmd, "argument --private: not allowed with argument --listen")
	case given("tls-cert") != given("tls-key"):
		return misuse(cmd, "argument --tls-cert: needs argument --tls-key, and the other way round")
	case given("rate") && s.Rate == 0:
		return misuse(cmd, "argument --rate: nobody would be answered")
	}
	if a.ServeAPI == nil {
		return &api.Error{Kind: api.Unsupported, Op: "serve", Hint: "run it where sandboxes run"}
	}
	if s.Rate == 0 {
		s.Rate = DefaultRate
	}
	s.Quiet = s.Private
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	go func() { // ends with the command
		select {
		case <-a.Signals:
			cancel()
		case <-ctx.Done():
		}
	}()
	if s.Private {
		go func() { // ends with stdin, or the process
			_, _ = io.Copy(io.Discard, a.Stdin)
			cancel()
		}()
	}
	return a.ServeAPI(ctx, s, a.serves)
}

// serves tells where the server is. The token is said once, and where no log is kept of it:
// stdout is for programs.
func (a *app) serves(url, madeUp string) error {
	if a.json {
		ready := map[string]string{"url": url}
		if madeUp != "" {
			ready["token"] = madeUp
		}
		line, err := json.Marshal(ready)
		if err != nil {
			return err
		}
		return a.print(string(line) + "\n")
	}
	if madeUp != "" {
		fmt.Fprintf(a.Stderr, "token: %s\n", madeUp)
	}
	_, err := fmt.Fprintf(a.Stderr, "listening on %s\n", url)
	return err
}
