package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

// want is what a call may come to.
type want struct {
	code      int                 // how it ends if nobody disturbs it
	also      []int               // other codes, with nothing to check
	kind      api.Kind            // with code 1: the error it ends with if nobody disturbs it
	check     func(answer) string // says what is wrong with a call that ended so; nil: nothing can be
	limit     time.Duration       // how long it may take
	disturbed bool                // something that it needs was struck
	mayBeGone bool                // the workspace may have ended: its time was over, or it was deleted
	always    bool                // it works whatever is struck
}

// blamed are the kinds of error that a blow may lead to.
var blamed = []api.Kind{api.Unavailable, api.Conflict, api.Timeout, api.Canceled}

// crashes are words of a program that fell over.
var crashes = []string{"panic:", "goroutine ", "fatal error:", "runtime error", "SIGSEGV", "DATA RACE"}

// The exit codes of a command line that a signal was sent to: none after SIGKILL, its
// own after SIGINT and SIGTERM, and those of a command in the sandbox that got them.
var struckCodes = []int{-1, 130, 143, 256 - 2, 256 - 15}

// judge says what is wrong with an answer, "" if nothing is, and whether the call did
// what it was for.
func judge(a answer, w want) (wrong string, done bool) {
	for _, word := range crashes {
		if strings.Contains(a.out, word) || strings.Contains(a.err, word) {
			return fmt.Sprintf("it fell over: %q", word), false
		}
	}
	switch {
	case a.took > w.limit:
		return fmt.Sprintf("it took %v, allowed were %v", a.took.Round(time.Millisecond), w.limit), false
	case a.struck && slices.Contains(struckCodes, a.code):
		return "", false
	case a.code == w.code && w.kind == "" && !a.saysError():
		return judgeOutput(a, w)
	case slices.Contains(w.also, a.code) && !a.saysError():
		return "", true
	case a.code == 1:
		return judgeError(a, w)
	case a.code == 124 && w.disturbed:
		return "", false // what it ran in was stopped for longer than its timeout
	case a.code < 0:
		return "a signal ended it that nobody sent", false
	}
	return fmt.Sprintf("it ended with %d, want %d", a.code, w.code), false
}

func judgeOutput(a answer, w want) (string, bool) {
	if w.check == nil {
		return "", true
	}
	wrong := w.check(a)
	return wrong, wrong == ""
}

// saysError reports whether pyro itself failed, and not the command in the sandbox.
func (a answer) saysError() bool {
	_, ok := a.reply()
	return ok
}

// reply is the error that an answer holds. The kind is known only of calls with --json.
func (a answer) reply() (api.ErrorReply, bool) {
	var r api.ErrorReply
	if strings.HasPrefix(a.out, "{") {
		var named struct {
			OK *bool `json:"ok"`
		}
		if json.Unmarshal([]byte(a.out), &named) == nil && named.OK != nil && !*named.OK {
			return r, json.Unmarshal([]byte(a.out), &r) == nil
		}
	}
	for line := range strings.Lines(a.err) {
		line = strings.TrimSpace(line)
		if text, ok := strings.CutPrefix(line, "[error]"); ok {
			r.Error = strings.TrimSpace(text)
		}
		if text, ok := strings.CutPrefix(line, "[hint]"); ok {
			r.Hint = strings.TrimSpace(text)
		}
	}
	return r, r.Error != "" || strings.Contains(a.err, "[error]")
}

func judgeError(a answer, w want) (string, bool) {
	r, ok := a.reply()
	switch {
	case !ok:
		return "it ended with 1 and says no error", false
	case r.Error == "":
		return "its error is empty", false
	case r.Hint == "" && r.Kind != api.Canceled && !a.struck:
		return "its error has no hint", false
	case w.kind != "" && r.Kind == w.kind:
		return "", true
	case w.mayBeGone && (r.Kind == api.NotFound || r.Kind == api.Expired || r.Kind == ""):
		return "", false
	case (!w.disturbed || w.always) && !a.struck:
		return "it failed although nobody disturbed it", false
	case r.Kind != "" && !slices.Contains(blamed, r.Kind):
		return fmt.Sprintf("a blow explains no error of kind %q", r.Kind), false
	}
	return "", false
}
