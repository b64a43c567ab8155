//go:build linux

package sys

import (
	"strings"
	"testing"
)

func TestParseStat(t *testing.T) {
	rest := " S 7 " + strings.Repeat("0 ", 17) + "4242 99"
	for name, c := range map[string]struct {
		data string
		want stat
		bad  bool
	}{
		"plain":             {data: "12 (cat)" + rest, want: stat{state: 'S', parent: 7, start: 4242}},
		"brackets in name":  {data: "12 (a) R 1 (b) )" + rest, want: stat{state: 'S', parent: 7, start: 4242}},
		"empty":             {bad: true},
		"cut":               {data: "12 (cat) S 7 0", bad: true},
		"parent no number":  {data: strings.Replace("12 (cat)"+rest, "S 7", "S x", 1), bad: true},
		"start is negative": {data: strings.Replace("12 (cat)"+rest, "4242", "-1", 1), bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseStat([]byte(c.data))
			if (err != nil) != c.bad || !c.bad && got != c.want {
				t.Fatalf("parseStat = %+v, %v, want %+v", got, err, c.want)
			}
		})
	}
}

func TestUnescape(t *testing.T) {
	if got, want := unescape(`/a\040b\134040`), `/a b\040`; got != want {
		t.Fatalf("unescape = %q, want %q", got, want)
	}
}
