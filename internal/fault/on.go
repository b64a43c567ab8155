//go:build faultpoint

package fault

import (
	"bytes"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"github.com/pyro-sandbox/pyro/internal/sys"
)

// Hit notes that the named point was reached, and strikes if it was asked to.
func Hit(name string) {
	switch reach(name) {
	case "kill":
		die(sys.SIGKILL)
		select {} // nothing more may happen until the signal has arrived
	case "stop":
		resumed := make(chan os.Signal, 1)
		signal.Notify(resumed, sys.SIGCONT)
		defer signal.Stop(resumed)
		die(sys.SIGSTOP)
		<-resumed // other threads run on until the stop has reached each of them
	}
}

// Error notes that the named point was reached, and returns the error that the
// kernel is to be suspected of there, or nil.
func Error(name string) error {
	injected := map[string]error{
		"enospc": sys.ErrNoSpace, "eio": sys.ErrInputOutput, "erofs": sys.ErrReadOnly,
		"eacces": sys.ErrDenied, "emfile": sys.ErrTooManyOpenFiles,
	}
	if err := injected[reach(name)]; err != nil {
		return fmt.Errorf("injected at %s: %w", name, err)
	}
	return nil
}

// reach appends the name to the trace and returns the action that is due now. What
// was hit before is counted in the trace, so it counts across processes.
func reach(name string) string {
	times := trace(name)
	point, action, _ := strings.Cut(os.Getenv("PYRO_FAULT"), "=")
	if point == name || point == fmt.Sprintf("%s#%d", name, times) {
		return action
	}
	return ""
}

func trace(name string) int {
	path := os.Getenv("PYRO_FAULT_TRACE")
	if path == "" {
		return 0
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err) // a test that cannot count proves nothing
	}
	defer func() { _ = file.Close() }()
	if _, err := file.WriteString(name + "\n"); err != nil {
		panic(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	times := 0
	for line := range bytes.Lines(data) {
		if string(bytes.TrimSpace(line)) == name {
			times++
		}
	}
	return times
}

func die(by os.Signal) {
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		panic(err)
	}
	_ = self.Signal(by)
}
