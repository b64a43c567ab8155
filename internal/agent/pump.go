package agent

import (
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// pumpSize is the capacity of a pipe, pipe(7); more cannot be waiting in one.
const pumpSize = 64 << 10

// pump copies one output stream of a command.
type pump struct {
	agent    *agent
	from     *os.File
	to       io.Writer
	terminal bool          // from is one
	lost     func()        // called when to takes no more
	done     chan struct{} // closed when copying has stopped
	eof      bool
	dead     bool // to takes no more
	last     byte // that was written to to
}

// pump starts copying. The goroutine ends at the end of the file or in finish,
// which has to be called. When a write fails, lost is called and the rest is read
// and dropped.
func (a *agent) pump(from *os.File, to io.Writer, lost func()) *pump {
	p := &pump{agent: a, from: from, to: to, terminal: isTerminal(from), lost: lost, done: make(chan struct{}), last: '\n'}
	go func() {
		defer close(p.done)
		buf := a.buffer()
		defer a.buffers.Put(buf)
		for {
			n, err := from.Read(*buf)
			p.write((*buf)[:n])
			if err != nil {
				p.eof = !os.IsTimeout(err)
				return
			}
		}
	}()
	return p
}

func (a *agent) buffer() *[]byte {
	if buf, ok := a.buffers.Get().(*[]byte); ok {
		return buf
	}
	buf := make([]byte, pumpSize)
	return &buf
}

func (p *pump) write(b []byte) {
	if p.dead || len(b) == 0 {
		return
	}
	p.last = b[len(b)-1]
	if _, err := p.to.Write(b); err != nil {
		p.dead = true
		p.lost()
	}
}

// say adds a line of our own after finish.
func (p *pump) say(line string) {
	if p.last != '\n' {
		line = "\n" + line
	}
	if p.terminal {
		line = strings.ReplaceAll(line, "\n", "\r\n")
	}
	p.write([]byte(line))
}

// finish is called when the command has ended. It copies what is in the pipe at this
// moment, which is all that the command wrote, and no more: children of it that
// still write would keep it from ever being empty.
func (p *pump) finish() {
	_ = p.from.SetReadDeadline(time.Unix(1, 0)) // wakes the copying goroutine
	<-p.done
	if p.eof {
		_ = p.from.Close()
		return
	}
	_ = p.from.SetReadDeadline(time.Time{})
	buf := p.agent.buffer()
	defer p.agent.buffers.Put(buf)
	if p.terminal {
		if rest(p.from, *buf, p.write) {
			_ = p.from.Close()
			return
		}
		p.abandon()
		return
	}
	for left := waiting(p.from); left > 0; {
		n, err := p.from.Read((*buf)[:min(left, len(*buf))])
		p.write((*buf)[:n])
		if left -= n; err != nil {
			_ = p.from.Close()
			return
		}
	}
	p.abandon()
}

// waiting is the number of bytes that can be read without blocking.
func waiting(f *os.File) (n int) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	return n
}

// abandon keeps the pipe open for the processes that a command left behind, which
// would otherwise be killed by SIGPIPE at their next line, and drops what they write.
func (p *pump) abandon() {
	go func() { // ends when the last of them has closed the pipe or ended
		_, _ = io.Copy(io.Discard, p.from)
		_ = p.from.Close()
	}()
}
