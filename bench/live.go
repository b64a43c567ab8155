package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// keystroke is a key typed into an attached shell until its echo is there, against a
// request and answer on the bare channel.
func keystroke(ctx context.Context, b *bench) (r result, err error) {
	err = b.within(ctx, func(ws *pyro.Workspace) error {
		shell, err := ws.OpenShell(ctx, api.ShellOpenRequest{})
		if err != nil {
			return err
		}
		keys, typing := io.Pipe()
		echo, shown := io.Pipe()
		attached, detach := context.WithCancel(ctx)
		ended := make(chan struct{})
		go func() { // ends with attached
			defer close(ended)
			_, err := ws.AttachShell(attached, shell.ShellID, pyro.ShellAttachment{Stdin: keys, Stdout: shown, Cursor: -1})
			_ = shown.CloseWithError(errors.Join(err, io.ErrClosedPipe))
		}()
		defer func() {
			detach()
			_, _ = typing.Close(), echo.Close()
			<-ended
		}()
		if err := settle(typing, echo); err != nil {
			return err
		}
		buf := make([]byte, 4096)
		press := func(context.Context) (time.Duration, error) {
			began := time.Now()
			if _, err := io.WriteString(typing, "x"); err != nil {
				return 0, err
			}
			_, err := echo.Read(buf)
			return time.Since(began), err
		}
		client := wire.Client{Dial: wire.Bridge(*ws.Seen().AgentSocket)}
		hello := func(ctx context.Context) (time.Duration, error) {
			began := time.Now()
			_, err := client.Hello(ctx)
			return time.Since(began), err
		}
		sides, err := inTurns(ctx, 5*b.n, press, hello)
		if err != nil {
			return err
		}
		r = compared(sides[0], sides[1])
		r.What, r.Command, r.Target = "SDK: a key typed into an attached shell, until its echo", "hello over agent.sock", "p50 <= 2"
		return nil
	})
	return r, err
}

// settle waits until a shell has said that it is ready, and takes keys one by one.
func settle(typing io.Writer, echo io.Reader) error {
	if _, err := io.WriteString(typing, "stty -icanon min 1; echo rea''dy; exec cat >/dev/null\n"); err != nil {
		return err
	}
	seen, buf := "", make([]byte, 4096)
	for !strings.Contains(seen, "ready\r\n") {
		n, err := echo.Read(buf)
		if err != nil {
			return err
		}
		seen += string(buf[:n])
	}
	return nil
}

// serviceStop is the end of a service that obeys.
func serviceStop(ctx context.Context, b *bench) (r result, err error) {
	err = b.within(ctx, func(ws *pyro.Workspace) error {
		sides, err := inTurns(ctx, b.n, func(ctx context.Context) (time.Duration, error) {
			if _, err := ws.StartService(ctx, api.ServiceStartRequest{ServiceName: "x", Argv: []string{"sleep", "1000"}}); err != nil {
				return 0, err
			}
			began := time.Now()
			_, err := ws.StopService(ctx, "x")
			return time.Since(began), err
		})
		if err != nil {
			return err
		}
		r = result{N: b.n, What: "SDK: stop of a service that obeys", Figures: figures("stop", sides[0], "<= 300 ms")}
		return nil
	})
	return r, err
}

// portBytes are sent by the guest on each connection that asks for them.
const portBytes = 50_000_000

// portServer sends one byte to whoever says 1, and portBytes to all others.
const portServer = `import socket, threading
big = bytes(1 << 20)
def serve(c):
    n = 1 if c.recv(1) == b"1" else %d
    while n > 0:
        c.sendall(big[:min(n, len(big))]); n -= len(big)
    c.close()
s = socket.create_server(("127.0.0.1", 8000), backlog=100)
while True:
    threading.Thread(target=serve, args=(s.accept()[0],)).start()`

// port is a published port: bytes and new connections, against the tunnel alone.
func port(ctx context.Context, b *bench) (r result, err error) {
	err = b.within(ctx, func(ws *pyro.Workspace) error {
		service, err := ws.StartService(ctx, api.ServiceStartRequest{
			ServiceName: "port", Argv: []string{"python3", "-c", fmt.Sprintf(portServer, portBytes)},
			Readiness: &api.Readiness{Type: api.ReadyTCP, Address: "127.0.0.1:8000"}, ReadyIntervalMS: 50,
			Publish: []api.PublishRequest{{GuestPort: 8000}},
		})
		if err != nil {
			return err
		}
		if service.State != api.ServiceRunning {
			return fmt.Errorf("the server is %s", service.State)
		}
		published := net.JoinHostPort("127.0.0.1", strconv.Itoa(service.PublishedPorts[0].HostPort))
		through := func(word string) side {
			return fetch(word, func(ctx context.Context) (io.ReadWriteCloser, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", published)
			})
		}
		client := wire.Client{Dial: wire.Bridge(*ws.Seen().AgentSocket)}
		bare := func(word string) side {
			return fetch(word, func(ctx context.Context) (io.ReadWriteCloser, error) { return client.DialTunnel(ctx, "127.0.0.1:8000") })
		}
		stream := func(ctx context.Context) (time.Duration, error) {
			return ask(ctx, wire.Bridge(*ws.Seen().AgentSocket), "head", "-c", strconv.Itoa(portBytes), "/dev/zero")
		}
		bulk, err := inTurns(ctx, min(b.n, 5), through("a"), bare("a"), stream)
		if err != nil {
			return err
		}
		short, err := inTurns(ctx, b.n, through("1"), bare("1"))
		if err != nil {
			return err
		}
		r = compared(short[0], short[1])
		r.What, r.Command, r.Target = "a new connection to a published port, until its first byte", "the agent's dial over agent.sock", "p50 <= 2"
		for i, name := range []string{"published port", "the agent's dial", "the agent's stream of a command"} {
			r.Figures = append(r.Figures, figure{name, portBytes / 1000 / summary(bulk[i]).P50, "MB/s", ""})
		}
		r.Figures = append(r.Figures, figure{"published port / stream of a command", summary(bulk[2]).P50 / summary(bulk[0]).P50, "", ">= 0.6"})
		return nil
	})
	return r, err
}

// fetch connects, says a word, and reads all that comes.
func fetch(word string, connect func(context.Context) (io.ReadWriteCloser, error)) side {
	return func(ctx context.Context) (time.Duration, error) {
		began := time.Now()
		conn, err := connect(ctx)
		if err != nil {
			return 0, err
		}
		defer func() { _ = conn.Close() }()
		if _, err := io.WriteString(conn, word); err != nil {
			return 0, err
		}
		n, err := io.Copy(io.Discard, conn)
		if err == nil && n == 0 {
			err = io.ErrUnexpectedEOF
		}
		return time.Since(began), err
	}
}
