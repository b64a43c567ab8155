package agent

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// How long one probe may take.
const (
	tcpProbe     = time.Second
	httpProbe    = 2 * time.Second
	commandProbe = 10 * time.Second
	maxRedirects = 10
)

// readiness is how one finds out whether a service can be used.
type readiness struct {
	probe    func(ctx context.Context) bool
	timeout  time.Duration
	interval time.Duration
}

// probeOf is the readiness that a request asks for; nil: it is ready at once.
func (a *agent) probeOf(s *service, req *wire.StartServiceRequest) (*readiness, error) {
	seconds, millis := int64(req.ReadyTimeoutSeconds), int64(req.ReadyIntervalMS)
	if seconds <= 0 || millis <= 0 {
		return nil, &api.Error{Kind: api.Invalid, Err: fmt.Errorf("ready_timeout_seconds is %d and ready_interval_ms %d, both must be greater than 0", seconds, millis)}
	}
	if req.Readiness == nil {
		return nil, nil
	}
	probe, err := a.probe(s, *req.Readiness)
	if err != nil {
		return nil, err
	}
	return &readiness{
		probe:    probe,
		timeout:  time.Duration(min(seconds, int64(maxTimeout/time.Second))) * time.Second,
		interval: time.Duration(min(millis, maxTimeout.Milliseconds())) * time.Millisecond,
	}, nil
}

func (a *agent) probe(s *service, r wire.Readiness) (func(context.Context) bool, error) {
	invalid := func(format string, args ...any) (func(context.Context) bool, error) {
		return nil, &api.Error{Kind: api.Invalid, Err: fmt.Errorf("readiness: "+format, args...)}
	}
	switch string(r.Type) {
	case api.ReadyFile:
		p, err := parsePath(string(r.Path))
		if err != nil {
			return nil, err
		}
		path := filepath.Join(a.cfg.Workspace, p.rel)
		return func(context.Context) bool { _, err := os.Stat(path); return err == nil }, nil
	case api.ReadyTCP:
		if err := checkAddress(string(r.Address)); err != nil {
			return invalid("%w", err)
		}
		return func(ctx context.Context) bool { return answersTCP(ctx, string(r.Address)) }, nil
	case api.ReadyHTTP:
		u, err := url.Parse(string(r.URL))
		if err != nil || u.Scheme != "http" || u.Host == "" {
			return invalid("url %q is not of the form http://HOST[:PORT]/PATH", r.URL)
		}
		return func(ctx context.Context) bool { return answersHTTP(ctx, u) }, nil
	case api.ReadyCommand:
		if strings.TrimSpace(string(r.Command)) == "" {
			return invalid("the command is empty")
		}
		return func(ctx context.Context) bool { return a.succeeds(ctx, s, string(r.Command)) }, nil
	}
	return invalid("type %q is not one of file, tcp, http and command", r.Type)
}

// checkAddress wants HOST:PORT.
func checkAddress(address string) error {
	if !api.IsAddress(address) {
		return fmt.Errorf("address %q is not of the form HOST:PORT", address)
	}
	return nil
}

func answersTCP(ctx context.Context, address string) bool {
	conn, err := (&net.Dialer{Timeout: tcpProbe}).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// succeeds runs the command of a probe where the service runs, and as it does.
func (a *agent) succeeds(ctx context.Context, s *service, line string) bool {
	c := s.command
	c.argv, c.env, c.timeout = []string{shell, "-lc", line}, maps.Clone(c.env), commandProbe
	end, err := a.run(ctx, c, io.Discard, io.Discard, func(*process) {})
	return err == nil && end.code == 0
}

// answersHTTP reports whether a GET ends with a status from 200 to 399. By hand: the
// standard library's client would be two thirds of this program.
func answersHTTP(ctx context.Context, u *url.URL) bool {
	ctx, cancel := context.WithTimeout(ctx, httpProbe)
	defer cancel()
	for range maxRedirects {
		status, location, err := get(ctx, u)
		if err != nil || status < 200 || status > 399 {
			return false
		}
		if status < 300 || location == "" {
			return true
		}
		next, err := u.Parse(location)
		if err != nil || next.Scheme != "http" {
			return false
		}
		u = next
	}
	return false
}

// maxHead bounds the head of a response, in bytes.
const maxHead = 64 << 10

// get asks for a URL and reads the head of the response (RFC 9112).
func get(ctx context.Context, u *url.URL) (status int, location string, err error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "80")))
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = conn.Close() }()
	if end, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(end)
	}
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: pyro\r\nAccept: */*\r\nConnection: close\r\n\r\n", u.RequestURI(), u.Host)
	if err != nil {
		return 0, "", err
	}
	return readHead(bufio.NewReader(io.LimitReader(conn, maxHead)))
}

func readHead(r *bufio.Reader) (status int, location string, err error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return 0, "", err
	}
	version, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	code, _, _ := strings.Cut(rest, " ")
	status, err = strconv.Atoi(code)
	if err != nil || !strings.HasPrefix(version, "HTTP/1.") {
		return 0, "", fmt.Errorf("no status line: %q", line)
	}
	for {
		line, err = r.ReadString('\n')
		if line = strings.TrimSpace(line); line == "" || err != nil {
			return status, location, nil // as it came; what follows does not matter
		}
		if strings.ContainsRune(line, '\r') { // RFC 9112, 2.2: no line ends in one alone
			return 0, "", fmt.Errorf("a carriage return amid the header line %q", line)
		}
		if name, value, _ := strings.Cut(line, ":"); strings.EqualFold(name, "location") {
			location = strings.TrimSpace(value)
		}
	}
}
