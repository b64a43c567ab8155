package cli

import (
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// TestEchoesOfSignals sends signals as `timeout` does, which tells a process and then the
// group it is in, and as people do.
func TestEchoesOfSignals(t *testing.T) {
	type press struct {
		after time.Duration
		what  os.Signal
	}
	for name, test := range map[string]struct {
		came []press
		want []os.Signal
	}{
		"one":                {[]press{{0, unix.SIGTERM}}, []os.Signal{unix.SIGTERM}},
		"twice at once":      {[]press{{0, unix.SIGTERM}, {0, unix.SIGTERM}}, []os.Signal{unix.SIGTERM}},
		"an echo of an echo": {[]press{{0, unix.SIGINT}, {0, unix.SIGINT}, {time.Millisecond, unix.SIGINT}}, []os.Signal{unix.SIGINT}},
		"pressed twice":      {[]press{{0, unix.SIGINT}, {echoTime, unix.SIGINT}}, []os.Signal{unix.SIGINT, unix.SIGINT}},
		"two of a kind each": {[]press{{0, unix.SIGINT}, {time.Millisecond, unix.SIGTERM}}, []os.Signal{unix.SIGINT, unix.SIGTERM}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from := make(chan os.Signal, 2)
				to := Presses(from)
				for _, p := range test.came {
					time.Sleep(p.after)
					from <- p.what
					synctest.Wait()
				}
				close(from)
				synctest.Wait()
				var got []os.Signal
				for len(to) > 0 {
					got = append(got, <-to)
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}
