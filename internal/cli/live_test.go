package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
)

// TestLiveGolden is TestGolden for shells, services and secrets.
func TestLiveGolden(t *testing.T) {
	failed := func(c *fakeClient) { c.live.service = failedService() }
	none := func(c *fakeClient) { c.live.shellList, c.live.services, c.live.secretList = nil, nil, nil }
	lost := func(c *fakeClient) { c.live.read.SkippedChars = 17 }
	for name, c := range map[string]struct {
		args string
		fake func(*fakeClient)
	}{
		"shell open":               {args: "shell open ID"},
		"shell open json":          {args: "shell open ID --json"},
		"shell open id":            {args: "shell open ID --id-only"},
		"shell open exclusive":     {args: "shell open ID --id-only --json"},
		"shell open no columns":    {args: "shell open ID --cols 0"},
		"shell open refused":       {args: "shell open ID --json", fake: refuses},
		"shell open secret twice":  {args: "shell open ID --secret-env A --secret-env A=B"},
		"shell list":               {args: "shell list ID"},
		"shell list json":          {args: "shell list ID --json"},
		"shell list empty":         {args: "shell list ID", fake: none},
		"shell read":               {args: "shell read ID SHELL"},
		"shell read plain":         {args: "shell read ID SHELL --plain --wait-for-idle-ms 300"},
		"shell read json":          {args: "shell read ID SHELL --json"},
		"shell read skipped":       {args: "shell read ID SHELL", fake: lost},
		"shell read no chars":      {args: "shell read ID SHELL --max-chars 0"},
		"shell read before":        {args: "shell read ID SHELL --cursor -1"},
		"shell read long wait":     {args: "shell read ID SHELL --wait-for-idle-ms 10001"},
		"shell read no wait":       {args: "shell read ID SHELL --wait-for-idle-ms 0 --json"},
		"shell read no shell":      {args: "shell read ID"},
		"shell write":              {args: "shell write ID SHELL --input x"},
		"shell write json":         {args: "shell write ID SHELL --input x --no-newline --json"},
		"shell write nothing":      {args: "shell write ID SHELL"},
		"shell signal":             {args: "shell signal ID SHELL"},
		"shell signal json":        {args: "shell signal ID SHELL --signal KILL --json"},
		"shell signal lower":       {args: "shell signal ID SHELL --signal int"},
		"shell resize":             {args: "shell resize ID SHELL --cols 80 --rows 24"},
		"shell resize half":        {args: "shell resize ID SHELL --cols 80"},
		"shell resize wide":        {args: "shell resize ID SHELL --cols 4097 --rows 24"},
		"shell close":              {args: "shell close ID SHELL"},
		"shell close json":         {args: "shell close ID SHELL --json"},
		"shell attach no tty":      {args: "shell attach ID"},
		"shell attach many":        {args: "shell attach ID SHELL more"},
		"shell attach keys":        {args: "shell attach ID --detach-keys ctrl-1"},
		"shell attach both":        {args: "shell attach ID SHELL --cwd /tmp"},
		"exec no tty":              {args: "exec ID -it -- bash"},
		"exec tty json":            {args: "exec ID -t --json -- bash"},
		"service start":            {args: "service start ID web --ready-tcp 127.0.0.1:80 -- ./server"},
		"service start json":       {args: "service start ID web --json -- ./server"},
		"service start failed":     {args: "service start ID web -- ./server", fake: failed},
		"service start fail":       {args: "service start ID web --fail -- ./server", fake: failed},
		"service start fail json":  {args: "service start ID web --fail --json -- ./server", fake: failed},
		"service start nothing":    {args: "service start ID web"},
		"service start two":        {args: "service start ID web --ready-file a --ready-command true -- ./server"},
		"service start two json":   {args: "service start ID web --ready-file a --ready-tcp h:1 --json -- ./server"},
		"service start name":       {args: "service start ID -- web ./server"},
		"service start no time":    {args: "service start ID web --ready-timeout-seconds 0 -- ./server"},
		"service start no address": {args: "service start ID web --ready-tcp 8080 -- ./server"},
		"service start port":       {args: "service start ID web --publish http -- ./server"},
		"service start low port":   {args: "service start ID web --publish 80:80 -- ./server"},
		"service start port zero":  {args: "service start ID web --publish 0:80 -- ./server"},
		"service start port twice": {args: "service start ID web --publish 80 --publish 80 -- ./server"},
		"service start policy":     {args: "service start ID web --restart always -- ./server"},
		"service start refused":    {args: "service start ID web -- ./server", fake: refuses},
		"service list":             {args: "service list ID"},
		"service list json":        {args: "service list ID --json"},
		"service list empty":       {args: "service list ID", fake: none},
		"service status":           {args: "service status ID web"},
		"service status failed":    {args: "service status ID web", fake: failed},
		"service status json":      {args: "service status ID web --json", fake: failed},
		"service stop":             {args: "service stop ID web"},
		"service stop name":        {args: "service stop ID ../web"},
		"service restart":          {args: "service restart ID web"},
		"service logs":             {args: "service logs ID web"},
		"service logs json":        {args: "service logs ID web --json --all"},
		"service logs follow":      {args: "service logs ID web --follow"},
		"service logs follow json": {args: "service logs ID web --follow --json"},
		"service logs no lines":    {args: "service logs ID web --tail-lines 0"},
		"secret list":              {args: "secret list ID"},
		"secret list json":         {args: "secret list ID --json"},
		"secret list empty":        {args: "secret list ID", fake: none},
		"secret set":               {args: "secret set ID TOKEN --from-env"},
		"secret set json":          {args: "secret set ID TOKEN --from-env --json"},
		"secret set nothing":       {args: "secret set ID TOKEN"},
		"secret set two":           {args: "secret set ID TOKEN --from-env --value-stdin"},
		"secret set unknown":       {args: "secret set ID OTHER --from-env"},
		"secret set name":          {args: "secret set ID T-1 --from-env"},
		"secret set short":         {args: "secret set ID SHORT --from-env"},
		"secret set refused":       {args: "secret set ID TOKEN --from-env", fake: refuses},
		"secret unset":             {args: "secret unset ID TOKEN"},
		"secret unset json":        {args: "secret unset ID TOKEN --json"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{fake: newFake(), environ: []string{"TOKEN=" + testSecret, "SHORT=abc"}}
			if c.fake != nil {
				c.fake(s.fake)
			}
			args := strings.NewReplacer("ID", testID, "SHELL", testShell).Replace(c.args)
			code := s.run(t, append([]string{"workspace"}, strings.Fields(args)...)...)
			page := fmt.Sprintf("exit code %d\n--- stdout\n%s--- stderr\n%s", code, s.out.String(), s.err.String())
			if strings.Contains(page, testSecret) {
				t.Error("it shows the secret")
			}
			golden(t, page)
		})
	}
}

const testSecret = "hunter2-hunter2"

func TestLiveAsksForWhatWasTyped(t *testing.T) {
	idle := 300
	for name, c := range map[string]struct {
		args string
		want any
	}{
		"open":        {"shell open ID", api.ShellOpenRequest{Cols: 120, Rows: 30}},
		"open wide":   {"shell open ID --cwd /tmp --cols 200 --rows 50 --secret-env A --secret-env B=C", api.ShellOpenRequest{Cwd: "/tmp", Cols: 200, Rows: 50, SecretEnv: map[string]string{"A": "A", "B": "C"}}},
		"read":        {"shell read ID SHELL", api.ShellReadRequest{MaxChars: 65536}},
		"read all":    {"shell read ID SHELL --cursor 7 --max-chars 9 --plain --wait-for-idle-ms 300", api.ShellReadRequest{Cursor: 7, MaxChars: 9, Plain: true, WaitForIdleMS: &idle}},
		"write":       {"shell write ID SHELL --input=ls", api.ShellWriteRequest{Input: "ls", AppendNewline: true}},
		"write blank": {"shell write ID SHELL --input=", api.ShellWriteRequest{AppendNewline: true}},
		"write part":  {"shell write ID SHELL --input x --no-newline", api.ShellWriteRequest{Input: "x"}},
		"signal":      {"shell signal ID SHELL", api.ShellSignalRequest{Signal: "INT"}},
		"signal TERM": {"shell signal ID SHELL --signal TERM", api.ShellSignalRequest{Signal: "TERM"}},
		"resize":      {"shell resize ID SHELL --cols 1 --rows 2", api.TerminalSize{Cols: 1, Rows: 2}},
		"close":       {"shell close ID SHELL", "close " + testShell},
		"start": {"service start ID web -- ./server --port 80", api.ServiceStartRequest{
			ServiceName: "web", Argv: []string{"./server", "--port", "80"}, ReadyTimeoutSeconds: 30, ReadyIntervalMS: 500,
		}},
		"start with all": {
			"service start ID web --cwd /srv --ready-http http://x/ --ready-timeout-seconds 5 --ready-interval-ms 50 --secret-env A=B --publish 80 --publish 8443:443 --restart on-failure:3 server",
			api.ServiceStartRequest{
				ServiceName: "web", Argv: []string{"server"}, Cwd: "/srv", Readiness: &api.Readiness{Type: api.ReadyHTTP, URL: "http://x/"},
				ReadyTimeoutSeconds: 5, ReadyIntervalMS: 50, SecretEnv: map[string]string{"A": "B"}, Restart: "on-failure:3",
				Publish: []api.PublishRequest{{GuestPort: 80}, {HostPort: 8443, GuestPort: 443}},
			},
		},
		"start by file":    {"service start ID web --ready-file x server", api.ServiceStartRequest{ServiceName: "web", Argv: []string{"server"}, Readiness: &api.Readiness{Type: api.ReadyFile, Path: "x"}, ReadyTimeoutSeconds: 30, ReadyIntervalMS: 500}},
		"start by tcp":     {"service start ID web --ready-tcp h:1 server", api.ServiceStartRequest{ServiceName: "web", Argv: []string{"server"}, Readiness: &api.Readiness{Type: api.ReadyTCP, Address: "h:1"}, ReadyTimeoutSeconds: 30, ReadyIntervalMS: 500}},
		"start by command": {"service start ID web --ready-command true server", api.ServiceStartRequest{ServiceName: "web", Argv: []string{"server"}, Readiness: &api.Readiness{Type: api.ReadyCommand, Command: "true"}, ReadyTimeoutSeconds: 30, ReadyIntervalMS: 500}},
		"status":           {"service status ID web", "status web"},
		"stop":             {"service stop ID web", "stop web"},
		"restart":          {"service restart ID web", "restart web"},
		"logs":             {"service logs ID web", []any{"logs", "web", 200}},
		"logs of three":    {"service logs ID web --tail-lines 3", []any{"logs", "web", 3}},
		"all logs":         {"service logs ID web --all --tail-lines 3", []any{"logs", "web", 0}},
		"follow":           {"service logs ID web --follow --tail 3", []any{"follow", "web", 3}},
		"set":              {"secret set ID TOKEN --from-env", api.SecretValue{Name: "TOKEN", Value: testSecret, SourceKind: api.SecretFromEnv}},
		"set by command":   {"secret set ID T --command=/bin/pwd", nil},
		"unset":            {"secret unset ID TOKEN", "unset TOKEN"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{environ: []string{"TOKEN=" + testSecret}}
			args := strings.NewReplacer("ID", testID, "SHELL", testShell).Replace(c.args)
			if code := s.run(t, append([]string{"workspace"}, strings.Fields(args)...)...); code != 0 {
				t.Fatalf("exit code %d: %s", code, s.err.String())
			}
			if c.want == nil {
				return
			}
			if diff := cmp.Diff([]any{c.want}, s.fake.asked); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSecretSources(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "key")
	if err := os.WriteFile(file, []byte("line one\nline two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	big := filepath.Join(dir, "big")
	if err := os.WriteFile(big, []byte(strings.Repeat("x", api.MaxSecretBytes+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	environ := []string{"HOME=" + dir, "PATH=/usr/bin:/bin", "TOKEN=" + testSecret, "EMPTY="}
	for name, c := range map[string]struct {
		args []string
		want api.SecretValue
		says string // on stderr; of a refusal
	}{
		"literal":              {[]string{"--secret", "A=b=c d "}, api.SecretValue{Name: "A", Value: "b=c d ", SourceKind: "literal"}, ""},
		"name with blanks":     {[]string{"--secret", " A =longenough"}, api.SecretValue{Name: "A", Value: "longenough", SourceKind: "literal"}, ""},
		"file":                 {[]string{"--secret-file", "A=" + file}, api.SecretValue{Name: "A", Value: "line one\nline two\n", SourceKind: "file"}, ""},
		"file of home":         {[]string{"--secret-file", "A=~/key"}, api.SecretValue{Name: "A", Value: "line one\nline two\n", SourceKind: "file"}, ""},
		"short option":         {[]string{"--secret-f", "A=~/key"}, api.SecretValue{Name: "A", Value: "line one\nline two\n", SourceKind: "file"}, ""},
		"variable":             {[]string{"--secret-from-env", "TOKEN"}, api.SecretValue{Name: "TOKEN", Value: testSecret, SourceKind: "env"}, ""},
		"other variable":       {[]string{"--secret-from-env", "A=TOKEN"}, api.SecretValue{Name: "A", Value: testSecret, SourceKind: "env"}, ""},
		"command":              {[]string{"--secret-command", "A=printf 'two\\nlines\\n\\n'; echo note >&2"}, api.SecretValue{Name: "A", Value: "two\nlines\n", SourceKind: "command"}, ""},
		"command with DOS end": {[]string{"--secret-command", "A=printf 'longenough\\r\\n'"}, api.SecretValue{Name: "A", Value: "longenough", SourceKind: "command"}, ""},
		"command that fails":   {[]string{"--secret-command", "A=echo " + testSecret + "; exit 3"}, api.SecretValue{}, "exit status 3"},
		"command of nothing":   {[]string{"--secret-command", "A=true"}, api.SecretValue{}, "secret A is empty"},
		"command of too much":  {[]string{"--secret-command", "A=yes | head -c 100000"}, api.SecretValue{}, "allowed are 65536"},
		"big file":             {[]string{"--secret-file", "A=" + big}, api.SecretValue{}, "has 65537 bytes, allowed are 65536"},
		"empty variable":       {[]string{"--secret-from-env", "EMPTY"}, api.SecretValue{}, "secret EMPTY is empty"},
		"no variable":          {[]string{"--secret-from-env", "A=NONE"}, api.SecretValue{}, "no variable 'NONE'"},
		"no form":              {[]string{"--secret", testSecret}, api.SecretValue{}, "--secret needs NAME=VALUE"},
		"no form of a name":    {[]string{"--secret", "TOKEN"}, api.SecretValue{}, "--secret needs NAME=VALUE"},
		"a value for a name":   {[]string{"--secret", testSecret + "=x"}, api.SecretValue{}, "is no name"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{environ: environ}
			code := s.run(t, append([]string{"workspace", "create", "host"}, c.args...)...)
			said := s.out.String() + s.err.String()
			if strings.Contains(said, testSecret) {
				t.Errorf("the value is shown:\n%s", said)
			}
			if c.says != "" {
				if code != 1 || !strings.Contains(said, c.says) || len(s.fake.created) > 0 {
					t.Errorf("exit code %d, created %d, says %s", code, len(s.fake.created), said)
				}
				return
			}
			if code != 0 {
				t.Fatalf("exit code %d: %s", code, said)
			}
			if diff := cmp.Diff([]api.SecretValue{c.want}, s.fake.created[0].Secrets, cmp.Transformer("shown", func(m api.Masked) string { return string(m) })); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSecretFromStdin(t *testing.T) {
	s := &session{stdin: strings.NewReader("two\nlines\n")}
	if code := s.run(t, "workspace", "secret", "set", testID, " T ", "--value-stdin"); code != 0 {
		t.Fatalf("exit code %d: %s", code, s.err.String())
	}
	got, ok := s.fake.asked[0].(api.SecretValue)
	if !ok || got.Name != "T" || string(got.Value) != "two\nlines" || got.SourceKind != api.SecretLiteral {
		t.Errorf("asked for %+v with %q", got, string(got.Value))
	}
}

func TestExecWithSecrets(t *testing.T) {
	s := &session{}
	if code := s.run(t, "workspace", "exec", testID, "--secret-env", "A=B", "--secret-env", "C", "--", "env"); code != 0 {
		t.Fatalf("exit code %d: %s", code, s.err.String())
	}
	if diff := cmp.Diff(map[string]string{"A": "B", "C": "C"}, s.fake.ran[0].SecretEnv); diff != "" {
		t.Error(diff)
	}
}

// TestGuestTextOnATerminal holds that what a shell or service printed does nothing to one.
func TestGuestTextOnATerminal(t *testing.T) {
	for name, args := range map[string]string{"read": "shell read ID SHELL", "failure": "service status ID web"} {
		t.Run(name, func(t *testing.T) {
			s := &session{fake: newFake(), terminal: true}
			s.fake.live.service = failedService()
			args := strings.NewReplacer("ID", testID, "SHELL", testShell).Replace(args)
			if code := s.run(t, append([]string{"workspace"}, strings.Fields(args)...)...); code != 0 {
				t.Fatalf("exit code %d: %s", code, s.err.String())
			}
			if strings.Contains(s.out.String()+s.err.String(), "\x1b") {
				t.Errorf("stdout %q, stderr %q", s.out.String(), s.err.String())
			}
		})
	}
}

func TestCompleteLive(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"shells":        {[]string{"shell", "read", testID, ""}, "000000000001\tstopped, /workspace\n9f3c21d07b44\trunning, /workspace\n"},
		"begun":         {[]string{"shell", "attach", testID, "9"}, "9f3c21d07b44\trunning, /workspace\n"},
		"no third":      {[]string{"shell", "read", testID, testShell, ""}, ""},
		"services":      {[]string{"service", "logs", testID, ""}, "db\texited, python3 -m http.server\nweb\trunning, python3 -m http.server\n"},
		"secrets":       {[]string{"secret", "unset", testID, "T"}, "TOKEN\tliteral\n"},
		"no workspace":  {[]string{"shell", "read", "ffffffffffff", ""}, ""},
		"signals":       {[]string{"shell", "signal", testID, testShell, "--signal", ""}, "HUP\nINT\nTERM\nKILL\n"},
		"a file to set": {[]string{"secret", "set", testID, "K"}, "KEY\tfile\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{}
			s.run(t, append([]string{"__complete", "workspace"}, c.args...)...)
			got, _, _ := strings.Cut(s.out.String(), ":")
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestWaitingForReadinessIsShown holds that a terminal tells what is waited for.
func TestWaitingForReadinessIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &session{fake: newFake(), terminal: true}
		s.fake.live.starting = func(context.Context) error { time.Sleep(2500 * time.Millisecond); return nil }
		if code := s.run(t, "workspace", "service", "start", testID, "web", "--ready-tcp", "127.0.0.1:80", "server"); code != 0 {
			t.Fatalf("exit code %d: %s", code, s.err.String())
		}
		if want := "\r[workspace-service-start: waiting for tcp 127.0.0.1:80] 2 s"; !strings.Contains(s.err.String(), want) {
			t.Errorf("shown was %q", s.err.String())
		}
	})
}

// TestFollowingIsLeft holds that Ctrl-C leaves a service as it is, and is no error.
func TestFollowingIsLeft(t *testing.T) {
	s := &session{fake: newFake(), signals: make(chan os.Signal, 1)}
	s.fake.live.follow = func(ctx context.Context, stdout, _ io.Writer) error {
		_, err := io.WriteString(stdout, "line\n")
		s.signals <- os.Interrupt
		<-ctx.Done()
		return errors.Join(err, ctx.Err())
	}
	code := s.run(t, "workspace", "service", "logs", testID, "web", "--follow")
	if code != 130 || s.out.String() != "line\n" || s.err.String() != "" {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, s.out.String(), s.err.String())
	}
}

func TestLiveWithoutIsolationWarns(t *testing.T) {
	for _, args := range []string{"shell open ID", "shell open ID --id-only", "service start ID web --json server"} {
		s := &session{fake: newFake()}
		hostCompat(s.fake)
		args := strings.Fields(strings.ReplaceAll(args, " ID", " "+testID))
		if code := s.run(t, append([]string{"workspace"}, args...)...); code != 0 || !strings.Contains(s.err.String(), "no isolation") {
			t.Errorf("%v: exit code %d, stderr %q", args, code, s.err.String())
		}
	}
}
