package mcpserver

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// nasty has every kind of character that JSON writes in another way.
var nasty = "plain \"quoted\" back\\slash <tag> & \x00\x01\x1b[31m \b\f\n\r\t é 漢字 🙂 \u2028 \ufffd \x7f"

func TestCostIsThatOfJSON(t *testing.T) {
	t.Parallel()
	for _, r := range nasty {
		if got, want := cost(string(r)), size(string(r))-2; got != want {
			t.Errorf("%q costs %d, and has %d characters", r, got, want)
		}
	}
}

func TestHeadAndTailFits(t *testing.T) {
	t.Parallel()
	texts := map[string]string{
		"plain": strings.Repeat("line of text\n", 10_000), "controls": strings.Repeat("\x1b", 100_000), "wide": strings.Repeat("漢", 100_000),
		"nasty": strings.Repeat(nasty, 1000), "no UTF-8": strings.Repeat("a\xff\xfe", 50_000),
	}
	for name, text := range texts {
		for _, room := range []int{0, 1, 40, 41, 100, 5000} {
			got, cut := headAndTail(text, int64(len(text)), room)
			if n := cost(got); n > room || !cut || !utf8.ValidString(got) {
				t.Errorf("%s in %d: %d characters, cut %t", name, room, n, cut)
			}
		}
	}
}

func TestHeadAndTailKeepsWhatFits(t *testing.T) {
	t.Parallel()
	if got, cut := headAndTail("a\nb", 3, 4); got != "a\nb" || cut {
		t.Errorf("got %q, %t", got, cut)
	}
	got, _ := headAndTail(strings.Repeat("a", 500)+strings.Repeat("b", 500), 1000, 130)
	if want := strings.Repeat("a", 32) + "\n[... 903 bytes left out ...]\n" + strings.Repeat("b", 65); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestHeadAndTailNeverJoinsOverAGap has a text of whose middle most is gone already.
func TestHeadAndTailNeverJoinsOverAGap(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("é", 100) + strings.Repeat("ü", 100)
	got, cut := headAndTail(text, 1_000_000, 5000)
	want := strings.Repeat("é", 100) + leftOut(1_000_000-400) + strings.Repeat("ü", 100)
	if got != want || !cut {
		t.Errorf("got %q, %t", got, cut)
	}
}

func TestSqueeze(t *testing.T) {
	t.Parallel()
	type thing struct {
		ID    string
		Inner *struct{ Text string }
		List  []string
		Map   map[string]string
		part
	}
	long := strings.Repeat("\x01", 5000)
	big := thing{ID: "0123456789ab", Inner: &struct{ Text string }{long}, List: []string{long, "b"}, Map: map[string]string{"a": long, "b": long}}
	for range 5000 {
		big.List = append(big.List, "abc")
	}
	if !squeeze(&big, 3000) || size(big) > 3000 || big.ID != "0123456789ab" {
		t.Errorf("%d characters: %+v", size(big), big)
	}
	small := thing{ID: "x"}
	if squeeze(&small, 3000) {
		t.Error("changed what fits")
	}
}

func TestSharesDivideAll(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ room, first, second, wantFirst, wantSecond int }{
		{100, 10, 500, 10, 90}, {100, 500, 10, 90, 10}, {100, 500, 500, 50, 50}, {101, 500, 500, 50, 51}, {-5, 10, 10, 0, 0},
	} {
		a, b := shares(test.room, test.first, test.second)
		if a != test.wantFirst || b != test.wantSecond {
			t.Errorf("shares(%d, %d, %d) = %d, %d", test.room, test.first, test.second, a, b)
		}
	}
}

func TestMoreIsACall(t *testing.T) {
	t.Parallel()
	name, arguments, _ := strings.Cut(*more("workspace_logs", "workspace_id", "ab", "paths", []string{"a \"b\""}, "n", 3), " ")
	var got map[string]any
	if err := json.Unmarshal([]byte(arguments), &got); err != nil || name != "workspace_logs" || len(got) != 3 {
		t.Errorf("%s %s: %v", name, arguments, err)
	}
}

func TestCutPatchKeepsWholeFiles(t *testing.T) {
	t.Parallel()
	file := func(name string, lines int) string {
		return "diff --git a/" + name + " b/" + name + "\n--- a/" + name + "\n+++ b/" + name + "\n" + strings.Repeat("+line\n", lines)
	}
	a, b, c := file("a", 5), file("b b/b", 500), file("c", 5)
	for name, test := range map[string]struct {
		patch, want, next string
		room              int
	}{
		"all":        {a + b + c, a + b + c, "", 10_000},
		"whole file": {a + b + c, a, "b b/b", 1000},
		"none":       {"", "", "", 0},
	} {
		got, rest := cutPatch(test.patch, test.room)
		if got != test.want || fileOfPatch(rest) != test.next {
			t.Errorf("%s: %q, then %q", name, got, fileOfPatch(rest))
		}
	}
	got, rest := cutPatch(b+c, 1000)
	if !strings.HasPrefix(b, got[:500]) || !strings.Contains(got, "left out") || cost(got) > 1000 || rest != b+c {
		t.Errorf("the beginning of a long file: %q", got)
	}
}

func TestCutRune(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"": 0, "a": 0, "é": 0, "a\xc3": 1, "🙂": 0, "a\xf0\x9f": 2, "\xf0\x9f\x99": 3, "\xff": 0, "é\xa9": 0} {
		if got := cutRune([]byte(text)); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}
