package cli

import (
	"bytes"
	"io"
	"strings"
	"sync"
)

// usualDetach is what leaves a shell that one is attached to.
const usualDetach = "ctrl-p,ctrl-q"

// parseKeys reads a list of keys: characters, and control characters as ctrl-X, with a
// comma or blank between them. No key at all is "none".
func parseKeys(text string) ([]byte, error) {
	if text == "none" {
		return nil, nil
	}
	var keys []byte
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		key, isControl := strings.CutPrefix(strings.ToLower(word), "ctrl-")
		switch {
		case isControl && len(key) == 1 && strings.Contains("abcdefghijklmnopqrstuvwxyz[\\]^_@", key):
			keys = append(keys, strings.ToUpper(key)[0]&0x1f)
		case !isControl && len(word) == 1 && word[0] > ' ' && word[0] < 0x7f:
			keys = append(keys, word[0])
		default:
			return nil, badKeys(text)
		}
	}
	if len(keys) == 0 {
		return nil, badKeys(text)
	}
	return keys, nil
}

func badKeys(text string) error {
	return invalid("detach_keys "+quote(text)+" are no keys", "for example --detach-keys ctrl-p,ctrl-q, or none")
}

// keyboard passes on what is typed until the keys are typed in a row. What may be the
// beginning of them is held back until the next key.
type keyboard struct {
	from io.Reader
	keys []byte // none: nothing is watched for
	seat *seat  // given back where this panics

	matched int    // of keys, so far
	ready   []byte // to be passed on
	err     error  // then

	once sync.Once
	left chan struct{} // closed when the keys were typed, and all before them was read
}

func newKeyboard(from io.Reader, keys []byte, s *seat) *keyboard {
	return &keyboard{from: from, keys: keys, seat: s, left: make(chan struct{})}
}

// Read implements io.Reader. After the keys it is at its end.
func (k *keyboard) Read(p []byte) (int, error) {
	defer k.seat.guard()
	for len(k.ready) == 0 && k.err == nil {
		n, err := k.from.Read(p)
		k.ready, k.err = k.watch(p[:n]), err
		if k.typed() {
			k.err = io.EOF
		} else if err != nil {
			k.ready = append(k.ready, k.keys[:k.matched]...)
		}
	}
	if len(k.ready) > 0 {
		n := copy(p, k.ready)
		k.ready = k.ready[n:]
		return n, nil
	}
	if k.typed() { // and what came before them was read and is passed on
		k.once.Do(func() { close(k.left) })
	}
	return 0, k.err
}

// typed reports whether the keys were.
func (k *keyboard) typed() bool { return len(k.keys) > 0 && k.matched == len(k.keys) }

// watch returns what of text is to be passed on, what was held back before it included.
func (k *keyboard) watch(text []byte) []byte {
	if len(k.keys) == 0 {
		return bytes.Clone(text)
	}
	var out []byte
	for _, b := range text {
		for k.matched > 0 && b != k.keys[k.matched] { // what is held may end with another beginning of them
			shorter := k.matched - 1
			for !bytes.HasSuffix(k.keys[:k.matched], k.keys[:shorter]) {
				shorter--
			}
			out = append(out, k.keys[:k.matched-shorter]...)
			k.matched = shorter
		}
		if b != k.keys[k.matched] {
			out = append(out, b)
			continue
		}
		if k.matched++; k.matched == len(k.keys) {
			return out
		}
	}
	return out
}
