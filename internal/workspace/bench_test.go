package workspace

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/enginetest"
)

// What somebody waits for who has a thousand stopped workspaces.
func BenchmarkListThousand(b *testing.B) {
	st := enginetest.NewStore(b)
	for i := range 1000 {
		r := record(fmt.Sprintf("%012x", i), KindWorkspace, api.StateStopped)
		r.Reason, r.CommandCount = ReasonStopped, 7
		r.LastCommand = &api.LastCommand{Sequence: 7, Command: "make -j2 test", Cwd: api.WorkspacePath}
		r.Disk = &SavedDisk{Generation: 3, Format: "gvisor-20260905.0 amd64 1", At: r.CreatedAt, Files: map[string]SavedFile{
			"checkpoint.img": {Size: 1 << 20, SHA256: fmt.Sprintf("%064x", i)}, "pages.img": {Size: 1 << 24, SHA256: fmt.Sprintf("%064x", i+1)},
		}}
		r.Pushed(Push{Source: "/home/user/project", Destination: api.WorkspacePath, At: r.CreatedAt})
		held, err := st.CreateVolatile(r.ID) // the benchmark waits for no disk
		if err == nil {
			err = Write(held, r)
		}
		if err == nil {
			err = errors.Join(held.Unlock(), os.Remove(filepath.Join(st.Path(r.ID), "boot"))) // stopped ones have none
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if l, err := List(b.Context(), st); err != nil || l.Count != 1000 {
			b.Fatal(l, err)
		}
	}
}
