package gvisor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/api"
)

// layerFile begins the name of the file that holds the content of the writable layer.
// It has no name on the disk any more; only the Sentry has it open.
const layerFile = "runsc-filestore-"

const (
	// settled is how long ago the last change of the layer must be, so that the next
	// one has another time. Kernels before 6.13 count in ticks of up to 10 ms.
	settled = 30 * time.Millisecond

	// settleTries bounds the wait for that, in a guest that never stops writing.
	settleTries = 10
)

// DiskStamp implements engine.DiskSnapshotter: size, blocks and time of the layer's
// file. It starts the writing back of what is not on the host's disk yet, since only
// then the kernel notes the next change of a page that a process of the guest has
// mapped. On a tmpfs it never does, and such a change may go unseen.
//
// In a guest that writes all the time every stamp is another.
func (s *sandbox) DiskStamp() (string, error) {
	layer, err := s.openLayer()
	if err != nil {
		return "", err
	}
	defer func() { _ = layer.Close() }()
	before, err := stampOf(layer)
	for range settleTries {
		if err != nil {
			return "", err
		}
		if err := writeBack(layer); err != nil {
			return "", err
		}
		var after stamp
		if after, err = stampOf(layer); err == nil && after == before && time.Since(after.changed) > settled {
			return after.String(), nil
		}
		before = after
		s.pause(settled)
	}
	return fmt.Sprintf("%s at %d", before, time.Now().UnixNano()), err
}

// pause returns early when the sandbox ends.
func (s *sandbox) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.done:
	}
}

type stamp struct {
	size, blocks int64
	changed      time.Time
}

func (s stamp) String() string {
	return fmt.Sprintf("%d %d %d", s.size, s.blocks, s.changed.UnixNano())
}

func stampOf(file *os.File) (stamp, error) {
	var stat unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &stat); err != nil {
		return stamp{}, fmt.Errorf("stat of the writable layer: %w", err)
	}
	return stamp{size: stat.Size, blocks: stat.Blocks, changed: time.Unix(stat.Mtim.Unix())}, nil
}

// writeBack takes every dirty page away from whoever has it mapped for writing; it
// does not wait until they are on the disk.
func writeBack(file *os.File) error {
	const how = unix.SYNC_FILE_RANGE_WAIT_BEFORE | unix.SYNC_FILE_RANGE_WRITE
	if err := unix.SyncFileRange(int(file.Fd()), 0, 0, how); err != nil {
		return fmt.Errorf("sync_file_range of the writable layer: %w", err)
	}
	return nil
}

// openLayer opens the layer's file by way of the Sentry, which has it open.
func (s *sandbox) openLayer() (*os.File, error) {
	for _, p := range s.adopt() {
		fds := fmt.Sprintf("/proc/%d/fd", p.PID)
		entries, err := os.ReadDir(fds)
		if err != nil {
			continue // the gofer may be closed to us, or the process is gone
		}
		for _, e := range entries {
			name := filepath.Join(fds, e.Name())
			if target, err := os.Readlink(name); err == nil && strings.HasPrefix(filepath.Base(target), layerFile) {
				file, err := os.OpenFile(name, os.O_RDONLY, 0)
				if err == nil && !p.Alive() { // its number may be another's
					_ = file.Close()
					continue
				}
				return file, err
			}
		}
	}
	return nil, &api.Error{Kind: api.Unavailable, Err: errors.New("the writable layer cannot be seen: the sandbox is gone")}
}
