package pyro

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/source"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// Variables that say where workspaces are if not on this machine.
const (
	envURL       = "PYRO_URL"
	envToken     = "PYRO_TOKEN"
	envTokenFile = "PYRO_TOKEN_FILE"
	envCAFile    = "PYRO_CA_FILE"
)

const (
	remoteTime = 15 * time.Minute // to what a server does with a whole workspace
	idleConns  = 16
	idleConn   = 30 * time.Second
	maxToken   = 4 << 10
)

// remote is a server that has workspaces in place of this machine. What it answers is
// what a supervisor answers: it stands before them.
type remote struct {
	url     *url.URL // http or https, with nothing but the host
	shown   string   // what the user called it
	socket  string   // of unix://
	token   string
	roots   *x509.CertPool // nil: those of the system
	http    *http.Client
	greeted atomic.Bool
}

// findRemote reads which server is wanted; nil: none.
func findRemote(opts *Options, env environ) (*remote, error) {
	shown := cmp.Or(opts.URL, env.get(envURL))
	if shown == "" {
		return nil, nil
	}
	r := &remote{shown: shown}
	var err error
	if r.token, err = findToken(opts.Token, env); err != nil {
		return nil, err
	}
	if err := r.parse(); err != nil {
		return nil, &api.Error{Kind: api.Invalid, Op: "use server " + clipURL(shown), Hint: "use unix:///PATH, https://HOST:PORT, or http://127.0.0.1:PORT", Err: err}
	}
	if r.roots, err = findRoots(env.get(envCAFile)); err != nil {
		return nil, &api.Error{Kind: api.Invalid, Op: "read " + envCAFile, Hint: "name a file with certificates in PEM", Err: err}
	}
	transport := transportOver(r.dialPlain)
	transport.DialTLSContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return r.dial(ctx) }
	transport.DisableKeepAlives, transport.MaxIdleConnsPerHost, transport.IdleConnTimeout = false, idleConns, idleConn
	r.http = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return r, nil
}

func (r *remote) parse() error {
	u, err := url.Parse(r.shown)
	if err != nil {
		return errors.New("it is no URL")
	}
	switch {
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("a user, a query and a fragment have no place in it")
	case u.Scheme == "unix" && u.Host == "" && strings.HasPrefix(u.Path, "/"):
		r.socket, r.url = u.Path, &url.URL{Scheme: "http", Host: "pyro"}
		return nil
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return errors.New("its scheme is none that is served, or the rest is missing")
	case u.Path != "" && u.Path != "/":
		return errors.New("a path has no place in it")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return errors.New("over a network it has to be https: everybody on the way could read the token")
	}
	r.url = &url.URL{Scheme: u.Scheme, Host: u.Host}
	return nil
}

func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// clipURL shows a URL without whatever may log in there.
func clipURL(text string) string {
	if u, err := url.Parse(text); err == nil {
		return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
	}
	return strconv.QuoteToASCII(text[:min(len(text), 80)])
}

// findToken reads the token for a server: as it was given, else from the environment.
func findToken(given string, env environ) (string, error) {
	token := cmp.Or(given, env.get(envToken))
	file := env.get(envTokenFile)
	if token != "" || file == "" {
		return token, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return "", &api.Error{Kind: api.Invalid, Op: "read " + envTokenFile, Hint: "name a file with nothing but the token", Err: err}
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	if token = strings.TrimSpace(string(text)); err != nil || token == "" || len(text) > maxToken {
		return "", &api.Error{Kind: api.Invalid, Op: "read " + envTokenFile, Hint: "name a file with nothing but the token", Err: cmp.Or(err, errors.New("there is no token in it"))}
	}
	return token, nil
}

// findRoots adds the certificates of a file to those that the system trusts.
func findRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate", file)
	}
	return roots, nil
}

// isElsewhere reports whether paths of the server are none of this machine. It may be
// asked of no server.
func (r *remote) isElsewhere() bool { return r != nil && r.socket == "" }

// stateDir is the place for what this machine notes, made if it is missing.
func (c *Client) stateDir() (string, error) {
	if c.remote == nil {
		return c.dirs.State, nil
	}
	_, err := store.Open(c.dirs)
	return c.dirs.State, err
}

// control speaks of one workspace with the server; of none in particular with an empty id.
func (r *remote) control(id string) *control {
	return &control{id: id, remote: r, http: r.http, greeted: &r.greeted}
}

// address is where the server has what a supervisor has at a path.
func (r *remote) address(id, path string) string {
	if id != "" && path != "/v1/hello" {
		below := strings.TrimPrefix(path, "/v1")
		if rest, ok := strings.CutPrefix(below, "/workspace"); ok && (rest == "" || rest[0] == '?') {
			below = rest
		}
		path = "/v1/workspaces/" + url.PathEscape(id) + below
	}
	return r.url.String() + path
}

// introduce shows the token.
func (r *remote) introduce(request *http.Request) {
	if r.token != "" {
		request.Header.Set("Authorization", "Bearer "+r.token)
	}
}

// errUnreached is in the chain where nobody answers at the server's address.
var errUnreached = errors.New("no pyro serves there")

func (r *remote) dialPlain(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTime}
	network, address := "unix", r.socket
	if r.socket == "" {
		port := cmp.Or(r.url.Port(), map[string]string{"http": "80", "https": "443"}[r.url.Scheme])
		network, address = "tcp", net.JoinHostPort(r.url.Hostname(), port)
	}
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnreached, err)
	}
	return conn, nil
}

func (r *remote) dial(ctx context.Context) (net.Conn, error) {
	plain, err := r.dialPlain(ctx)
	if err != nil || r.url.Scheme != "https" {
		return plain, err
	}
	conn := tls.Client(plain, &tls.Config{ServerName: r.url.Hostname(), RootCAs: r.roots, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
	bounded, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	if err := conn.HandshakeContext(bounded); err != nil {
		_ = plain.Close()
		return nil, fmt.Errorf("%w: %w", errUnreached, err)
	}
	return conn, nil
}

// failed is the error of a question that the server did not answer.
func (r *remote) failed(op, id string, err error) error {
	hint := "try again; workspaces live on without the server"
	if errors.Is(err, errUnreached) {
		hint = "start `pyro serve` there, or check its address"
	} else {
		err = fmt.Errorf("the server is gone: %w", err)
	}
	return &api.Error{Kind: api.Unavailable, Op: op, ID: id, Hint: hint, Err: fmt.Errorf("%s: %w", clipURL(r.shown), err)}
}

// askRemote is ask of what is about no one workspace; a body that is nil is none.
func askRemote[T any](ctx context.Context, r *remote, q question, body any) (*T, error) {
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, api.About(q.op, "", err)
		}
		q.body = data
	}
	q.within, q.limit = cmp.Or(q.within, remoteTime), cmp.Or(q.limit, maxReply)
	return ask[T](ctx, r.control(""), q)
}

// Doctor asks the server of Options.URL what its machine can run and what it lacks. Where
// there is none it is api.Unsupported: `pyro doctor` looks at this machine.
func (c *Client) Doctor(ctx context.Context, req api.DoctorRequest) (*api.Doctor, error) {
	const op = "doctor"
	switch {
	case c.remote == nil:
		return nil, &api.Error{Kind: api.Unsupported, Op: op, Hint: "`pyro doctor` looks at this machine", Err: errors.New("there is no server that could be asked")}
	case req.Fix:
		return nil, &api.Error{Kind: api.Unsupported, Op: op, Hint: "run `pyro doctor --fix` on the machine itself", Err: errors.New("a machine is not repaired from afar")}
	}
	query := url.Values{"environment": {req.Environment}}
	return askRemote[api.Doctor](ctx, c.remote, question{op: op, method: http.MethodGet, path: "/v1/doctor?" + query.Encode()}, nil)
}

func ofVM(op, method, id, below string) question {
	return question{op: op, method: method, path: "/v1/vms/" + url.PathEscape(id) + below}
}

func (r *remote) get(ctx context.Context, c *Client, id string) (*Workspace, error) {
	if err := api.CheckID(id); err != nil {
		return nil, api.About("find workspace", "", err)
	}
	ws := c.attach(id, nil)
	seen, err := ws.Status(ctx)
	if err != nil {
		return nil, err
	}
	ws.seen = seen
	return ws, nil
}

func (r *remote) start(ctx context.Context, c *Client, id string, req api.StartRequest) (*Workspace, error) {
	if err := api.CheckID(id); err != nil {
		return nil, api.About(opStart, "", err)
	}
	ws := c.attach(id, nil)
	now, err := send[api.Workspace](ctx, ws, question{op: opStart, method: http.MethodPost, path: "/v1/start", within: remoteTime, limit: maxReply}, req)
	if err != nil {
		return nil, err
	}
	ws.seen = now
	return ws, nil
}

// create makes a workspace there, and sends what it begins with.
func (r *remote) create(ctx context.Context, c *Client, launch workspace.Launch, seed *source.Source) (*Workspace, error) {
	q := question{op: opCreate, method: http.MethodPost, path: "/v1/workspaces", within: remoteTime, limit: maxReply}
	request, err := json.Marshal(launch.Request)
	if err != nil {
		return nil, api.About(opCreate, "", err)
	}
	query := url.Values{}
	if launch.Lease {
		query.Set("lease", "true")
	}
	q.body = request
	packed := func() error { return nil }
	if seed != nil {
		query.Set("packed_at", launch.PackedAt.String())
		q.body, q.within = nil, treeTime
		packed = r.pack(ctx, &q, request, seed)
	}
	q.path += "?" + query.Encode()
	made, lease, err := r.await(ctx, q, launch.Lease)
	if packErr := packed(); packErr != nil && (err == nil || !errors.Is(packErr, io.ErrClosedPipe)) {
		err = api.About(opCreate, "", packErr)
	}
	if err != nil {
		if lease != nil {
			_ = lease.Close()
		}
		return nil, err
	}
	ws := c.attach(made.WorkspaceID, made)
	ws.lease = lease
	return ws, nil
}

// await puts the question, and keeps its answer open where that is a lease.
func (r *remote) await(ctx context.Context, q question, leased bool) (*api.Workspace, io.Closer, error) {
	if !leased {
		made, err := ask[api.Workspace](ctx, r.control(""), q)
		return made, nil, err
	}
	made, release, err := hold[api.Workspace](ctx, r.control(""), q)
	if err != nil {
		return nil, nil, err
	}
	return made, closer(release), nil
}

// closer is a function as an io.Closer.
type closer func()

// Close implements io.Closer.
func (c closer) Close() error { c(); return nil }

// pack makes the question's body: the request, the seed, and how many special files are
// not in it. What is returned waits for the end of the packing and says how it went.
func (r *remote) pack(ctx context.Context, q *question, request []byte, seed *source.Source) func() error {
	read, write := io.Pipe()
	form := multipart.NewWriter(write)
	q.stream, q.media = read, form.FormDataContentType()
	packed := make(chan error, 1)
	go func() { // ends with the seed, or when the pipe is closed
		err := writeForm(ctx, form, request, seed)
		_ = write.CloseWithError(err)
		packed <- err
	}()
	return func() error {
		_ = read.CloseWithError(errReaderGone)
		return <-packed
	}
}

func writeForm(ctx context.Context, form *multipart.Writer, request []byte, seed *source.Source) error {
	part, err := form.CreatePart(formPart("request", "application/json"))
	if err != nil {
		return err
	}
	if _, err := part.Write(request); err != nil {
		return err
	}
	if part, err = form.CreatePart(formPart("seed", "application/x-tar")); err != nil {
		return err
	}
	out := bufio.NewWriterSize(part, seedPiece)
	counts, err := seed.Pack(ctx, out)
	if err == nil {
		err = out.Flush()
	}
	if err == nil {
		err = form.WriteField("skipped", strconv.Itoa(counts.Skipped))
	}
	if err != nil {
		return err
	}
	return form.Close()
}

func formPart(name, media string) textproto.MIMEHeader {
	return textproto.MIMEHeader{"Content-Disposition": {`form-data; name="` + name + `"`}, "Content-Type": {media}}
}
