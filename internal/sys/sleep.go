package sys

import (
	"context"
	"time"
)

// Sleep waits for d or for the end of ctx, and reports whether it was d.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
