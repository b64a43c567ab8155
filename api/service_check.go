package api

import (
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

var (
	serviceName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`) })
	envName     = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`) })
	restart     = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(no|on-failure(:[1-9][0-9]{0,5})?)$`) })
)

// CheckServiceName returns an Invalid error for a name that no service can have.
func CheckServiceName(name string) error {
	if !serviceName().MatchString(name) {
		return invalid("service_name", fmt.Sprintf("%q is not allowed", name), "use letters, digits, dot, underscore and dash, at most 64, the first a letter or digit")
	}
	return nil
}

// Check returns an Invalid error for a request that cannot be done, whatever the state of
// the workspace.
func (r ServiceStartRequest) Check() error {
	if err := CheckServiceName(r.ServiceName); err != nil {
		return err
	}
	switch {
	case (len(r.Argv) > 0) == (r.Command != ""):
		return invalid("command", "exactly one of argv and command is needed", "")
	case len(r.Argv) > 0 && r.Argv[0] == "":
		return invalid("argv", "the program's name is empty", "")
	case r.ReadyTimeoutSeconds < 0 || r.ReadyTimeoutSeconds > maxSeconds:
		return invalid("ready_timeout_seconds", fmt.Sprintf("is %d, it must be greater than 0", r.ReadyTimeoutSeconds), "")
	case r.ReadyIntervalMS < 0:
		return invalid("ready_interval_ms", fmt.Sprintf("is %d, it must be greater than 0", r.ReadyIntervalMS), "")
	case r.Restart != "" && !restart().MatchString(r.Restart):
		return invalid("restart", fmt.Sprintf("%q is not known", r.Restart), "use no, on-failure, or on-failure:N")
	}
	if r.Readiness != nil {
		if err := r.Readiness.check(); err != nil {
			return err
		}
	}
	if err := CheckSecretEnv(r.SecretEnv); err != nil {
		return err
	}
	return checkPublish(r.Publish)
}

func (r Readiness) check() error {
	switch r.Type {
	case ReadyFile:
		if strings.TrimSpace(r.Path) == "" {
			return invalid("readiness", "the path is empty", "")
		}
	case ReadyTCP:
		if !IsAddress(r.Address) {
			return invalid("readiness", fmt.Sprintf("address %q is not of the form HOST:PORT", r.Address), "")
		}
	case ReadyHTTP:
		if !strings.HasPrefix(r.URL, "http://") {
			return invalid("readiness", fmt.Sprintf("url %q is not of the form http://HOST[:PORT]/PATH", r.URL), "use a tcp readiness for a server that speaks https alone")
		}
	case ReadyCommand:
		if strings.TrimSpace(r.Command) == "" {
			return invalid("readiness", "the command is empty", "")
		}
	default:
		return invalid("readiness", fmt.Sprintf("type %q is not known", r.Type), "use file, tcp, http or command")
	}
	return nil
}

// IsAddress reports whether text is HOST:PORT, the port a number from 1 to 65535.
func IsAddress(text string) bool {
	host, port, err := net.SplitHostPort(text)
	n, numErr := strconv.Atoi(port)
	return err == nil && numErr == nil && host != "" && n >= 1 && n <= 65535
}

func checkPublish(asked []PublishRequest) error {
	seen := make(map[PublishRequest]bool)
	for _, p := range asked {
		switch {
		case p.GuestPort < 1 || p.GuestPort > 65535:
			return invalid("publish", fmt.Sprintf("guest port %d is not from 1 to 65535", p.GuestPort), "")
		case p.HostPort != 0 && (p.HostPort < 1025 || p.HostPort > 65535):
			return invalid("publish", fmt.Sprintf("port %d of this machine is not from 1025 to 65535", p.HostPort), "")
		case seen[p]:
			return invalid("publish", fmt.Sprintf("guest port %d is published twice in the same way", p.GuestPort), "")
		}
		seen[p] = true
	}
	return nil
}
