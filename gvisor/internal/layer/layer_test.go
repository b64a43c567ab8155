package layer

import (
	"os"
	"reflect"
	"testing"

	"gvisor.dev/gvisor/pkg/context"
	"gvisor.dev/gvisor/pkg/sentry/pgalloc"
	"gvisor.dev/gvisor/pkg/sentry/seccheck"
	"gvisor.dev/gvisor/pkg/sentry/usage"
)

func TestFieldsAreWhereTheyWere(t *testing.T) {
	if _, err := fieldsOf(reflect.TypeFor[pgalloc.MemoryFile]()); err != nil {
		t.Errorf("gVisor has changed: %v", err)
	}
	for name, other := range map[string]reflect.Type{
		"nothing":  reflect.TypeFor[struct{}](),
		"no field": reflect.TypeFor[struct{ opts struct{ Other bool } }](),
		"no count": reflect.TypeFor[struct{ opts pgalloc.MemoryFileOpts }](),
		"another kind": reflect.TypeFor[struct {
			opts                struct{ DisableMemoryAccounting int }
			knownCommittedBytes uint64
		}](),
	} {
		if _, err := fieldsOf(other); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestRegister(t *testing.T) {
	if err := Register(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = seccheck.Delete(seccheck.DefaultSessionName) })
	if !seccheck.Global.Enabled(seccheck.PointClone) {
		t.Error("the point is not enabled")
	}
	// A task that knows no kernel is none of the Sentry's.
	if err := new(sink).Clone(context.Background(), seccheck.FieldSet{}, nil); err != nil {
		t.Error(err)
	}
}

func TestStopCounting(t *testing.T) {
	if err := usage.Init(); err != nil {
		t.Fatal(err)
	}
	file, err := os.CreateTemp(t.TempDir(), "layer")
	if err != nil {
		t.Fatal(err)
	}
	mf, err := pgalloc.NewMemoryFile(file, pgalloc.MemoryFileOpts{DiskBackedFile: true})
	if err != nil {
		t.Fatal(err)
	}
	defer mf.Destroy()
	at, err := fieldsOf(reflect.TypeFor[pgalloc.MemoryFile]())
	if err != nil {
		t.Fatal(err)
	}
	const restored = 12 << 12
	*field[uint64](mf, at.counted) = restored
	usage.MemoryAccounting.Inc(restored+4096, usage.Tmpfs, 0) // and a page of others
	for range 2 {
		stopCounting(mf)
		if stats, _ := usage.MemoryAccounting.Copy(); stats.Tmpfs != 4096 || !*field[bool](mf, at.disabled) {
			t.Errorf("%d bytes are counted, disabled is %v", stats.Tmpfs, *field[bool](mf, at.disabled))
		}
	}
}
