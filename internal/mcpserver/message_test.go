package mcpserver

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

// badLines are those that are no message: the code of the answer, and the id in it.
var badLines = map[string]struct {
	line string
	code int
	id   string
}{
	"bad JSON":                 {`{nope`, -32700, "null"},
	"half a message":           {`{"jsonrpc":"2.0","id":1,"method":"pi`, -32700, "null"},
	"no JSON at all":           {`hello`, -32700, "null"},
	"two messages":             {`{"jsonrpc":"2.0","id":1,"method":"ping"}{"jsonrpc":"2.0","id":2,"method":"ping"}`, -32700, "null"},
	"a control character":      {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\x00\"}", -32700, "null"},
	"a byte order mark":        {"\ufeff" + `{"jsonrpc":"2.0","id":1,"method":"ping"}`, -32700, "null"},
	"another space":            {"\u00a0", -32700, "null"},
	"a batch":                  {`[{"jsonrpc":"2.0","id":1,"method":"ping"}]`, -32600, "null"},
	"an empty batch":           {`[]`, -32600, "null"},
	"a number":                 {`42`, -32600, "null"},
	"null":                     {`null`, -32600, "null"},
	"a string":                 {`"ping"`, -32600, "null"},
	"an empty object":          {`{}`, -32600, "null"},
	"no jsonrpc":               {`{"id":1,"method":"ping"}`, -32600, "1"},
	"another jsonrpc":          {`{"jsonrpc":"1.0","id":1,"method":"ping"}`, -32600, "1"},
	"jsonrpc a number":         {`{"jsonrpc":2.0,"id":"a","method":"ping"}`, -32600, `"a"`},
	"jsonrpc in other case":    {`{"JSONRPC":"2.0","id":1,"method":"ping"}`, -32600, "1"},
	"method a number":          {`{"jsonrpc":"2.0","id":1,"method":5}`, -32600, "1"},
	"method null":              {`{"jsonrpc":"2.0","id":1,"method":null}`, -32600, "1"},
	"method in other case":     {`{"jsonrpc":"2.0","id":1,"Method":"ping"}`, -32600, "1"},
	"no method":                {`{"jsonrpc":"2.0","id":1}`, -32600, "1"},
	"id an object":             {`{"jsonrpc":"2.0","id":{},"method":"ping"}`, -32600, "null"},
	"id a list":                {`{"jsonrpc":"2.0","id":[1],"method":"ping"}`, -32600, "null"},
	"id true":                  {`{"jsonrpc":"2.0","id":true,"method":"ping"}`, -32600, "null"},
	"id null":                  {`{"jsonrpc":"2.0","id":null,"method":"ping"}`, -32600, "null"},
	"id a fraction":            {`{"jsonrpc":"2.0","id":1.5,"method":"ping"}`, -32600, "null"},
	"id with an exponent":      {`{"jsonrpc":"2.0","id":1e3,"method":"ping"}`, -32600, "null"},
	"id too large to be kept":  {`{"jsonrpc":"2.0","id":9007199254740993,"method":"ping"}`, -32600, "null"},
	"params a list":            {`{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}`, -32602, "1"},
	"params a string":          {`{"jsonrpc":"2.0","id":1,"method":"ping","params":"x"}`, -32602, "1"},
	"params null":              {`{"jsonrpc":"2.0","id":1,"method":"ping","params":null}`, -32602, "1"},
	"deeply nested params":     {`{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + `}}`, -32600, "1"},
	"very deeply nested":       {strings.Repeat("[", 100000), -32700, "null"},
	"an answer without an id":  {`{"jsonrpc":"2.0","result":{}}`, -32600, "null"},
	"an answer that is none":   {`{"jsonrpc":"2.0","id":1,"error":5}`, -32600, "null"},
	"an answer with a bad id":  {`{"jsonrpc":"2.0","id":{},"result":{}}`, -32600, "null"},
	"an error without a code":  {`{"jsonrpc":"2.0","id":1,"error":{"code":"x","message":1}}`, -32600, "null"},
	"a notification of params": {`{"jsonrpc":"2.0","method":"notifications/initialized","params":1}`, -32602, "null"},
}

func TestCheckMessageRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range badLines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, bad := checkMessage([]byte(c.line))
			if bad == nil {
				t.Fatal("it was taken")
			}
			id := "null"
			if m.id != nil {
				id = string(m.id)
			}
			if bad.code != c.code || id != c.id || bad.text == "" {
				t.Errorf("%d %q with id %s, want %d with %s", bad.code, bad.text, id, c.code, c.id)
			}
		})
	}
}

func TestCheckMessageTakes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		line string
		call any // the id that the answer will have; nil: there is none
	}{
		"a request":               {`{"jsonrpc":"2.0","id":1,"method":"ping"}`, int64(1)},
		"id a string":             {`{"jsonrpc":"2.0","id":"one","method":"ping","params":{}}`, "one"},
		"id an empty string":      {`{"jsonrpc":"2.0","id":"","method":"ping"}`, ""},
		"id with an escape":       {`{"jsonrpc":"2.0","id":"\u006fne","method":"ping"}`, "one"},
		"id negative":             {`{"jsonrpc":"2.0","id":-7,"method":"ping"}`, int64(-7)},
		"the largest id":          {`{"jsonrpc":"2.0","id":9007199254740991,"method":"ping"}`, int64(maxID)},
		"an empty method":         {`{"jsonrpc":"2.0","id":1,"method":""}`, int64(1)},
		"a notification":          {`{"jsonrpc":"2.0","method":"notifications/initialized"}`, nil},
		"an answer":               {`{"jsonrpc":"2.0","id":1,"result":{}}`, nil},
		"an answer with an error": {`{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no"}}`, nil},
		"an unknown field":        {`{"jsonrpc":"2.0","id":1,"method":"ping","more":[]}`, int64(1)},
		"the last of equal ids":   {`{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}`, int64(2)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, bad := checkMessage([]byte(c.line))
			if bad != nil {
				t.Fatalf("%d %s", bad.code, bad.text)
			}
			if m.call.Raw() != c.call {
				t.Errorf("the answer will have id %v, want %v", m.call.Raw(), c.call)
			}
		})
	}
}

func TestErrorsWithoutCodeGetOne(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ line, want string }{
		"code 0":            {`{"jsonrpc":"2.0","id":1,"error":{"code":0,"message":"m <b>"}}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"m <b>"}}`},
		"a code":            {`{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"m"}}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"m"}}`},
		"code 0 in a value": {`{"jsonrpc":"2.0","id":1,"result":{"error":{"code":0,"message":"m"}}}`, `{"jsonrpc":"2.0","id":1,"result":{"error":{"code":0,"message":"m"}}}`},
		"a request":         {`{"jsonrpc":"2.0","id":1,"method":"roots/list"}`, `{"jsonrpc":"2.0","id":1,"method":"roots/list"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, _ := outgoing([]byte(c.line + "\n"))
			if diff := cmp.Diff(c.want+"\n", string(got)); diff != "" {
				t.Errorf("line (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadLine(t *testing.T) {
	t.Parallel()
	type line struct {
		Text string
		Long bool
	}
	x := strings.Repeat("x", maxLine)
	for name, c := range map[string]struct {
		in   string
		want []line
	}{
		"nothing":                    {"", []line{{"", false}}},
		"lines":                      {"a\nb\r\n\n c \n", []line{{"a", false}, {"b", false}, {"", false}, {"c", false}, {"", false}}},
		"one without an end":         {"a\nb", []line{{"a", false}, {"b", false}}},
		"the longest":                {x[1:] + "\nb", []line{{x[1:], false}, {"b", false}}},
		"the longest without an end": {x, []line{{x, false}}},
		"too long":                   {x + "\nb", []line{{"", true}, {"b", false}}},
		"too long without an end":    {x + "y", []line{{"", true}}},
		"much too long":              {x + x + x + x + "\nb\n", []line{{"", true}, {"b", false}, {"", false}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := bufio.NewReaderSize(strings.NewReader(c.in), 64<<10)
			var got []line
			for {
				text, long, err := readLine(r)
				got = append(got, line{string(text), long})
				if errors.Is(err, io.EOF) {
					break
				}
			}
			if !cmp.Equal(c.want, got) {
				t.Errorf("%d lines, want %d", len(got), len(c.want))
			}
		})
	}
}

// endless is a line without an end.
type endless struct{ left int64 }

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	for i := range p {
		p[i] = '"'
	}
	e.left -= int64(len(p))
	return len(p), nil
}

func TestALongLineTakesLittleMemory(t *testing.T) { // not parallel: it looks at the memory of all
	r := bufio.NewReaderSize(&endless{left: 1 << 30}, 64<<10)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, long, err := readLine(r)
	runtime.ReadMemStats(&after)
	if !long || !errors.Is(err, io.EOF) {
		t.Fatalf("long %t, %v", long, err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 16*maxLine {
		t.Errorf("%d bytes were allocated for a line of 1 GiB", took)
	}
}

// FuzzCheckMessage wants each line either refused with an answer that can be written, or
// one that the library reads, with the id that its answer will have.
func FuzzCheckMessage(f *testing.F) {
	for _, c := range badLines {
		f.Add([]byte(c.line))
	}
	f.Add([]byte(`{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"x","arguments":{"a":[1,{"b":null}]}}}`))
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"result":{"content":[]}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		m, bad := checkMessage(line)
		if m.id != nil && !json.Valid(m.id) {
			t.Fatalf("id %q cannot be written", m.id)
		}
		if bad != nil {
			if bad.code == 0 || bad.text == "" {
				t.Fatalf("refused with %d %q", bad.code, bad.text)
			}
			return
		}
		read, err := jsonrpc.DecodeMessage(line)
		if err != nil {
			t.Fatalf("taken, and the library cannot read it: %v", err)
		}
		if request, ok := read.(*jsonrpc.Request); ok && request.ID != m.call {
			t.Fatalf("the library reads id %v, the guard %v", request.ID, m.call)
		}
	})
}

// FuzzReadLine wants what a scanner finds, whatever the line ends and sizes.
func FuzzReadLine(f *testing.F) {
	f.Add([]byte("a\nb\r\n\n c \n"), 16)
	f.Add(bytes.Repeat([]byte("long"), 100), 16)
	f.Fuzz(func(t *testing.T, in []byte, size int) {
		r := bufio.NewReaderSize(bytes.NewReader(in), min(max(size, 16), 1<<16))
		var got [][]byte
		for {
			line, long, err := readLine(r)
			if long {
				t.Fatal("it is not long")
			}
			got = append(got, line)
			if err != nil {
				break
			}
		}
		want := bytes.Split(in, []byte("\n"))
		for i := range want {
			want[i] = bytes.Trim(want[i], " \t\r\n")
		}
		if !cmp.Equal(want, got, cmp.Comparer(bytes.Equal)) {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

// FuzzOutgoing wants nothing but whole lines out, and none without a code.
func FuzzOutgoing(f *testing.F) {
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"error":{"code":0,"message":"m"}}`))
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"result":{"error":{"code":0}}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if bytes.ContainsRune(line, '\n') {
			return
		}
		fixed, _ := outgoing(append(bytes.Clone(line), '\n'))
		if bytes.Count(fixed, []byte("\n")) != 1 || fixed[len(fixed)-1] != '\n' {
			t.Fatalf("%q became %q", line, fixed)
		}
		if m, err := jsonrpc.DecodeMessage(fixed); err == nil {
			if answer, ok := m.(*jsonrpc.Response); ok {
				if failure, ok := errors.AsType[*jsonrpc.Error](answer.Error); ok && failure.Code == 0 {
					t.Fatalf("%q has no code", fixed)
				}
			}
		}
	})
}
