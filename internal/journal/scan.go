package journal

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
)

// maxScan bounds what is read of a file: one that is full, with the repeated begins.
const maxScan = maxFile + 2*maxLine

// span is where a line lies in a file, its line break excluded.
type span struct {
	file   *os.File
	offset int64
	length int
}

func (s span) read() ([]byte, error) {
	line := make([]byte, s.length)
	_, err := s.file.ReadAt(line, s.offset)
	return line, err
}

// scanned is what a scan found beside the lines: where the last whole line ends, and
// how many lines it skipped.
type scanned struct {
	whole   int64
	skipped int
}

// scan visits the lines of an open file, as long as it is now. The last one may be
// half a line, being written or left by a writer that was killed, and is passed over.
// Of a file that is longer than any of ours the end is read.
func scan(f *os.File, visit func(head, span)) (scanned, error) {
	info, err := f.Stat()
	if err != nil {
		return scanned{}, err
	}
	start := max(0, info.Size()-maxScan)
	r := lineReader{r: bufio.NewReaderSize(io.NewSectionReader(f, start, info.Size()-start), 64<<10), at: start}
	s := scanned{whole: start}
	for {
		offset := r.at
		line, err := r.next()
		if errors.Is(err, io.EOF) {
			return s, nil
		}
		if err != nil {
			return s, err
		}
		s.whole = r.at
		line = bytes.TrimSuffix(line, []byte("\n"))
		if len(line) == 0 {
			continue // behind half a line
		}
		if h, _, ok := parse(line); ok && len(line) < maxLine {
			visit(h, span{file: f, offset: offset, length: len(line)})
		} else {
			s.skipped++
		}
	}
}

// lineReader reads lines into one buffer.
type lineReader struct {
	r   *bufio.Reader
	at  int64 // in the file
	buf []byte
}

// next returns the next line with its line break, valid until the next call, or
// io.EOF where none ends. Of a line longer than maxLine it keeps the beginning only.
func (l *lineReader) next() ([]byte, error) {
	l.buf = l.buf[:0]
	for {
		part, err := l.r.ReadSlice('\n')
		l.at += int64(len(part))
		if len(l.buf) <= maxLine {
			l.buf = append(l.buf, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return l.buf, err
		}
	}
}
