package supervisor

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// lying answers requests by their action.
func lying(answers map[string]string) script {
	return func(conn net.Conn) {
		line, err := wire.ReadLine(bufio.NewReader(conn), wire.MaxRequestLine)
		if err != nil {
			return
		}
		var asked struct {
			Action string `json:"action"`
		}
		_ = json.Unmarshal(line, &asked)
		_, _ = io.WriteString(conn, answers[asked.Action]+"\n")
	}
}

// TestTimesAndNamesAreTheHosts: an agent that lies about when something happened, and to
// whom, is not believed (row 72 of the table of attacks).
func TestTimesAndNamesAreTheHosts(t *testing.T) {
	const (
		shell   = `"shell_id":"of-another","cwd":"/","cols":1,"rows":1,"started_at":1.0,"ended_at":4102444800.0`
		service = `"service_name":"other","command":"c","cwd":"/","started_at":1.0,"ready_at":2.0,"ended_at":4102444800.0,"exit_code":0`
	)
	synctest.Test(t, func(t *testing.T) {
		box := newEvil(lying(map[string]string{
			"open_shell":    `{` + shell + `,"state":"running"}`,
			"read_shell":    `{` + shell + `,"state":"stopped","exit_code":0,"cursor":0,"next_cursor":0,"output":"","truncated":false}`,
			"list_shells":   `{"shells":[{` + shell + `,"state":"running"},{` + shell + `,"state":"stopped"}]}`,
			"start_service": `{` + service + `,"state":"exited"}`,
			"list_services": `{"services":[{` + service + `,"state":"exited"},{` + service + `,"state":"running"},{"service_name":"\u001b[2J","state":"running"}]}`,
		}))
		s := haunted(t, box)
		before := api.At(time.Now())
		time.Sleep(time.Minute)
		ours := func(what string, times ...*api.Timestamp) {
			t.Helper()
			for _, at := range times {
				if at == nil || *at <= before || *at > api.At(time.Now()) {
					t.Errorf("%s: %v", what, at)
				}
			}
		}
		var opened api.Shell
		tell(t, s, http.MethodPost, "/v1/shells", `{}`, &opened)
		ours("the shell's start", &opened.StartedAt)
		if opened.ShellID == "of-another" || opened.EndedAt != nil {
			t.Errorf("%+v", opened)
		}
		time.Sleep(time.Minute)
		var read api.ShellRead
		tell(t, s, http.MethodGet, "/v1/shells/"+opened.ShellID+"/output", ``, &read)
		ours("the shell's end", &read.StartedAt, read.EndedAt)
		if read.ShellID != opened.ShellID {
			t.Errorf("read %q", read.ShellID)
		}
		var shells api.ShellList
		tell(t, s, http.MethodGet, "/v1/shells", ``, &shells)
		if shells.Count != 1 {
			t.Errorf("%+v", shells)
		}
		var started api.Service
		tell(t, s, http.MethodPost, "/v1/services", `{"service_name":"mine","command":"true"}`, &started)
		ours("the service", &started.StartedAt, started.ReadyAt, started.EndedAt)
		if started.ServiceName != "mine" {
			t.Errorf("%+v", started)
		}
		var services api.ServiceList
		tell(t, s, http.MethodGet, "/v1/services", ``, &services)
		if services.Count != 1 || services.Services[0].ServiceName != "other" {
			t.Errorf("%+v", services)
		}
		ours("services", &services.Services[0].StartedAt, services.Services[0].EndedAt)
		box.scripts.Wait()
	})
}

// tell makes a request of a supervisor without a socket.
func tell(t *testing.T, s *supervisor, method, path, body string, into any) {
	t.Helper()
	answer, refused := over(method, path, body)(t, s)
	if refused != nil || json.Unmarshal(answer, into) != nil {
		t.Fatalf("%s %s: %s, %+v", method, path, answer, refused)
	}
}

// TestGuestTextIsCutBehindItsSecrets: what is cut for its length shows no part of a secret.
func TestGuestTextIsCutBehindItsSecrets(t *testing.T) {
	s := &supervisor{}
	s.secrets.use(map[string]string{"TOKEN": token})
	for cut := range len(token) {
		text := strings.Repeat("x", maxGuestText-cut) + token
		if got := s.said(text); strings.Contains(got, token[:4]) {
			t.Fatalf("%d bytes before the cut: %q", cut, got[len(got)-60:])
		}
	}
	if got := s.excuse(fmt.Errorf("no %s", token)).Error; got != "no "+api.RedactedText {
		t.Errorf("an error: %q", got)
	}
}

func TestLiveTimes(t *testing.T) {
	var times liveTimes
	times.begin("a", 10)
	if seen := times.see("a", 20, true, false); seen.begun != 10 || *seen.ready != 20 || seen.ended != nil {
		t.Errorf("ready: %+v", seen)
	}
	times.see("a", 30, true, true)
	if seen := times.see("a", 40, true, true); *seen.ready != 20 || *seen.ended != 30 {
		t.Errorf("ended: %+v", seen)
	}
	times.see("a", 60, false, false) // another of that name, asked for at 50, is seen before its start is answered
	times.see("a", 65, true, true)
	times.begin("a", 50)
	if seen := times.see("a", 70, true, true); seen.begun != 50 || *seen.ready != 65 || *seen.ended != 65 {
		t.Errorf("another: %+v", seen)
	}
	times.begin("a", 80)
	if seen := times.see("a", 90, false, false); seen.begun != 80 || seen.ready != nil || seen.ended != nil {
		t.Errorf("a third: %+v", seen)
	}
	times.keep(nil)
	if seen := times.see("a", 100, false, false); seen.begun != 100 {
		t.Errorf("forgotten: %+v", seen)
	}
}
