package agent

import (
	"slices"
	"sort"
	"unicode/utf8"
)

// ringBlock is the size in bytes of the pieces in which a ring grows and forgets.
const ringBlock = 16 << 10

// ring keeps the end of an endless text. Places in it are counted in code points from
// the text's beginning, and stay the same whatever is forgotten.
type ring struct {
	limit  int // bytes that are kept at most
	blocks []ringPiece
	size   int   // bytes
	end    int64 // code points that were written
}

// ringPiece is up to ringBlock bytes of whole code points.
type ringPiece struct {
	first int64 // the place of its first one
	text  []byte
}

// write adds text, which is valid UTF-8.
func (r *ring) write(text []byte) {
	for len(text) > 0 {
		last := len(r.blocks) - 1
		if last < 0 || len(r.blocks[last].text)+utf8.UTFMax > ringBlock {
			fresh := r.spare() // which may change the list
			r.blocks = append(r.blocks, ringPiece{first: r.end, text: fresh})
			last = len(r.blocks) - 1
		}
		b := &r.blocks[last]
		n := min(len(text), ringBlock-len(b.text))
		for n < len(text) && !utf8.RuneStart(text[n]) {
			n--
		}
		b.text = append(b.text, text[:n]...)
		r.end += int64(utf8.RuneCount(text[:n]))
		r.size += n
		text = text[n:]
	}
	r.bound(r.limit)
}

// bound changes the limit, which at least one piece does not mind.
func (r *ring) bound(limit int) {
	r.limit = limit
	for r.size > r.limit && len(r.blocks) > 1 {
		r.forget()
	}
}

// spare is memory for a new piece: that of the oldest one where it is to go anyway. The
// list itself moves, so what is forgotten is kept nowhere.
func (r *ring) spare() []byte {
	if r.size < r.limit || len(r.blocks) < 2 {
		return nil
	}
	text := r.blocks[0].text[:0]
	r.forget()
	return text
}

func (r *ring) forget() {
	r.size -= len(r.blocks[0].text)
	copy(r.blocks, r.blocks[1:])
	r.blocks[len(r.blocks)-1] = ringPiece{}
	r.blocks = r.blocks[:len(r.blocks)-1]
}

// oldest is the place of the first code point that is kept.
func (r *ring) oldest() int64 {
	if len(r.blocks) == 0 {
		return r.end
	}
	return r.blocks[0].first
}

// read returns up to most code points from a place on: the text, and the place of its
// first code point, which is another where the one asked for is not kept any more or
// does not exist yet. When it returns fewer than it may, there are no more.
func (r *ring) read(from int64, most int) (text []byte, first int64) {
	first = min(max(from, r.oldest()), r.end)
	i := sort.Search(len(r.blocks), func(i int) bool { return r.blocks[i].first > first }) - 1
	if i < 0 {
		return nil, first
	}
	piece := skipRunes(r.blocks[i].text, first-r.blocks[i].first)
	for {
		rest := skipRunes(piece, int64(most))
		text = append(text, piece[:len(piece)-len(rest)]...)
		if most -= utf8.RuneCount(piece[:len(piece)-len(rest)]); most <= 0 || i+1 == len(r.blocks) {
			return text, first
		}
		i++
		piece = r.blocks[i].text
	}
}

// skipRunes is what comes after the first n code points.
func skipRunes(text []byte, n int64) []byte {
	for ; n > 0 && len(text) > 0; n-- {
		_, size := utf8.DecodeRune(text)
		text = text[size:]
	}
	return text
}

// decoder turns bytes that come in pieces into text: each byte that belongs to no
// character becomes U+FFFD, as in a range over a string.
type decoder struct{ part []byte } // a character whose end has not come

// decode appends the text of the next piece to dst; final says that nothing follows.
func (d *decoder) decode(dst, piece []byte, final bool) []byte {
	if len(d.part) > 0 {
		piece = slices.Concat(d.part, piece)
	}
	dst, rest := decodeWhole(dst, piece, final)
	d.part = append(d.part[:0], rest...)
	return dst
}

// decodeWhole decodes what can be told and returns what cannot.
func decodeWhole(dst, piece []byte, final bool) (text, rest []byte) {
	if utf8.Valid(piece) {
		return append(dst, piece...), nil
	}
	for len(piece) > 0 && (final || utf8.FullRune(piece)) {
		r, size := utf8.DecodeRune(piece)
		dst = utf8.AppendRune(dst, r)
		piece = piece[size:]
	}
	return dst, piece
}
