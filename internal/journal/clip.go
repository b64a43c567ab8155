package journal

import (
	"fmt"
	"math"
	"unicode/utf8"
)

// Clip shortens text to at most limit bytes by cutting out its middle, where a mark
// then says how many bytes are missing. It cuts no character in two, and reports
// whether it cut. A limit too small for the mark leaves the head alone.
func Clip(text string, limit int) (clipped string, cut bool) {
	if len(text) <= limit {
		return text, false
	}
	half := (limit - len(cutMark(math.MaxInt))) / 2
	if half <= 0 {
		return text[:floor(text, max(limit, 0))], true
	}
	head, tail := floor(text, half), ceil(text, len(text)-half)
	return text[:head] + cutMark(tail-head) + text[tail:], true
}

func cutMark(n int) string { return fmt.Sprintf("\n[pyro: %d bytes are cut out here]\n", n) }

// floor is the last place at or before i where a character begins. Bytes that are no
// UTF-8 are characters of one byte, so it never lies far before i.
func floor(text string, i int) int {
	if i >= len(text) {
		return i
	}
	for j := i; j >= 0 && j > i-utf8.UTFMax; j-- {
		if utf8.RuneStart(text[j]) {
			if _, n := utf8.DecodeRuneInString(text[j:]); j+n > i {
				return j
			}
			break
		}
	}
	return i
}

// ceil is the first place at or behind i where a character begins.
func ceil(text string, i int) int {
	start := floor(text, i)
	if start == i {
		return i
	}
	_, n := utf8.DecodeRuneInString(text[start:])
	return start + n
}
