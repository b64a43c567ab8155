package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/api"
)

// defaultTerm is what programs are told of a terminal of which nothing is known.
const defaultTerm = "xterm-256color"

// makeTerminal opens a pseudoterminal (pty(7)) for the process: it is all three files of
// its, and the terminal that its session belongs to. Ours are the master and, until the
// process has ended, a slave: without one, a master whose program has closed its files
// for a moment could not be read any more.
func (p *process) makeTerminal(c command) (theirs []int, err error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open a terminal: %w", err)
	}
	p.stdout = os.NewFile(uintptr(fd), "terminal")
	p.terminal = p.stdout
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, fmt.Errorf("unlock a terminal: %w", err)
	}
	slave, err := openSlave(fd)
	if err != nil {
		return nil, fmt.Errorf("open a terminal: %w", err)
	}
	theirs = []int{slave, slave, slave}
	keepCharacters(slave)
	if err := p.resize(*c.terminal); err != nil {
		return theirs, err
	}
	if c.stdin { // a file of its own: it is closed at another time
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return theirs, err
		}
		p.stdin = os.NewFile(uintptr(dup), "terminal")
	}
	dup, err := unix.FcntlInt(uintptr(slave), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		p.slave = os.NewFile(uintptr(dup), "terminal")
	}
	return theirs, err
}

// openSlave opens the other end of the master fd, by no name (TIOCGPTPEER,
// ioctl_tty(2)): what lies in /dev is the guest's.
func openSlave(fd int) (int, error) {
	slave, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		return -1, errno
	}
	return int(slave), nil
}

// keepCharacters makes the backspace of a terminal that edits lines itself remove whole
// characters of UTF-8. Without it nothing else is amiss.
func keepCharacters(slave int) {
	if settings, err := unix.IoctlGetTermios(slave, unix.TCGETS); err == nil {
		settings.Iflag |= unix.IUTF8
		_ = unix.IoctlSetTermios(slave, unix.TCSETS, settings)
	}
}

// checkSize refuses a size that no terminal has.
func checkSize(size api.TerminalSize) error {
	for name, n := range map[string]int{"cols": size.Cols, "rows": size.Rows} {
		if n < 1 || n > api.MaxTerminal {
			return invalid("%s is %d, 1 to %d is allowed", name, n, api.MaxTerminal)
		}
	}
	return nil
}

// resize changes the size of the terminal, of which its foreground group is told by
// SIGWINCH.
func (p *process) resize(size api.TerminalSize) error {
	if err := checkSize(size); err != nil {
		return err
	}
	raw, err := p.terminal.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(size.Rows), Col: uint16(size.Cols)})
	})
	return errors.Join(err, failed)
}

// resizeTo is resize for the payload of a frame; what is no size changes nothing.
func (p *process) resizeTo(payload []byte) {
	var size api.TerminalSize
	if p.terminal != nil && json.Unmarshal(payload, &size) == nil {
		_ = p.resize(size)
	}
}

// deliver sends sig to what a person would mean: on a terminal the group in its
// foreground, or where there is none left the process's own group.
func (p *process) deliver(sig syscall.Signal) {
	if group := p.foreground(); group == 0 || syscall.Kill(-group, sig) != nil {
		p.signal(sig)
	}
}

// foreground is the process group in the foreground of the terminal, or 0. The kernel
// lets only groups of the process's own session be that.
func (p *process) foreground() (group int) {
	if p.terminal == nil {
		return 0
	}
	raw, err := p.terminal.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) { group, err = unix.IoctlGetInt(int(fd), unix.TIOCGPGRP) })
	if err != nil || group <= 1 || group == p.pid || group == unix.Getpgrp() {
		return 0
	}
	return group
}

// letGo closes our own slave. It is called when the process has ended.
func (p *process) letGo() {
	if p.slave != nil {
		_ = p.slave.Close()
	}
}

// maxTerminalRest is more than a terminal can hold of what was printed to it.
const maxTerminalRest = 256 << 10

// rest reads what is in a terminal at this moment, which takes several reads, and passes
// it to write. It returns whether the other end is closed. A terminal does not tell how
// much there is, and a read that finds nothing is the only one which has looked
// everywhere; processes that still print could keep it from coming.
func rest(terminal *os.File, buf []byte, write func([]byte)) (closed bool) {
	raw, err := terminal.SyscallConn()
	if err != nil {
		return true
	}
	for left := maxTerminalRest; left > 0; {
		var n int
		var failed error
		err := raw.Read(func(fd uintptr) bool {
			n, failed = unix.Read(int(fd), buf)
			return true
		})
		switch {
		case err != nil:
			return true
		case errors.Is(failed, unix.EINTR):
			continue
		case errors.Is(failed, unix.EAGAIN):
			return false
		case failed != nil || n <= 0:
			return true
		}
		write(buf[:n])
		left -= n
	}
	return false
}

// isTerminal reports whether f is the master of a terminal.
func isTerminal(f *os.File) (is bool) {
	if raw, err := f.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_, err := unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
			is = err == nil
		})
	}
	return is
}

// endOfFile is what ends the input of a program that reads lines from a terminal, at
// the beginning of a line (EOF, termios(3)).
const endOfFile = 0x04

// keyboard is the stdin of a command on a terminal.
type keyboard struct {
	to   io.WriteCloser
	last byte
}

// Write implements io.Writer.
func (k *keyboard) Write(b []byte) (int, error) {
	if len(b) > 0 {
		k.last = b[len(b)-1]
	}
	return k.to.Write(b)
}

// Close types what a person types at the end. In the middle of a line the first one only
// passes on what there is of it.
func (k *keyboard) Close() error {
	keys := []byte{endOfFile}
	if k.last != 0 && k.last != '\n' && k.last != '\r' {
		keys = append(keys, endOfFile)
	}
	_, err := k.to.Write(keys)
	return err
}

// onTerminal passes on what we say to a person whose terminal turns no line feed into the
// beginning of a line, because a program's does.
type onTerminal struct{ to io.Writer }

// Write implements io.Writer.
func (o onTerminal) Write(b []byte) (int, error) {
	if _, err := o.to.Write(bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n"))); err != nil {
		return 0, err
	}
	return len(b), nil
}
