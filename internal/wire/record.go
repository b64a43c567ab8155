package wire

import (
	"encoding/binary"
	"errors"
)

// fields takes numbers and texts from the records of a tree, one after the other. After
// the first thing that is not there, all are zero and err says it.
type fields struct {
	rest []byte
	err  error
}

var errCut = errors.New("ends in the middle of a record")

// number takes an unsigned number, as encoding/binary has them.
func (f *fields) number() uint64 { return varint(f, binary.Uvarint) }

// signed takes a signed number.
func (f *fields) signed() int64 { return varint(f, binary.Varint) }

func varint[T int64 | uint64](f *fields, decode func([]byte) (T, int)) T {
	v, n := decode(f.rest)
	if n <= 0 {
		f.err = errors.Join(f.err, errCut)
		f.rest = nil
		return 0
	}
	f.rest = f.rest[n:]
	return v
}

// bytes takes n bytes, which are a part of the record.
func (f *fields) bytes(n uint64) []byte {
	if n > uint64(len(f.rest)) {
		if f.err == nil {
			f.err = errCut
		}
		f.rest = nil
		return nil
	}
	b := f.rest[:n]
	f.rest = f.rest[n:]
	return b
}

// text takes bytes and, before them, how many they are.
func (f *fields) text() []byte { return f.bytes(f.number()) }

// letter takes one byte.
func (f *fields) letter() byte {
	if b := f.bytes(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func appendText(to, text []byte) []byte {
	return append(binary.AppendUvarint(to, uint64(len(text))), text...)
}
