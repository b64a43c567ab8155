package sys_test

import (
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/internal/sys"
)

func TestComplaintKeepsTheHead(t *testing.T) {
	for name, test := range map[string]struct {
		writes []string
		want   string
	}{
		"nothing":          {nil, ""},
		"trimmed":          {[]string{"\n one", " two \n"}, "one two"},
		"at the limit":     {[]string{strings.Repeat("a", 4096)}, strings.Repeat("a", 4096)},
		"one byte more":    {[]string{strings.Repeat("a", 4096), "b"}, strings.Repeat("a", 4096)},
		"cut in the write": {[]string{strings.Repeat("a", 4000), strings.Repeat("b", 1<<20)}, strings.Repeat("a", 4000) + strings.Repeat("b", 96)},
		"much after it":    {[]string{strings.Repeat("a", 1<<20), "b", "c"}, strings.Repeat("a", 4096)},
	} {
		t.Run(name, func(t *testing.T) {
			var c sys.Complaint
			for _, w := range test.writes {
				if n, err := c.Write([]byte(w)); n != len(w) || err != nil {
					t.Errorf("Write of %d bytes = %d, %v", len(w), n, err)
				}
			}
			if diff := cmp.Diff(test.want, c.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestComplaintAtTheSameTime(t *testing.T) {
	var c sys.Complaint
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { // ends after its writes
			for range 100 {
				_, _ = c.Write([]byte("xxxxxxxxxx"))
				_ = c.String()
			}
		})
	}
	all.Wait()
	if got := len(c.String()); got != 4096 {
		t.Errorf("%d bytes are kept", got)
	}
}

func TestExitStatus(t *testing.T) {
	for line, want := range map[string]int{"exit 0": 0, "exit 3": 3, "exit 255": 255, "kill -9 $$": 137, "kill -TERM $$": 143} {
		cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", line)
		_ = cmd.Run()
		if got := sys.ExitStatus(cmd.ProcessState); got != want {
			t.Errorf("%s: %d, want %d", line, got, want)
		}
	}
}
