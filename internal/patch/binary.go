package patch

import (
	"bufio"
	"crypto/sha1" // what git names blobs by, not a safeguard
	"encoding/hex"
	"fmt"
	"io"
	"strings"
)

const (
	base85Digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
	lineBytes    = 52 // of binary data in a line, which is what a letter can count
)

var noBlob = strings.Repeat("0", hex.EncodedLen(sha1.Size))

// blobID is the object name of the content in a git repository that uses SHA-1, and zeros
// for what is absent.
func (s Side) blobID() (string, error) {
	if s.Kind == Absent {
		return noBlob, nil
	}
	sum := sha1.New()
	fmt.Fprintf(sum, "blob %d\x00", s.Size)
	if _, err := io.Copy(sum, s.open()); err != nil {
		return "", fmt.Errorf("read content: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// base85Writer writes lines: a letter for the number of bytes, then five digits for each
// four of them, the last filled up with zeros.
type base85Writer struct {
	out  *bufio.Writer
	held [lineBytes]byte
	n    int
}

func (b *base85Writer) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		n := copy(b.held[b.n:], p)
		b.n += n
		p = p[n:]
		if b.n == lineBytes {
			b.flush()
		}
	}
	return total, nil
}

func (b *base85Writer) flush() {
	if b.n == 0 {
		return
	}
	count := byte('A' + b.n - 1)
	if b.n > 26 {
		count = byte('a' + b.n - 27)
	}
	line := append(make([]byte, 0, 2+lineBytes/4*5), count)
	clear(b.held[b.n:])
	for i := 0; i < b.n; i += 4 {
		line = appendBase85(line, [4]byte(b.held[i:i+4]))
	}
	_, _ = b.out.Write(append(line, '\n')) // the writer keeps its first error for Flush
	b.n = 0
}

func appendBase85(line []byte, four [4]byte) []byte {
	v := uint32(four[0])<<24 | uint32(four[1])<<16 | uint32(four[2])<<8 | uint32(four[3])
	var digits [5]byte
	for i := 4; i >= 0; i-- {
		digits[i] = base85Digits[v%85]
		v /= 85
	}
	return append(line, digits[:]...)
}
