package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// lesson is a guest for the demonstrations: its test fails until the project was repaired.
type lesson struct {
	repaired bool
	commands []string
}

func (l *lesson) guest(_ context.Context, p *fakeProcess) (int, error) {
	line := strings.Join(p.Argv, " ")
	l.commands = append(l.commands, line)
	if strings.Contains(line, "sed") {
		l.repaired = true
	}
	if !strings.Contains(line, "check.sh") {
		return 0, nil
	}
	if l.repaired {
		_, err := io.WriteString(p.Stdout, "ok: 2 + 3 = 5\n")
		return 0, err
	}
	_, err := io.WriteString(p.Stdout, "FAIL: 2 + 3 = -1, want 5\n")
	return 1, err
}

func TestDemoStopsWhereSomethingIsWrong(t *testing.T) {
	l := &lesson{repaired: true} // a test that should fail does not
	s := &session{fake: newFake()}
	s.fake.guest = l.guest
	if code := s.run(t, "demo"); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if !strings.Contains(s.err.String(), "[error] demo: step 2 ended with 0, not with 1") || len(s.fake.deleted) != 1 {
		t.Errorf("deleted %v; it says %s", s.fake.deleted, s.err.String())
	}
}

func TestDemoIsInterrupted(t *testing.T) {
	s := &session{fake: newFake(), signals: make(chan os.Signal, 1)}
	s.fake.guest = func(ctx context.Context, _ *fakeProcess) (int, error) {
		s.signals <- os.Interrupt
		<-ctx.Done()
		return 0, ctx.Err()
	}
	if code := s.run(t, "demo"); code != 130 || len(s.fake.deleted) != 1 {
		t.Errorf("exit code %d, deleted %v: %s", code, s.fake.deleted, s.err.String())
	}
}

func TestDemoNetwork(t *testing.T) {
	s := &session{}
	if code := s.run(t, "demo", "--network"); code != 1 || !strings.Contains(s.err.String(), "not available") {
		t.Errorf("exit code %d: %s", code, s.err.String())
	}
}

// model is a server whose answers are written down. It keeps what it was asked.
type model struct {
	answers []string // the messages of the model, in JSON
	asked   []struct {
		Model    string
		Messages []message
		Tools    []any
	}
}

func (m *model) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/v1/chat/completions" {
		http.Error(w, "no such path", http.StatusNotFound)
		return
	}
	m.asked = append(m.asked, struct {
		Model    string
		Messages []message
		Tools    []any
	}{})
	_ = json.NewDecoder(r.Body).Decode(&m.asked[len(m.asked)-1])
	answer := `{"content":"still thinking","tool_calls":[{"id":"x","function":{"name":"workspace_exec","arguments":"{\"command\":\"true\"}"}}]}`
	if n := len(m.asked); n <= len(m.answers) {
		answer = m.answers[n-1]
	}
	_, _ = fmt.Fprintf(w, `{"choices":[{"message":%s}]}`, answer)
}

func calls(name, arguments string) string {
	text, _ := json.Marshal(arguments)
	return fmt.Sprintf(`{"role":"assistant","content":"","tool_calls":[{"id":"c1","type":"function","function":{"name":%q,"arguments":%s}}]}`, name, text)
}

func converse(t *testing.T, m *model, l *lesson, more ...string) (code int, said string, s *session) {
	t.Helper()
	server := httptest.NewServer(m)
	t.Cleanup(server.Close)
	s = &session{fake: newFake()}
	s.fake.guest = l.guest
	code = s.run(t, append([]string{"demo", "ollama", "--base-url", server.URL + "/v1", "--model", "small"}, more...)...)
	if len(s.fake.deleted) != 1 {
		t.Errorf("deleted %v", s.fake.deleted)
	}
	return code, s.out.String(), s
}

func TestAModelRepairsTheProject(t *testing.T) {
	m := &model{answers: []string{
		calls("workspace_exec", `{"command":"sh check.sh"}`),
		calls("workspace_exec", `{"command":"sed -i s/-/+/ add.sh"}`),
		calls("nonsense", `{}`),
		calls("workspace_exec", `not json`),
		`{"content":"It passes now.","tool_calls":[]}`,
	}}
	code, said, _ := converse(t, m, &lesson{}, "--verbose")
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, line := range []string{
		"[ollama] base_url=", "[model] round=1 tool_calls=1", "[tool] workspace_exec sh check.sh", "[tool] there is no nonsense",
		"[model] It passes now.", "[done] check.sh: ok: 2 + 3 = 5", "[summary] stdout=ok: 2 + 3 = 5",
		"[summary] exit_code=0 fallback_used=no execution_mode=guest_vsock",
	} {
		if !strings.Contains(said, line) {
			t.Errorf("it does not say %q:\n%s", line, said)
		}
	}
	last := m.asked[1].Messages[len(m.asked[1].Messages)-1]
	if last.Role != "tool" || last.ToolCallID != "c1" || last.Content != "exit code 1\nFAIL: 2 + 3 = -1, want 5\n" {
		t.Errorf("the model was told %+v", last)
	}
	if m.asked[0].Model != "small" || len(m.asked[0].Tools) != 3 {
		t.Errorf("asked %+v", m.asked[0])
	}
}

func TestAModelThatDoesNotComeToAnEnd(t *testing.T) {
	m := &model{}
	code, said, _ := converse(t, m, &lesson{})
	if len(m.asked) != modelRounds {
		t.Errorf("%d rounds", len(m.asked))
	}
	if !strings.Contains(said, "[fallback]") || !strings.Contains(said, "fallback_used=yes") {
		t.Errorf("it says\n%s", said)
	}
	if code != 1 { // the fake has no files that a patch could repair
		t.Errorf("exit code %d", code)
	}
}

func TestAModelThatIsNotThere(t *testing.T) {
	for name, row := range map[string]struct {
		answer func(http.ResponseWriter)
		says   string
	}{
		"no such model": {func(w http.ResponseWriter) { http.Error(w, "model not found\x1b[31m", http.StatusNotFound) }, "404"},
		"no chat":       {func(w http.ResponseWriter) { _, _ = io.WriteString(w, "<html>") }, "no answer of a chat"},
		"endless":       {func(w http.ResponseWriter) { _, _ = io.WriteString(w, strings.Repeat(" ", maxReply+2)) }, "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { row.answer(w) }))
			t.Cleanup(server.Close)
			s := &session{fake: newFake()}
			code := s.run(t, "demo", "ollama", "--base-url", server.URL)
			out := s.out.String()
			if code != 1 || !strings.Contains(out, "[error] ") || !strings.Contains(out, row.says) || !strings.Contains(out, "[hint] ") || strings.Contains(out, "\x1b") {
				t.Errorf("exit code %d: %q", code, out)
			}
			if len(s.fake.deleted) != 1 {
				t.Errorf("deleted %v", s.fake.deleted)
			}
		})
	}
	s := &session{fake: newFake()}
	if code := s.run(t, "demo", "ollama", "--base-url", "localhost:11434"); code != 1 || len(s.fake.created) > 0 {
		t.Errorf("exit code %d, made %v", code, s.fake.created)
	}
}
