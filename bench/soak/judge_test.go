package main

import (
	"strings"
	"testing"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

const (
	unavailable = `{"ok": false, "error": "exec x: the sandbox is gone", "hint": "look", "kind": "unavailable"}`
	internal    = `{"ok": false, "error": "exec x: it broke", "hint": "look", "kind": "internal"}`
	conflict    = `{"ok": false, "error": "it is stopped", "hint": "start it", "kind": "conflict"}`
	notFound    = `{"ok": false, "error": "there is none", "hint": "list", "kind": "not_found"}`
	empty       = `{"ok": false, "error": "", "hint": "list", "kind": "conflict"}`
	hintless    = `{"ok": false, "error": "it broke", "hint": "", "kind": "conflict"}`
)

func TestJudge(t *testing.T) {
	const limit = 10 * time.Second
	right := says("nonce\n")
	for name, tc := range map[string]struct {
		answer answer
		want   want
		wrong  string // part of it; "": nothing is
		done   bool
	}{
		"it works":                       {answer{out: "nonce\n"}, want{check: right}, "", true},
		"a wrong answer":                 {answer{out: "other\n"}, want{check: right}, "a wrong answer", false},
		"a wrong answer after a blow":    {answer{out: "non"}, want{check: right, disturbed: true}, "a wrong answer", false},
		"too late":                       {answer{out: "nonce\n", took: limit + 1}, want{check: right}, "it took 10s", false},
		"too late after a kill":          {answer{code: -1, struck: true, took: limit + 1}, want{}, "it took", false},
		"the code of the command":        {answer{code: 7}, want{code: 7}, "", true},
		"another code":                   {answer{code: 8}, want{code: 7, disturbed: true}, "ended with 8, want 7", false},
		"a code that is as good":         {answer{code: 0}, want{code: 247, also: []int{0}}, "", true},
		"killed by the soak":             {answer{code: -1, struck: true}, want{}, "", false},
		"interrupted by the soak":        {answer{code: 130, struck: true, err: "[error] x\n"}, want{}, "", false},
		"ended before the signal came":   {answer{out: "nonce\n", struck: true}, want{check: right}, "", true},
		"killed by somebody else":        {answer{code: -1}, want{disturbed: true}, "nobody sent", false},
		"interrupted by somebody else":   {answer{code: 130}, want{disturbed: true}, "ended with 130", false},
		"a panic":                        {answer{code: 2, err: "panic: nil map\n\ngoroutine 1 [running]:"}, want{disturbed: true}, "fell over", false},
		"an error after a blow":          {answer{code: 1, out: unavailable}, want{disturbed: true}, "", false},
		"what always works":              {answer{code: 1, out: unavailable}, want{disturbed: true, always: true}, "nobody disturbed", false},
		"an error out of nowhere":        {answer{code: 1, out: unavailable}, want{}, "nobody disturbed", false},
		"an error that explains nothing": {answer{code: 1, out: internal}, want{disturbed: true}, `kind "internal"`, false},
		"an error as text":               {answer{code: 1, err: "[error] it is gone\n[hint] look\n"}, want{disturbed: true}, "", false},
		"an error that says nothing":     {answer{code: 1, out: empty}, want{disturbed: true}, "error is empty", false},
		"an empty error as text":         {answer{code: 1, err: "[error] \n[hint] look\n"}, want{disturbed: true}, "error is empty", false},
		"an error without a hint":        {answer{code: 1, out: hintless}, want{disturbed: true}, "no hint", false},
		"no error at all":                {answer{code: 1}, want{disturbed: true}, "says no error", false},
		"the error that is wanted":       {answer{code: 1, out: conflict}, want{code: 1, kind: api.Conflict}, "", true},
		"success where an error is due":  {answer{}, want{code: 1, kind: api.Conflict}, "ended with 0, want 1", false},
		"gone when its time was over":    {answer{code: 1, out: notFound}, want{mayBeGone: true}, "", false},
		"gone before":                    {answer{code: 1, out: notFound}, want{disturbed: true}, `kind "not found"`, false},
		"an error with code 0":           {answer{out: unavailable}, want{disturbed: true}, "ended with 0", false},
		"stopped beyond its timeout":     {answer{code: 124}, want{disturbed: true}, "", false},
		"a timeout out of nowhere":       {answer{code: 124}, want{}, "ended with 124", false},
	} {
		t.Run(name, func(t *testing.T) {
			tc.want.limit = limit
			wrong, done := judge(tc.answer, tc.want)
			if !strings.Contains(wrong, tc.wrong) || (wrong == "") != (tc.wrong == "") || done != tc.done {
				t.Errorf("judged %q, %v, want %q, %v", wrong, done, tc.wrong, tc.done)
			}
		})
	}
}

func TestPossible(t *testing.T) {
	for name, tc := range map[string]struct {
		n              [2]int
		oldest, newest int
		fine           bool
	}{
		"what was written last": {[2]int{5, 5}, 5, 5, true},
		"what was saved":        {[2]int{3, 3}, 3, 5, true},
		"caught between both":   {[2]int{5, 4}, 3, 5, true},
		"older than saved":      {[2]int{2, 2}, 3, 5, false},
		"from the future":       {[2]int{6, 6}, 3, 5, false},
		"second before first":   {[2]int{4, 5}, 3, 5, false},
		"half lost":             {[2]int{5, 0}, 3, 5, false},
		"never written":         {[2]int{0, 0}, 0, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			if wrong := possible(tc.n, tc.oldest, tc.newest); (wrong == "") != tc.fine {
				t.Errorf("%v between %d and %d: %q", tc.n, tc.oldest, tc.newest, wrong)
			}
		})
	}
}

// What was lost with a blow is not saved by the next time the disk is.
func TestHeldForgetsWhatWasLost(t *testing.T) {
	saved := func(at time.Time) answer {
		return answer{out: `{"state": "started", "last_saved_at": ` + api.At(at).String() + `}`}
	}
	began := time.Now()
	h := &held{confirmed: make(map[int]time.Time), written: 1, attempted: 1, saved: 1}
	h.confirm(2)
	h.learn(saved(began.Add(-time.Minute)))
	if h.saved != 1 {
		t.Errorf("saved is %d by a saving before", h.saved)
	}
	h.found(1)
	h.learn(saved(time.Now().Add(time.Minute)))
	if h.saved != 1 || h.written != 1 {
		t.Errorf("saved is %d and written %d, though 2 was lost", h.saved, h.written)
	}
	h.confirm(3)
	h.learn(saved(time.Now().Add(time.Minute)))
	if h.saved != 3 {
		t.Errorf("saved is %d by a saving after", h.saved)
	}
}
