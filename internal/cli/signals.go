package cli

import (
	"os"
	"time"
)

// echoTime is how soon after a signal the same one is the same request: `timeout` and
// other programs signal a process and then its group, which it is in, and nobody types
// Ctrl-C twice so fast.
const echoTime = 200 * time.Millisecond

// Presses passes signals on, without their echoes. It takes what comes for as long as the
// process lives; what nobody takes in time is dropped, as by [os/signal.Notify].
func Presses(from <-chan os.Signal) <-chan os.Signal {
	to := make(chan os.Signal, cap(from))
	go func() { // ends with the process
		var last os.Signal
		var when time.Time
		for s := range from {
			if s == last && time.Since(when) < echoTime {
				continue
			}
			last, when = s, time.Now()
			select {
			case to <- s:
			default:
			}
		}
	}()
	return to
}
