package gvisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pyro-sandbox/pyro/api"
)

func fork(errno error) *bootError {
	return &bootError{step: "fork", code: -1, err: &os.PathError{Op: "fork/exec", Path: "/proc/self/fd/255", Err: errno}}
}

func hello(code int, said string, err error) *bootError {
	return &bootError{step: "hello", code: code, said: said, err: err}
}

func TestDiagnose(t *testing.T) {
	eof := errors.New("EOF")
	for name, test := range map[string]struct {
		err       *bootError
		why, hint string // parts
	}{
		"no more namespaces":  {fork(syscall.ENOSPC), "no more user namespaces", "user.max_user_namespaces"},
		"namespaces refused":  {fork(syscall.EPERM), "refuses to make a user namespace", "unprivileged_userns_clone"},
		"no helper":           {fork(syscall.ENOENT), "helper is missing", "PYRO_LIBDIR"},
		"another fork error":  {fork(syscall.EAGAIN), "starting pyro-runsc: fork/exec", ""},
		"old kernel":          {hello(125, "pyro-runsc: mount_setattr: function not implemented", eof), "mount_setattr", "Linux 5.12"},
		"mounts denied":       {hello(125, "pyro-runsc: mount /usr: permission denied", eof), "mount /usr: permission denied", "AppArmor"},
		"mounts not allowed":  {hello(125, "pyro-runsc: mount tmpfs: operation not permitted", eof), "mount tmpfs", "AppArmor"},
		"another stage error": {hello(125, "pyro-runsc: mount /usr: no such device", eof), "mount /usr: no such device", "pyro doctor"},
		"runsc failed":        {hello(128, "running container: creating container", eof), "ended before the agent answered: running container", "pyro doctor"},
		"silent end":          {hello(1, "", eof), "ended before the agent answered: EOF", "pyro doctor"},
		"runsc killed":        {hello(-1, "", eof), "killed while it started", "try again"},
		"Sentry killed":       {hello(128, `starting root container: urpc method "containerManager.StartRoot" failed: EOF`, eof), "killed while it started: starting root", "try again"},
		"gofer killed":        {hello(128, "setupFS: mounting root with overlay: input/output error", eof), "killed while it started: setupFS", "try again"},
		"took too long":       {hello(-1, "", fmt.Errorf("hello: %w", context.DeadlineExceeded)), "did not answer in time", "try again"},
		"interrupted":         {hello(-1, "", fmt.Errorf("hello: %w", context.Canceled)), "interrupted", ""},
	} {
		t.Run(name, func(t *testing.T) {
			why, hint := diagnose(test.err)
			if !strings.Contains(why, test.why) || !strings.Contains(hint, test.hint) || (hint == "") != (test.hint == "") {
				t.Errorf("%q, %q; want %q, %q", why, hint, test.why, test.hint)
			}
			if strings.HasPrefix(why, "pyro-runsc: ") || strings.HasSuffix(why, ".") || strings.Contains(why, "\n") {
				t.Errorf("not one plain sentence: %q", why)
			}
		})
	}
}

func TestExplain(t *testing.T) {
	err := explain(fmt.Errorf("boot: %w", fork(syscall.ENOSPC)))
	if !errors.Is(err, api.Unsupported) || !strings.Contains(err.Error(), "user namespaces") || api.HintOf(err) == "" {
		t.Errorf("%v of kind %s with hint %q", err, api.KindOf(err), api.HintOf(err))
	}
	killed := explain(hello(-1, "", errors.New("EOF")))
	if !errors.Is(killed, api.Unavailable) || errors.Is(killed, api.Unsupported) {
		t.Errorf("a boot that was killed is of kind %s, and would be tried without isolation", api.KindOf(killed))
	}
	other := errors.New("no socketpair")
	if got := explain(other); !errors.Is(got, other) {
		t.Errorf("an error of another kind became %v", got)
	}
}

func TestBootErrorText(t *testing.T) {
	for want, err := range map[string]*bootError{
		"hello: EOF":              {step: "hello", err: errors.New("EOF")},
		"hello: EOF: runsc spoke": {step: "hello", said: "runsc spoke", err: errors.New("EOF")},
	} {
		if diff := cmp.Diff(want, err.Error()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	if err := fork(syscall.EPERM); !errors.Is(err, syscall.EPERM) {
		t.Errorf("%v hides its cause", err)
	}
}
