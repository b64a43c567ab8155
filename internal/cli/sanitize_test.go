package cli

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"
)

var sanitizerCases = map[string][2]string{
	"plain":                          {"hello", "hello"},
	"empty":                          {"", ""},
	"tab and newline":                {"a\tb\nc\n", "a\tb\nc\n"},
	"CR LF":                          {"a\r\nb\r\n", "a\r\nb\r\n"},
	"overwriting CR":                 {"evil\rgood\n", "evil\ngood\n"},
	"progress":                       {"1%\r2%\r3%\n", "1%\n2%\n3%\n"},
	"CR at the end":                  {"a\r", "a\n"},
	"CRs before LF":                  {"a\r\r\r\nb", "a\r\nb"},
	"CRs in a line":                  {"a\r\rb", "a\nb"},
	"CR only":                        {"\r", "\n"},
	"CR before ESC":                  {"a\r\x1b[K", "a\n"},
	"NUL":                            {"a\x00b", "a^@b"},
	"BEL":                            {"\x07", "^G"},
	"BS":                             {"ab\b\bcd", "ab^H^Hcd"},
	"VT":                             {"\v", "^K"},
	"FF":                             {"\f", "^L"},
	"SO and SI":                      {"\x0e\x0f", "^N^O"},
	"XON and XOFF":                   {"\x11\x13", "^Q^S"},
	"CAN and SUB":                    {"\x18\x1a", "^X^Z"},
	"ENQ asks for the answerback":    {"\x05", "^E"},
	"US":                             {"\x1f", "^_"},
	"DEL":                            {"a\x7fb", "a^?b"},
	"lone ESC":                       {"\x1b", "^["},
	"two ESC":                        {"\x1b\x1b", "^[^["},
	"ESC before a letter":            {"\x1bc", "^[c"},
	"ESC before CR":                  {"\x1b\rx", "^[\nx"},
	"ESC before LF":                  {"\x1b\n", "^[\n"},
	"full reset":                     {"\x1bcx", "^[cx"},
	"save and restore cursor":        {"\x1b7\x1b8", "^[7^[8"},
	"reverse index":                  {"\x1bM", "^[M"},
	"charset":                        {"\x1b(0", "^[(0"},
	"double height":                  {"\x1b#3", "^[#3"},
	"keypad mode":                    {"\x1b=", "^[="},
	"colour":                         {"\x1b[31mred\x1b[0m", "red"},
	"256 colours":                    {"\x1b[38;5;196mred\x1b[m", "red"},
	"colours with colons":            {"\x1b[38:2::1:2:3mx", "x"},
	"cursor up":                      {"a\x1b[1Ab", "ab"},
	"cursor home and clear":          {"\x1b[H\x1b[2Jx", "x"},
	"erase line":                     {"a\x1b[2Kb", "ab"},
	"alternate screen":               {"\x1b[?1049hx\x1b[?1049l", "x"},
	"mouse reports":                  {"\x1b[?1003h", ""},
	"bracketed paste":                {"\x1b[?2004h", ""},
	"device status report":           {"\x1b[6n", ""},
	"device attributes":              {"\x1b[c\x1b[>c\x1b[=c", ""},
	"window title report":            {"\x1b[21t", ""},
	"cursor shape":                   {"\x1b[2 q", ""},
	"soft reset":                     {"\x1b[!p", ""},
	"scroll region":                  {"\x1b[1;1r", ""},
	"key modifiers":                  {"\x1b[>4;2m", ""},
	"repeat a character":             {"x\x1b[9999b", "x"},
	"CSI without an end":             {"\x1b[31", "^[[31"},
	"CSI alone":                      {"\x1b[", "^[["},
	"CSI broken by a letter":         {"\x1b[3é", "^[[3é"},
	"CSI broken by ESC":              {"\x1b[3\x1b[0mx", "^[[3x"},
	"CSI with a newline inside":      {"\x1b[3\n1m", "^[[3\n1m"},
	"CSI with BEL inside":            {"\x1b[\x07m", "^[[^Gm"},
	"CSI parameter after filler":     {"\x1b[ 1m", "^[[ 1m"},
	"CSI too long":                   {"\x1b[" + strings.Repeat("1;", 40) + "m", "^[[" + strings.Repeat("1;", 40) + "m"},
	"CSI as long as may be":          {"\x1b[" + strings.Repeat("1", maxSequence-3) + "mx", "x"},
	"CSI one too long":               {"\x1b[" + strings.Repeat("1", maxSequence-2) + "m", "^[[" + strings.Repeat("1", maxSequence-2) + "m"},
	"OSC title":                      {"\x1b]0;pwned\x07x", "^[]0;pwned^Gx"},
	"OSC title ended by ST":          {"\x1b]2;t\x1b\\x", "^[]2;t^[\\x"},
	"OSC 52 clipboard":               {"\x1b]52;c;cm0gLXJm\x07", "^[]52;c;cm0gLXJm^G"},
	"OSC 8 link":                     {"\x1b]8;;http://evil\x07text\x1b]8;;\x07", "^[]8;;http://evil^Gtext^[]8;;^G"},
	"OSC palette query":              {"\x1b]4;1;?\x07", "^[]4;1;?^G"},
	"OSC 1337 file":                  {"\x1b]1337;File=:AA\x07", "^[]1337;File=:AA^G"},
	"OSC 9 notification":             {"\x1b]9;hi\x07", "^[]9;hi^G"},
	"OSC 133 prompt marks":           {"\x1b]133;A\x07", "^[]133;A^G"},
	"OSC without an end":             {"\x1b]0;all the rest\nmore", "^[]0;all the rest\nmore"},
	"DCS request of settings":        {"\x1bP$qm\x1b\\", "^[P$qm^[\\"},
	"DCS sixel":                      {"\x1bPq#0\x1b\\", "^[Pq#0^[\\"},
	"DCS terminfo query":             {"\x1bP+q544e\x1b\\", "^[P+q544e^[\\"},
	"APC":                            {"\x1b_Gf=100;AA\x1b\\", "^[_Gf=100;AA^[\\"},
	"PM":                             {"\x1b^x\x1b\\", "^[^x^[\\"},
	"SOS":                            {"\x1bXx\x1b\\", "^[Xx^[\\"},
	"tmux passthrough":               {"\x1bPtmux;\x1b\x1b]0;t\x07\x1b\\", "^[Ptmux;^[^[]0;t^G^[\\"},
	"C1 CSI as a byte":               {"\x9b31m", `\x9b31m`},
	"C1 OSC as a byte":               {"\x9d0;t\x9c", `\x9d0;t\x9c`},
	"C1 DCS as a byte":               {"\x90q\x9c", `\x90q\x9c`},
	"C1 CSI as UTF-8":                {"\u009b31m", `\u009b31m`},
	"C1 OSC as UTF-8":                {"\u009d0;t\u009c", `\u009d0;t\u009c`},
	"C1 NEL as UTF-8":                {"a\u0085b", `a\u0085b`},
	"C1 first and last":              {"\u0080\u009f", `\u0080\u009f`},
	"no-break space is no C1":        {"a\u00a0b", "a\u00a0b"},
	"UTF-8":                          {"zwölf €  𝄞", "zwölf €  𝄞"},
	"emoji with a joiner":            {"👩\u200d💻", "👩\u200d💻"},
	"combining mark":                 {"e\u0301", "e\u0301"},
	"right-to-left text":             {"שלום", "שלום"},
	"Latin-1":                        {"caf\xe9", `caf\xe9`},
	"byte 0xff":                      {"\xff", `\xff`},
	"UTF-8 cut short":                {"a\xe2\x82", `a\xe2\x82`},
	"UTF-8 cut short by a letter":    {"\xe2\x82x", `\xe2\x82x`},
	"overlong ESC":                   {"\xc0\x9b", `\xc0\x9b`},
	"overlong ESC in three":          {"\xe0\x80\x9b[m", `\xe0\x80\x9b[m`},
	"surrogate":                      {"\xed\xa0\x80", `\xed\xa0\x80`},
	"beyond Unicode":                 {"\xf4\x90\x80\x80", `\xf4\x90\x80\x80`},
	"replacement character itself":   {"\ufffd", "\ufffd"},
	"bidi override":                  {"a\u202eb", `a\u202eb`},
	"bidi embeddings":                {"\u202a\u202b\u202c\u202d", `\u202a\u202b\u202c\u202d`},
	"bidi isolates":                  {"\u2066\u2067\u2068\u2069", `\u2066\u2067\u2068\u2069`},
	"bidi marks":                     {"\u200e\u200f\u061c", `\u200e\u200f\u061c`},
	"deprecated format characters":   {"\u206a\u206f", `\u206a\u206f`},
	"line and paragraph separators":  {"\u2028\u2029", `\u2028\u2029`},
	"bidi in a colour":               {"\x1b[3\u202e1m", `^[[3\u202e1m`},
	"a footer of ours stays a line":  {"[run] exit_code=0\n", "[run] exit_code=0\n"},
	"something like our visible ESC": {"^[[31m", "^[[31m"},
}

func TestSanitizer(t *testing.T) {
	for name, c := range sanitizerCases {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{len(c[0]) + 1, 1, 2, 3} {
				if got := sanitized(t, c[0], size); got != c[1] {
					t.Errorf("in writes of %d bytes: got %q, want %q", size, got, c[1])
				}
			}
		})
	}
}

// sanitized writes text in pieces of size bytes.
func sanitized(t testing.TB, text string, size int) string {
	t.Helper()
	var out bytes.Buffer
	s := &sanitizer{w: &out}
	for len(text) > 0 {
		n := min(size, len(text))
		if wrote, err := s.Write([]byte(text[:n])); wrote != n || err != nil {
			t.Fatalf("Write took %d of %d bytes: %v", wrote, n, err)
		}
		text = text[n:]
		if len(s.held) > maxSequence {
			t.Fatalf("%d bytes are held back", len(s.held))
		}
	}
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func FuzzSanitizer(f *testing.F) {
	for _, c := range sanitizerCases {
		f.Add(c[0], 1)
		f.Add(c[0], 7)
	}
	f.Fuzz(func(t *testing.T, text string, size int) {
		got := sanitized(t, text, len(text)+1)
		if where := active(got); where >= 0 {
			t.Fatalf("%q became %q, which is active at %d", text, got, where)
		}
		if pieces := sanitized(t, text, max(1, size%100)); pieces != got {
			t.Fatalf("%q became %q, in pieces %q", text, got, pieces)
		}
		if line := oneLine(text); active(line) >= 0 || strings.ContainsAny(line, "\n\r\t") {
			t.Fatalf("oneLine made %q of %q", line, text)
		}
	})
}

// active returns where a text does something to a terminal, or -1. It says so in its
// own way, to notice when the sanitizer's is wrong.
func active(s string) int {
	for i, r := range s {
		_, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1, r < ' ' && r != '\t' && r != '\n' && r != '\r', r >= 0x7f && r <= 0x9f:
			return i
		case r == '\r' && !strings.HasPrefix(s[i:], "\r\n"):
			return i
		case strings.ContainsRune("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069", r):
			return i
		}
	}
	return -1
}

func TestSanitizerReportsFailedWrites(t *testing.T) {
	read, write := io.Pipe()
	_ = read.Close()
	s := &sanitizer{w: write}
	if _, err := s.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Write: %v", err)
	}
	s.held = []byte("\x1b")
	if err := s.Flush(); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Flush: %v", err)
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{ // what Python's repr prints
		"": `''`, "my ws": `'my ws'`, "it's": `"it's"`, `say "hi"`: `'say "hi"'`, `it's "x"`: `'it\'s "x"'`,
		`a\b`: `'a\\b'`, "a\nb\tc\r": `'a\nb\tc\r'`, "\x1b[": `'\x1b['`, "\x7f": `'\x7f'`, "\u009b": `'\x9b'`,
		"é€𝄞": `'é€𝄞'`, "\u202e": `'\u202e'`, "\U000e0001": `'\U000e0001'`, "\xff": `'\xff'`, "\ufffd": "'\ufffd'", "\u00a0": `'\xa0'`,
	} {
		if got := quote(in); got != want {
			t.Errorf("quote(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestOneLine(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "a\nb": `a\nb`, "a\r\nb\tc": `a\r\nb\tc`, "\x1b[31mx": "x", "\x1b]0;t\x07": "^[]0;t^G",
		"[run] x\n[error] fake": `[run] x\n[error] fake`, "\u202e": `\u202e`,
	} {
		if got := oneLine(in); got != want {
			t.Errorf("oneLine(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCapture(t *testing.T) {
	for name, c := range map[string]struct {
		limit int
		in    []string
		want  string
		cut   bool
	}{
		"nothing":               {8, nil, "", false},
		"little":                {8, []string{"abc"}, "abc", false},
		"exactly the limit":     {8, []string{"abc", "defgh"}, "abcdefgh", false},
		"the limit in one":      {8, []string{"abcdefgh"}, "abcdefgh", false},
		"one more":              {8, []string{"abcdefghi"}, "abcdfghi", true},
		"one more, in two":      {8, []string{"abcdefgh", "i"}, "abcdfghi", true},
		"much in one":           {8, []string{"abcd", strings.Repeat("x", 100) + "6789"}, "abcd6789", true},
		"much in little pieces": {8, strings.Split("abcdefghijklmnopqrstuvwxyz", ""), "abcdwxyz", true},
		"a full tail again":     {8, []string{"abcd", "efgh", "ijkl"}, "abcdijkl", true},
		"odd limit":             {7, []string{"abcdefgh"}, "abcefgh", true},
	} {
		t.Run(name, func(t *testing.T) {
			k := &capture{limit: c.limit}
			for _, s := range c.in {
				if n, err := k.Write([]byte(s)); n != len(s) || err != nil {
					t.Fatal(n, err)
				}
				if len(k.tail) > 2*c.limit {
					t.Fatalf("%d bytes are kept", len(k.tail))
				}
			}
			if k.text() != c.want || k.cut != c.cut {
				t.Errorf("got %q, cut %v; want %q, %v", k.text(), k.cut, c.want, c.cut)
			}
		})
	}
}
