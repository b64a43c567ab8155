package wire

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
)

// frame is a frame as bytes.
func frame(t FrameType, payload string) string {
	var b bytes.Buffer
	_ = WriteFrame(&b, t, []byte(payload)) // short payloads only
	return b.String()
}

// drain reads a stream to its end and prints what came.
func drain(s *Stream) (out []string, err error) {
	for {
		f, err := s.ReadFrame()
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out = append(out, string(f.Type)+string(f.Payload))
	}
}

func TestStream(t *testing.T) {
	exit := frame(FrameExit, `{"exit_code":0}`)
	for name, tc := range map[string]struct {
		reply string
		want  []string
		err   error
	}{
		"output and exit":         {frame('o', "a") + frame('e', "b") + exit, []string{"oa", "eb", `x{"exit_code":0}`}, nil},
		"failure":                 {frame('f', `{"error":"no"}`), []string{`f{"error":"no"}`}, nil},
		"empty frame":             {frame('o', "") + exit, []string{"o", `x{"exit_code":0}`}, nil},
		"output after the exit":   {exit + frame('o', "late"), []string{`x{"exit_code":0}`}, nil},
		"second exit":             {exit + frame('x', `{"exit_code":1}`), []string{`x{"exit_code":0}`}, nil},
		"no exit":                 {frame('o', "a"), []string{"oa"}, io.ErrUnexpectedEOF},
		"nothing":                 {"", nil, io.ErrUnexpectedEOF},
		"end in a head":           {"o\x00\x00", nil, io.ErrUnexpectedEOF},
		"end in a payload":        {"o\x00\x00\x00\x09abc", nil, io.ErrUnexpectedEOF},
		"too long":                {"o\x00\x10\x00\x01", nil, ErrProtocol},
		"longest length":          {"o\xff\xff\xff\xff", nil, ErrProtocol},
		"frame of the host":       {frame('i', "a"), nil, ErrProtocol},
		"unknown frame":           {frame('z', "a"), nil, ErrProtocol},
		"agent without streams":   {`{"stdout":"","stderr":"","exit_code":0,"duration_ms":1}` + "\n", nil, api.Unsupported},
		"refused request":         {`{"error":"unknown action","kind":"unsupported"}` + "\n", nil, api.Unsupported},
		"reply between frames":    {frame('o', "a") + `{"stdout":"late"}`, []string{"oa"}, ErrProtocol},
		"endless reply, no frame": {"{" + strings.Repeat("a", 2*MaxShortLine), nil, ErrProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := fakeAgent(t, answering(tc.reply))
			s, err := c.Stream(t.Context(), StreamRequest{Argv: []string{"true"}})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			got, err := drain(s)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("frames (-want +got):\n%s", diff)
			}
			if !errors.Is(err, tc.err) || (err == nil) != (tc.err == nil) {
				t.Errorf("error %v, want %v", err, tc.err)
			}
			if _, err := s.ReadFrame(); !errors.Is(err, io.EOF) {
				t.Errorf("behind the end: %v, want io.EOF", err)
			}
		})
	}
}

func TestStreamSendsFrames(t *testing.T) {
	var got []string
	c, _ := fakeAgent(t, func(conn net.Conn, r *bufio.Reader) {
		line, _ := ReadLine(r, MaxRequestLine)
		got = append(got, string(line))
		var buf []byte
		for range 3 {
			f, err := ReadFrame(r, &buf)
			if err != nil {
				return
			}
			got = append(got, string(f.Type)+string(f.Payload))
		}
		_, _ = io.WriteString(conn, frame('x', `{"exit_code":0}`))
	})
	s, err := c.Stream(t.Context(), StreamRequest{Argv: []string{"cat"}, Stdin: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, payload := range []string{"text", ""} {
		if err := s.WriteFrame(FrameStdin, []byte(payload)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.WriteFrame(FrameSignal, []byte(`{"name":"TERM"}`)); err != nil {
		t.Fatal(err)
	}
	if err := s.WriteFrame(FrameStdin, make([]byte, MaxFrame+1)); err == nil {
		t.Error("a frame beyond the limit was sent")
	}
	if _, err := drain(s); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	want := []string{`{"action":"exec_stream","argv":["cat"],"stdin":true}`, "itext", "i", `s{"name":"TERM"}`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
}

func TestStreamEnds(t *testing.T) {
	for name, end := range map[string]struct {
		by   func(*Stream, context.CancelFunc)
		want error
	}{
		"by its context": {func(_ *Stream, cancel context.CancelFunc) { cancel() }, api.Canceled},
		"by Close":       {func(s *Stream, _ context.CancelFunc) { _ = s.Close(); _ = s.Close() }, api.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			c, _ := fakeAgent(t, silent)
			s, err := c.Stream(ctx, StreamRequest{Argv: []string{"cat"}, Stdin: true})
			if err != nil {
				t.Fatal(err)
			}
			go end.by(s, cancel) // ends at once
			if _, err := s.ReadFrame(); !errors.Is(err, end.want) {
				t.Errorf("read: error %v of kind %q, want %v", err, api.KindOf(err), end.want)
			}
			if err := s.WriteFrame(FrameStdin, []byte("x")); err == nil {
				t.Error("write after the end: no error")
			}
		})
	}
}

func TestExitFrame(t *testing.T) {
	for name, tc := range map[string]struct {
		payload string
		want    Exit
		bad     bool
	}{
		"status":        {`{"exit_code":3,"duration_ms":2,"duration_us":2100}`, Exit{Code: 3, DurationMS: 2, DurationUS: 2100}, false},
		"signal":        {`{"exit_code":-9,"reason":"oom","new":1}`, Exit{Code: -9, Reason: api.EndedByOOM}, false},
		"no status":     {`{}`, Exit{}, true},
		"other case":    {`{"Exit_Code":0}`, Exit{}, true},
		"null status":   {`{"exit_code":null}`, Exit{}, true},
		"large status":  {`{"exit_code":256}`, Exit{}, true},
		"large signal":  {`{"exit_code":-65}`, Exit{}, true},
		"negative time": {`{"exit_code":0,"duration_us":-1}`, Exit{}, true},
		"no JSON":       {`exit`, Exit{}, true},
		"two objects":   {`{}{}`, Exit{}, true},
		"repeated key":  {`{"exit_code":1,"exit_code":0}`, Exit{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Frame{Type: FrameExit, Payload: []byte(tc.payload)}.Exit()
			if tc.bad != errors.Is(err, ErrProtocol) {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(tc.want, got); !tc.bad && diff != "" {
				t.Errorf("exit (-want +got):\n%s", diff)
			}
		})
	}
	if _, err := (Frame{Type: FrameStdout}).Exit(); !errors.Is(err, ErrProtocol) {
		t.Errorf("exit of another frame: %v", err)
	}
}

func TestFailureFrame(t *testing.T) {
	err := Frame{Type: FrameFail, Payload: []byte(`{"error":"no such program","kind":"not_found"}`)}.Failure()
	if err == nil || err.Error() != "no such program" || !errors.Is(err, api.NotFound) {
		t.Errorf("failure %v of kind %q", err, api.KindOf(err))
	}
	for _, payload := range []string{``, `{}`, `{"error":null}`, `[]`} {
		if err := (Frame{Type: FrameFail, Payload: []byte(payload)}).Failure(); !errors.Is(err, ErrProtocol) {
			t.Errorf("failure of %q: %v, want ErrProtocol", payload, err)
		}
	}
}

func TestReadFrameReusesItsBuffer(t *testing.T) {
	r := strings.NewReader(frame('o', "first") + frame('o', "2"))
	buf := make([]byte, 0, 16)
	first, err := ReadFrame(r, &buf)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFrame(r, &buf); err != nil || string(first.Payload) != "2irst" {
		t.Errorf("the first payload became %q, error %v", first.Payload, err)
	}
	if _, err := ReadFrame(r, &buf); err != io.EOF {
		t.Errorf("at the end: %v, want io.EOF itself", err)
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add([]byte(frame('o', "text") + frame('x', `{"exit_code":0}`)))
	f.Add([]byte("o\xff\xff\xff\xff"))
	f.Add([]byte("o\x00\x10\x00\x00"))
	f.Add([]byte(frame('f', `{"error":"x","kind":"denied"}`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, buf := bytes.NewReader(data), []byte(nil)
		for {
			before := r.Len()
			got, err := ReadFrame(r, &buf)
			if err != nil {
				return
			}
			var again bytes.Buffer
			if err := WriteFrame(&again, got.Type, got.Payload); err != nil {
				t.Fatal(err)
			}
			start := len(data) - before
			if !bytes.Equal(again.Bytes(), data[start:len(data)-r.Len()]) {
				t.Errorf("frame %q is written as %q", data[start:], again.Bytes())
			}
			_, _ = got.Exit()
			if got.Failure() == nil {
				t.Error("a failure frame without an error")
			}
		}
	})
}
