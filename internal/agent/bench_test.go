package agent

import (
	"testing"

	"github.com/pyro-sandbox/pyro/internal/wire"
)

// BenchmarkTrue is a whole stream of the shortest command, on a multiplexed socket.
func BenchmarkTrue(b *testing.B) {
	c := serveMux(b, testConfig(b))
	for b.Loop() {
		s, err := c.Stream(b.Context(), wire.StreamRequest{Argv: []string{"/bin/true"}})
		if err != nil {
			b.Fatal(err)
		}
		for {
			f, err := s.ReadFrame()
			if err != nil {
				b.Fatal(err)
			}
			if f.Type == wire.FrameExit {
				break
			}
		}
		_ = s.Close()
	}
}

// BenchmarkOutput is bytes of output on a multiplexed socket.
func BenchmarkOutput(b *testing.B) {
	c := serveMux(b, testConfig(b))
	const size = 64 << 20
	b.SetBytes(size)
	for b.Loop() {
		s, err := c.Stream(b.Context(), wire.StreamRequest{Argv: []string{"head", "-c", "67108864", "/dev/zero"}})
		if err != nil {
			b.Fatal(err)
		}
		for {
			f, err := s.ReadFrame()
			if err != nil {
				b.Fatal(err)
			}
			if f.Type == wire.FrameExit {
				break
			}
		}
		_ = s.Close()
	}
}
