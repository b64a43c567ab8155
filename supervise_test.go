package pyro

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/wire"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// The test binary plays `pyro supervise ID` where envRole says how. What it wants
// to tell the test it writes as files into envMarks.
const (
	envRole  = "PYRO_TEST_ROLE"
	envMarks = "PYRO_TEST_MARKS"
)

// The roles.
const (
	roleServe   = "serve"   // makes a workspace and serves it until it is deleted or its lease ends
	roleRefuse  = "refuse"  // answers with an error
	roleDie     = "die"     // ends before it answers
	roleKilled  = "killed"  // is killed before it answers
	roleHang    = "hang"    // never answers; ends when the client hangs up
	roleLate    = "late"    // answers after the client has hung up
	roleGarbage = "garbage" // answers with something else
	roleHeld    = "held"    // says that somebody else is at the workspace
	roleSeed    = "seed"    // tells as an error what came as a seed
	roleFull    = "full"    // refuses after the first piece of a seed
)

func TestMain(m *testing.M) {
	if role := os.Getenv(envRole); role != "" {
		if err := superviseAs(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// superviseAs plays a supervisor to its end.
func superviseAs(role string) error {
	if len(os.Args) != 3 || os.Args[1] != "supervise" {
		return fmt.Errorf("arguments %q", os.Args)
	}
	file := os.NewFile(3, "client")
	conn, err := net.FileConn(file)
	if err != nil {
		return err
	}
	_ = file.Close()
	in := bufio.NewReader(conn)
	line, err := in.ReadString('\n')
	if err != nil {
		return err
	}
	if err := mark("asked"); err != nil {
		return err
	}
	switch role {
	case roleServe:
		return superviseWorkspace(conn, in, line)
	case roleRefuse:
		return tell(conn, workspace.Launched{Error: &api.ErrorReply{Error: "create workspace: no engine", Kind: api.Unsupported, Hint: "buy one"}})
	case roleHeld:
		return tell(conn, workspace.Launched{Held: true, Error: &api.ErrorReply{Error: "workspace is locked", Kind: api.Conflict}})
	case roleSeed:
		return tell(conn, workspace.Launched{Error: &api.ErrorReply{Error: describeSeed(in), Kind: api.Conflict}})
	case roleFull:
		if _, err := in.ReadByte(); err != nil {
			return err
		}
		return tell(conn, workspace.Launched{Error: &api.ErrorReply{Error: "no space left", Kind: api.Unavailable}})
	case roleKilled:
		self, err := os.FindProcess(os.Getpid())
		if err != nil {
			return err
		}
		_ = self.Kill()
		_, _ = in.ReadByte() // until then
		return nil
	case roleHang:
		_, _ = in.ReadByte()
		return mark("undone")
	case roleLate:
		_, _ = in.ReadByte()
		return superviseWorkspace(conn, in, line)
	case roleGarbage:
		_, err := conn.Write([]byte("ready\n"))
		return err
	}
	fmt.Fprintln(os.Stderr, "first words")
	return errors.New("fatal: no luck")
}

// describeSeed reads frames to the last one: how many bytes came, and what that says.
func describeSeed(in *bufio.Reader) string {
	var buf []byte
	for n := 0; ; {
		frame, err := wire.ReadFrame(in, &buf)
		switch {
		case err != nil:
			return "hang-up"
		case frame.Type == wire.FrameData:
			n += len(frame.Payload)
		default:
			return fmt.Sprintf("%d blocks, %c %s", n/512, frame.Type, frame.Payload)
		}
	}
}

func tell(conn net.Conn, launched workspace.Launched) error {
	return json.NewEncoder(conn).Encode(launched)
}

func mark(name string) error {
	return os.WriteFile(filepath.Join(os.Getenv(envMarks), name), nil, 0o600)
}

// superviseWorkspace answers and serves. What the process sees of its surroundings
// it tells as metadata.
func superviseWorkspace(conn net.Conn, in *bufio.Reader, line string) error {
	var launch workspace.Launch
	if err := json.Unmarshal([]byte(line), &launch); err != nil {
		return err
	}
	id := os.Args[2]
	socket := filepath.Join(os.Getenv(envRunDir), "r", id, store.ControlSocket)
	if err := os.MkdirAll(filepath.Dir(socket), 0o700); err != nil {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	end := make(chan string, 2)
	go func() { _ = http.Serve(listener, lifecycle(id, end)) }() // ends with the process
	if launch.Lease {
		go func() { // ends with the lease
			_, _ = in.ReadByte()
			end <- "lease-ended"
		}()
	}
	view := &api.Workspace{
		WorkspaceID: id, Environment: launch.Request.Environment, State: api.StateStarted, Engine: "fake", Isolation: "none",
		Metadata: map[string]string{"launch": line, "environ": strings.Join(os.Environ(), "\n"), "stat": processStat()},
	}
	_ = tell(conn, workspace.Launched{Workspace: view, ControlSocket: socket}) // a late one is heard, or not
	why := <-end
	_ = listener.Close()
	return mark(why)
}

func lifecycle(id string, end chan<- string) http.Handler {
	return supervisorScript{delete: func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, http.StatusOK, deletedReply(id))
		_ = http.NewResponseController(w).Flush()
		end <- "deleted"
	}}.handler()
}

func processStat() string {
	stat, err := os.Open("/proc/self/stat")
	if err != nil {
		return err.Error()
	}
	defer func() { _ = stat.Close() }()
	text, _ := io.ReadAll(stat)
	return string(text)
}
