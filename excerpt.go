package pyro

import "fmt"

// excerptSide is how much of each end is kept, in bytes.
const excerptSide = 32 << 10

// excerpt is a writer that keeps the head and the tail of what it gets.
type excerpt struct {
	head, tail []byte
	omitted    int64
}

func (e *excerpt) Write(p []byte) (int, error) {
	n := min(len(p), excerptSide-len(e.head))
	e.head = append(e.head, p[:n]...)
	e.tail = append(e.tail, p[n:]...)
	if over := len(e.tail) - excerptSide; over > 0 {
		e.omitted += int64(over)
		e.tail = append(e.tail[:0], e.tail[over:]...)
	}
	return len(p), nil
}

func (e *excerpt) bytes() []byte {
	all := e.head
	if e.omitted > 0 {
		all = fmt.Appendf(all, "\n... %d bytes left out ...\n", e.omitted)
	}
	return append(all, e.tail...)
}
