// Package layer keeps the content of a sandbox's writable layer out of the guest's
// memory.
//
// The layer is a file on the host's disk. gVisor does not count its pages as memory of
// the guest, until it saves them or restores them from an image: from then on it does,
// and for good. In /proc/meminfo of a guest with a large disk no memory is left, and
// whoever goes by it, as pyro's agent does, ends commands for that reason. gVisor has a
// switch, MemoryFileOpts.DisableMemoryAccounting, but nothing in it turns it.
//
// The package turns it for the layer's file, and takes back what a restore has counted.
// It does not change what the host counts and limits.
package layer

import (
	"fmt"
	"reflect"
	"unsafe"

	"gvisor.dev/gvisor/pkg/context"
	"gvisor.dev/gvisor/pkg/fd"
	"gvisor.dev/gvisor/pkg/sentry/fsimpl/tmpfs"
	"gvisor.dev/gvisor/pkg/sentry/kernel"
	"gvisor.dev/gvisor/pkg/sentry/pgalloc"
	"gvisor.dev/gvisor/pkg/sentry/seccheck"
	pb "gvisor.dev/gvisor/pkg/sentry/seccheck/points/points_go_proto"
	"gvisor.dev/gvisor/pkg/sentry/usage"
)

// sinkName is what gVisor's trace points know us by.
const sinkName = "pyro-layer"

// Register has the Sentry that this process becomes call us once, when the first task
// of the guest makes its first thread or child. That is the earliest point at which
// gVisor hands out its kernel; the layer is mounted by then, and nobody else runs.
func Register() error {
	if _, err := fieldsOf(reflect.TypeFor[pgalloc.MemoryFile]()); err != nil {
		return err
	}
	seccheck.Initialize()
	seccheck.RegisterSink(seccheck.SinkDesc{
		Name: sinkName,
		New:  func(map[string]any, *fd.FD) (seccheck.Sink, error) { return new(sink), nil },
	})
	return seccheck.Create(&seccheck.SessionConfig{
		Name:   seccheck.DefaultSessionName,
		Points: []seccheck.PointConfig{{Name: "sentry/clone"}},
		Sinks:  []seccheck.SinkConfig{{Name: sinkName}},
	}, false)
}

type sink struct{ seccheck.SinkDefaults }

// Name implements seccheck.Sink.
func (*sink) Name() string { return sinkName }

// Clone implements seccheck.Sink. It runs in the task that makes another.
func (*sink) Clone(ctx context.Context, _ seccheck.FieldSet, _ *pb.CloneInfo) error {
	k := kernel.KernelFromContext(ctx)
	if k == nil {
		return nil
	}
	// Whatever comes of it, it is asked for once: tracing costs something.
	_ = seccheck.Delete(seccheck.DefaultSessionName)
	for _, fs := range k.VFS().GetFilesystems() {
		// Only a file of its own has an ID; other tmpfs are memory of the guest.
		if mf := tmpfs.MemoryFileOf(fs); mf != nil {
			if id := mf.ResourceID(); id.Ok() {
				stopCounting(mf)
			}
		}
		fs.DecRef(ctx)
	}
	return nil
}

// stopCounting turns the switch, and has forgotten what was counted before.
func stopCounting(mf *pgalloc.MemoryFile) {
	at, err := fieldsOf(reflect.TypeFor[pgalloc.MemoryFile]())
	if err != nil {
		return // Register has said so
	}
	disabled := field[bool](mf, at.disabled)
	if *disabled {
		return
	}
	*disabled = true
	usage.MemoryAccounting.Dec(*field[uint64](mf, at.counted), usage.Tmpfs, 0)
}

func field[T any](mf *pgalloc.MemoryFile, at uintptr) *T {
	return (*T)(unsafe.Add(unsafe.Pointer(mf), at))
}

// fields are where what we need lies in a pgalloc.MemoryFile.
type fields struct {
	disabled uintptr // bool
	counted  uintptr // uint64, in bytes
}

// fieldsOf finds them by name and checks their types, since another version of gVisor
// may have them elsewhere, or not at all.
func fieldsOf(memoryFile reflect.Type) (fields, error) {
	opts, okOpts := memoryFile.FieldByName("opts")
	counted, okCounted := memoryFile.FieldByName("knownCommittedBytes")
	if !okOpts || !okCounted || opts.Type.Kind() != reflect.Struct || counted.Type.Kind() != reflect.Uint64 {
		return fields{}, fmt.Errorf("%s has no opts or no knownCommittedBytes", memoryFile)
	}
	disabled, ok := opts.Type.FieldByName("DisableMemoryAccounting")
	if !ok || disabled.Type.Kind() != reflect.Bool {
		return fields{}, fmt.Errorf("%s has no DisableMemoryAccounting", opts.Type)
	}
	return fields{disabled: opts.Offset + disabled.Offset, counted: counted.Offset}, nil
}
