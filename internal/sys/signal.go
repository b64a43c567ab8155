package sys

import (
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/pyro-sandbox/pyro/api"
)

// signals are those that a command may be sent by name. Their numbers differ
// between systems and architectures, so only names travel.
var signals = map[string]syscall.Signal{
	"HUP":  syscall.SIGHUP,
	"INT":  syscall.SIGINT,
	"QUIT": syscall.SIGQUIT,
	"TERM": syscall.SIGTERM,
	"KILL": syscall.SIGKILL,
	"USR1": syscall.SIGUSR1,
	"USR2": syscall.SIGUSR2,
	"STOP": syscall.SIGSTOP,
	"CONT": syscall.SIGCONT,
}

// Signal returns the signal of a name, with or without SIG in front, see signal(7).
// A name it does not know is api.Invalid.
func Signal(name string) (os.Signal, error) {
	if s, ok := signals[strings.TrimPrefix(strings.ToUpper(name), "SIG")]; ok {
		return s, nil
	}
	return nil, &api.Error{
		Kind: api.Invalid, Hint: "use HUP, INT, QUIT, TERM, KILL, USR1, USR2, STOP or CONT",
		Err: fmt.Errorf("signal %q is unknown", name),
	}
}

// SignalName returns the name of a signal without SIG, and false for those that
// have none here.
func SignalName(s os.Signal) (string, bool) {
	for name, known := range signals {
		if known == s {
			return name, true
		}
	}
	return "", false
}

// SignalNumber returns the number of a signal on this machine, 0 for one that is
// none of the kernel's.
func SignalNumber(s os.Signal) int {
	if n, ok := s.(syscall.Signal); ok {
		return int(n)
	}
	return 0
}
