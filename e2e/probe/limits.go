//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"

	"golang.org/x/sys/unix"
)

// limits are attempts to raise the limits.
func limits(*plan) []attempt {
	raise := func(which int, to uint64) func() error {
		return func() error { return unix.Setrlimit(which, &unix.Rlimit{Cur: to, Max: to}) }
	}
	return []attempt{
		plain("more processes", raise(unix.RLIMIT_NPROC, 1<<20)),
		plain("more processes for process 1", func() error {
			return unix.Prlimit(1, unix.RLIMIT_NPROC, &unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}, nil)
		}),
		plain("more files", raise(unix.RLIMIT_NOFILE, 1<<20)),
		plain("core dumps", raise(unix.RLIMIT_CORE, 1<<20)),
		plain("a bigger /run", func() error { return unix.Mount("", "/run", "", unix.MS_REMOUNT, "size=1g") }),
		plain("a bigger /dev/shm", func() error { return unix.Mount("", "/dev/shm", "", unix.MS_REMOUNT, "size=1g") }),
		plain("never killed for memory", func() error { return os.WriteFile("/proc/self/oom_score_adj", []byte("-1000"), 0) }),
	}
}

// fill writes a file of at most so many MiB and prints how many it got, and why it ended.
func fill(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: fill FILE MIB")
	}
	most, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	f, err := os.Create(args[0])
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	block := make([]byte, 1<<20)
	for i := range block {
		block[i] = byte(i*7 + 1)
	}
	for written := range most {
		if _, err := f.Write(block); err != nil {
			_, err = fmt.Println(written, name(err))
			return err
		}
	}
	_, err = fmt.Println(most, "done")
	return err
}

// threads starts threads that do nothing, at most so many. Go's runtime ends the
// program when it gets no more, and says how many it had: they count as processes do,
// and cost less.
func threads(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: threads N")
	}
	most, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	debug.SetMaxThreads(most * 2)
	started := make(chan struct{})
	for range most {
		go func() { // ends with the program
			runtime.LockOSThread()
			started <- struct{}{}
			_ = raw(unix.SYS_PPOLL, 0, 0, 0, 0)
		}()
		<-started
	}
	return nil
}

// eat takes memory, at most so many MiB.
func eat(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: eat MIB")
	}
	most, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	var eaten [][]byte
	for range most {
		block := make([]byte, 1<<20)
		for i := 0; i < len(block); i += os.Getpagesize() {
			block[i] = 1
		}
		eaten = append(eaten, block)
	}
	_, err = fmt.Fprintln(io.Discard, len(eaten))
	return err
}
