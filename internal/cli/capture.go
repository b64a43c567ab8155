package cli

// maxCapture bounds, in bytes, what of one stream of a guest goes into JSON.
const maxCapture = 8 << 20

// capture keeps the beginning and the end of a stream, half of limit each. A stream
// that fits is kept whole.
type capture struct {
	limit int // bytes
	head  []byte
	tail  []byte // at least the last limit/2 bytes after head
	cut   bool
}

// Write implements io.Writer. It never fails.
func (c *capture) Write(p []byte) (int, error) {
	n := len(p)
	room := min(n, c.limit/2-len(c.head))
	c.head = append(c.head, p[:room]...)
	p = p[room:]
	keep := c.limit - c.limit/2
	if len(p) >= keep {
		c.cut = c.cut || len(c.tail) > 0 || len(p) > keep
		c.tail = append(c.tail[:0], p[len(p)-keep:]...)
		return n, nil
	}
	c.tail = append(c.tail, p...)
	c.cut = c.cut || len(c.tail) > keep
	if len(c.tail) > 2*keep { // moved seldom, so that many small writes stay cheap
		c.tail = append(c.tail[:0], c.tail[len(c.tail)-keep:]...)
	}
	return n, nil
}

// text returns what was kept.
func (c *capture) text() string {
	keep := c.limit - c.limit/2
	return string(c.head) + string(c.tail[max(0, len(c.tail)-keep):])
}
