package httpapi

import (
	"fmt"
	"reflect"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/pyro-sandbox/pyro/api"
)

// oaFrames says which frames go over a connection that was upgraded. It is an extension:
// OpenAPI has no words for that.
type oaFrames struct {
	Asked   string             `json:"asked"` // required, or optional: without it the answer is JSON
	Send    map[string]string  `json:"send"`
	Receive map[string]string  `json:"receive"`
	Head    *jsonschema.Schema `json:"head,omitempty"`
	End     *jsonschema.Schema `json:"end"`
	Fail    *jsonschema.Schema `json:"fail"`
}

// frameWords are the frames of an operation: what the client may send, what it gets, and
// what an h is.
type frameWords struct {
	send, receive map[string]string
	head          any
	end           any // in place of what the route says
}

// ShellExit is the last frame of a shell.
type ShellExit struct {
	Code       int   `json:"exit_code"`
	DurationMS int64 `json:"duration_ms"`
}

var (
	archive = map[string]string{"o": "the archive, piece by piece"}

	framed = map[string]frameWords{
		"exec": {
			send: map[string]string{
				"i": "stdin, if the request says that it follows; an empty one is its end",
				"s": "JSON `{\"name\": \"INT\"}`: a signal for the command: HUP, INT, QUIT, TERM, KILL, USR1 or USR2",
				"r": "JSON `{\"cols\": 80, \"rows\": 24}`: the size of the terminal, if there is one",
			},
			receive: map[string]string{"o": "stdout", "e": "stderr"},
		},
		"readFileContent": {receive: map[string]string{"o": "what the file holds, piece by piece"}},
		"exportTree":      {receive: map[string]string{"h": "what the path is, and what of the seed could run by itself; there may be several", "o": "the archive"}, head: api.TreeHead{}},
		"changes":         {receive: map[string]string{"h": "a difference", "o": "what the file of the last h holds", "e": "what it held before"}, head: api.TreeChange{}},
		"diff":            {receive: map[string]string{"o": "the patch, piece by piece"}},
		"attachShell": {
			send:    map[string]string{"i": "what is typed", "r": "JSON `{\"cols\": 80, \"rows\": 24}`: the size of the terminal"},
			receive: map[string]string{"o": "what the shell prints"},
			end:     ShellExit{},
		},
		"followService": {receive: map[string]string{"o": "stdout", "e": "stderr"}},
		"followEvents":  {receive: map[string]string{"o": "JSON: one Event"}},
		"exportDisk":    {receive: archive},
	}
)

func framesAbout(r route) string {
	switch {
	case !r.frames:
		return ""
	case r.answer == nil:
		return fmt.Sprintf("The request has to ask for an upgrade (`Connection: Upgrade`, `Upgrade: %s`); the answer is then 101, and a stream of frames.", api.Frames)
	case r.id == "diff":
		return fmt.Sprintf("With `format=patch` the request has to ask for an upgrade (`Connection: Upgrade`, `Upgrade: %s`); the answer is then 101, and a stream of frames.", api.Frames)
	default:
		return fmt.Sprintf("A request that asks for an upgrade (`Connection: Upgrade`, `Upgrade: %s`) is answered with 101, and a stream of frames.", api.Frames)
	}
}

func (o *operations) frames(r route) *oaFrames {
	w := framed[r.id]
	f := &oaFrames{Asked: "required", Send: w.send, Receive: map[string]string{
		"x": "JSON: how it ended, the last frame", "f": "JSON: why it failed, the last frame in place of x",
	}}
	if r.answer != nil {
		f.Asked = "optional"
	}
	for letter, text := range w.receive {
		f.Receive[letter] = text
	}
	if f.Send == nil {
		f.Send = map[string]string{}
	}
	if w.head != nil {
		f.Head = o.schemas.ref(reflect.TypeOf(w.head), answered)
	}
	end := r.end
	if w.end != nil {
		end = w.end
	}
	f.End, f.Fail = o.schemas.ref(reflect.TypeOf(end), answered), o.schemas.ref(reflect.TypeFor[api.ErrorReply](), answered)
	return f
}
