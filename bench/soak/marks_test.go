package main

import (
	"testing"
	"time"
)

func TestMarks(t *testing.T) {
	m := newMarks()
	m.learn("known", true)
	m.hit("known", time.Second)
	m.hit("new", 0)
	m.hitAll()
	m.hit("known", 2*time.Second)
	for name, tc := range map[string]struct {
		got    mark
		blows  int
		frozen time.Duration
	}{
		"a known one":            {m.of("known"), 3, 3 * time.Second},
		"one that was not known": {m.of("new"), 2, 0},
		"one that was not hit":   {m.of("third"), 1, 0},
		"all without a name":     {m.anonymous(), 2, 0},
		"everything":             {m.everything(), 1, 0},
	} {
		if tc.got.blows != tc.blows || tc.got.frozen != tc.frozen || tc.got.last.IsZero() {
			t.Errorf("%s: %+v, want %d blows and %v", name, tc.got, tc.blows, tc.frozen)
		}
	}
	m.learn("known", false)
	if got := m.of("known"); got.blows != 1 {
		t.Errorf("of a forgotten one it knows %+v", got)
	}
}

func TestOneIsAKnownOne(t *testing.T) {
	m := newMarks()
	first := func(int) int { return 0 }
	if got := m.one(first); got != "" {
		t.Errorf("of none it chose %q", got)
	}
	m.hit("stranger", 0)
	m.learn("known", true)
	if got := m.one(first); got != "known" {
		t.Errorf("it chose %q", got)
	}
}
