package gvisor

import (
	"context"
	"time"

	"github.com/pyro-sandbox/pyro/internal/engine"
)

var (
	_ engine.MemoryKeeper      = (*Engine)(nil)
	_ engine.MemorySnapshotter = (*sandbox)(nil)
)

// MemoryFormat implements engine.MemoryKeeper. gVisor refuses images of another
// version of it, and of a machine with other processors.
func (e *Engine) MemoryFormat(ctx context.Context) (string, error) {
	version, err := e.Version(ctx)
	if err != nil {
		return "", err
	}
	return "gvisor-checkpoint/" + version, nil
}

// stillTime is how long the agent may take to read what was sent to it.
const stillTime = 10 * time.Second

// SaveMemory implements engine.MemorySnapshotter.
func (s *sandbox) SaveMemory(ctx context.Context, dir string) error {
	still, cancel := context.WithTimeout(ctx, stillTime)
	defer cancel()
	resume, err := s.channel.Still(still)
	if err != nil {
		select {
		case <-s.done:
			return memoryForm.gone()
		default:
			return memoryForm.failed(err, "")
		}
	}
	defer resume()
	return s.save(ctx, dir, memoryForm)
}
