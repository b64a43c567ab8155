package sys

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestReaderGone(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = write.Close() }()
	gone := ReaderGone(t.Context(), write)
	select {
	case <-gone:
		t.Fatal("it is there")
	default:
	}
	_ = read.Close()
	select {
	case <-gone:
	case <-time.After(time.Minute):
		t.Error("nobody told")
	}
}

func TestFilesHaveNoReader(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	select {
	case <-ReaderGone(ctx, f):
		t.Error("a file lost its reader")
	default:
	}
}
