package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestError(t *testing.T) {
	cause := errors.New("disk full")
	for name, test := range map[string]struct {
		err  error
		text string
		kind Kind
		hint string
	}{
		"kind alone":       {NotFound, "not found", NotFound, ""},
		"nothing but kind": {&Error{Kind: NotFound}, "not found", NotFound, ""},
		"operation":        {&Error{Kind: Timeout, Op: "exec"}, "exec: timeout", Timeout, ""},
		"id":               {&Error{Kind: Timeout, ID: "abc"}, "abc: timeout", Timeout, ""},
		"operation and id": {&Error{Kind: Timeout, Op: "exec", ID: "abc"}, "exec abc: timeout", Timeout, ""},
		"cause takes the place of the kind": {
			&Error{Kind: Unavailable, Op: "exec", ID: "abc", Err: cause}, "exec abc: disk full", Unavailable, "",
		},
		"hint is not printed": {&Error{Kind: Invalid, Hint: "try again", Err: cause}, "disk full", Invalid, "try again"},
		"outermost kind and hint count": {
			&Error{Kind: Conflict, Op: "create", Hint: "outer", Err: &Error{Kind: Exists, Hint: "inner", Err: cause}},
			"create: disk full", Conflict, "outer",
		},
		"inner hint where the outer has none": {
			&Error{Kind: Conflict, Op: "create", Err: &Error{Kind: Exists, Op: "store", Hint: "inner"}},
			"create: store: exists", Conflict, "inner",
		},
		"wrapped in text": {
			fmt.Errorf("again: %w", &Error{Kind: Denied, Hint: "ask", Err: cause}), "again: disk full", Denied, "ask",
		},
		"hint below text below an error": {
			&Error{Kind: Internal, Err: fmt.Errorf("again: %w", &Error{Kind: Denied, Hint: "ask"})}, "again: denied", Internal, "ask",
		},
		"kind below text":     {fmt.Errorf("again: %w", Expired), "again: expired", Expired, ""},
		"one of two":          {errors.Join(cause, &Error{Kind: Exists, Hint: "rename it"}), "disk full\nexists", Exists, "rename it"},
		"an error of another": {fs.ErrNotExist, "file does not exist", Internal, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := []string{test.err.Error(), string(KindOf(test.err)), HintOf(test.err)}
			if diff := cmp.Diff([]string{test.text, string(test.kind), test.hint}, got); diff != "" {
				t.Errorf("text, kind, hint (-want +got):\n%s", diff)
			}
		})
	}
}

func TestErrorIsItsKindAndItsCause(t *testing.T) {
	err := error(&Error{Kind: Conflict, Op: "create", Err: fmt.Errorf("open: %w", &Error{Kind: Denied, Err: fs.ErrPermission})})
	for _, target := range []error{Conflict, Denied, fs.ErrPermission} {
		if !errors.Is(err, target) {
			t.Errorf("%v is not %v", err, target)
		}
	}
	for _, target := range []error{NotFound, fs.ErrNotExist} {
		if errors.Is(err, target) {
			t.Errorf("%v is %v", err, target)
		}
	}
}

func TestKindsInWords(t *testing.T) {
	kinds := []Kind{Invalid, NotFound, Exists, Conflict, Expired, Unsupported, Unavailable, Timeout, Denied, Canceled, Internal}
	var words, wire []string
	for _, k := range kinds {
		words, wire = append(words, k.Error()), append(wire, string(k))
	}
	if diff := cmp.Diff([]string{
		"invalid", "not_found", "exists", "conflict", "expired", "unsupported", "unavailable", "timeout", "denied", "canceled", "internal",
	}, wire); diff != "" {
		t.Errorf("on the wire (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{
		"invalid", "not found", "exists", "conflict", "expired", "unsupported", "unavailable", "timeout", "denied", "canceled", "internal",
	}, words); diff != "" {
		t.Errorf("in words (-want +got):\n%s", diff)
	}
}

func TestErrorReply(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want ErrorReply
	}{
		"of an Error": {
			&Error{Kind: NotFound, Op: "delete workspace", ID: "abc", Hint: "look", Err: errors.New("gone")},
			ErrorReply{Error: "delete workspace abc: gone", Kind: NotFound, Hint: "look"},
		},
		"of any other": {errors.New("oops"), ErrorReply{Error: "oops", Kind: Internal}},
		"of a kind":    {Timeout, ErrorReply{Error: "timeout", Kind: Timeout}},
	} {
		t.Run(name, func(t *testing.T) {
			reply := ReplyTo(test.err)
			if diff := cmp.Diff(test.want, reply); diff != "" {
				t.Fatalf("(-want +got):\n%s", diff)
			}
			raw, err := json.Marshal(reply)
			if err != nil {
				t.Fatal(err)
			}
			var read ErrorReply
			if err := json.Unmarshal(raw, &read); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, ReplyTo(read.Err())); diff != "" {
				t.Errorf("after a round trip (-want +got):\n%s", diff)
			}
			if !errors.Is(read.Err(), test.want.Kind) {
				t.Errorf("%v lost its kind %s", read.Err(), test.want.Kind)
			}
		})
	}
}

func TestReplyWithoutKindIsInternal(t *testing.T) {
	if err := (ErrorReply{Error: "oops"}).Err(); KindOf(err) != Internal || err.Error() != "oops" {
		t.Errorf("%v of kind %s", err, KindOf(err))
	}
}

func TestStatusOfEveryKind(t *testing.T) {
	for kind, want := range map[Kind]int{
		Invalid: 400, Denied: 403, NotFound: 404, Exists: 409, Conflict: 409, Expired: 410,
		Unsupported: 501, Unavailable: 503, Canceled: 503, Timeout: 504, Internal: 500, "other": 500,
	} {
		if got := kind.Status(); got != want {
			t.Errorf("%s: %d, want %d", kind, got, want)
		}
	}
}
