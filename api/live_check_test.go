package api

import (
	"fmt"
	"strings"
	"testing"
)

func TestSecretsCheck(t *testing.T) {
	good := SecretValue{Name: "TOKEN", Value: "hunter2-hunter2", SourceKind: SecretLiteral}
	with := func(change func(*SecretValue)) []SecretValue {
		s := good
		change(&s)
		return []SecretValue{s}
	}
	many := make([]SecretValue, MaxSecrets+1)
	for i := range many {
		many[i] = SecretValue{Name: fmt.Sprintf("S%d", i), Value: "v", SourceKind: SecretLiteral}
	}
	for name, test := range map[string]struct {
		secrets []SecretValue
		says    []string
	}{
		"none":               {nil, nil},
		"one":                {[]SecretValue{good}, nil},
		"as many as allowed": {many[:MaxSecrets], nil},
		"one too many":       {many, []string{"65", "64"}},
		"a digit first":      {with(func(s *SecretValue) { s.Name = "1X" }), []string{"1X"}},
		"a dash":             {with(func(s *SecretValue) { s.Name = "A-B" }), []string{"A-B"}},
		"a path":             {with(func(s *SecretValue) { s.Name = "../x" }), []string{"../x"}},
		"64 characters":      {with(func(s *SecretValue) { s.Name = strings.Repeat("a", 64) }), nil},
		"65 characters":      {with(func(s *SecretValue) { s.Name = strings.Repeat("a", 65) }), []string{"not allowed"}},
		"a line end":         {with(func(s *SecretValue) { s.Name = "A\n" }), []string{"not allowed"}},
		"empty":              {with(func(s *SecretValue) { s.Value = "" }), []string{"TOKEN", "empty"}},
		"one byte":           {with(func(s *SecretValue) { s.Value = "x" }), nil},
		"64 KiB":             {with(func(s *SecretValue) { s.Value = Masked(strings.Repeat("x", MaxSecretBytes)) }), nil},
		"a byte more":        {with(func(s *SecretValue) { s.Value = Masked(strings.Repeat("x", MaxSecretBytes+1)) }), []string{"65537", "65536"}},
		"no UTF-8":           {with(func(s *SecretValue) { s.Value = "\xff" }), []string{"UTF-8"}},
		"no known source":    {with(func(s *SecretValue) { s.SourceKind = "air" }), []string{"air"}},
		"twice":              {[]SecretValue{good, good}, []string{"TOKEN", "twice"}},
	} {
		t.Run(name, func(t *testing.T) { wantInvalid(t, CheckSecrets(test.secrets), test.says...) })
	}
}

// TestSecretsAreNotQuoted holds that no refusal and no verb shows a value.
func TestSecretsAreNotQuoted(t *testing.T) {
	const value = "hunter2-hunter2"
	bad := SecretValue{Name: "1", Value: value, SourceKind: "x"}
	twice := SecretValue{Name: "A", Value: value, SourceKind: SecretLiteral}
	for name, text := range map[string]string{
		"refusal":   fmt.Sprint(bad.Check()),
		"source":    fmt.Sprint(SecretValue{Name: "A", Value: value, SourceKind: "x"}.Check()),
		"twice":     fmt.Sprint(CheckSecrets([]SecretValue{twice, twice})),
		"%v":        fmt.Sprintf("%v", twice),
		"%+v":       fmt.Sprintf("%+v", CreateRequest{Secrets: []SecretValue{twice}}),
		"%#v":       fmt.Sprintf("%#v", SecretRequest{Value: value}),
		"%q":        fmt.Sprintf("%q", twice.Value),
		"%x":        fmt.Sprintf("%x", twice.Value),
		"a pointer": fmt.Sprintf("%v", &twice),
	} {
		t.Run(name, func(t *testing.T) {
			if strings.Contains(text, value) || strings.Contains(text, "68756e74657232") {
				t.Errorf("it shows %s", text)
			}
		})
	}
}

func TestSecretEnvCheck(t *testing.T) {
	for name, test := range map[string]struct {
		names map[string]string
		says  []string
	}{
		"none":              {nil, nil},
		"two":               {map[string]string{"A": "A", "B": "X_1"}, nil},
		"no secret's":       {map[string]string{"a b": "A"}, []string{"a b"}},
		"no variable's":     {map[string]string{"A": "1"}, []string{`"1"`}},
		"an equals sign":    {map[string]string{"A": "B=C"}, []string{"B=C"}},
		"one for two":       {map[string]string{"A": "X", "B": "X"}, []string{"X", "A", "B"}},
		"empty variable":    {map[string]string{"A": ""}, []string{"variable"}},
		"variable too long": {map[string]string{"A": strings.Repeat("V", 65)}, []string{"variable"}},
	} {
		t.Run(name, func(t *testing.T) { wantInvalid(t, CheckSecretEnv(test.names), test.says...) })
	}
}

func TestShellRequestsCheck(t *testing.T) {
	type request interface{ Check() error }
	for name, test := range map[string]struct {
		request request
		says    []string
	}{
		"open":             {ShellOpenRequest{}, nil},
		"open wide":        {ShellOpenRequest{Cols: MaxTerminal, Rows: 1}, nil},
		"no columns":       {ShellOpenRequest{Cols: -1}, []string{"cols", "-1"}},
		"too many rows":    {ShellOpenRequest{Rows: MaxTerminal + 1}, []string{"rows", "4097"}},
		"bad secret":       {ShellOpenRequest{SecretEnv: map[string]string{"-": "A"}}, []string{"-"}},
		"no size":          {TerminalSize{}, []string{"cols", "0"}},
		"read":             {ShellReadRequest{}, nil},
		"read before":      {ShellReadRequest{Cursor: -1}, []string{"cursor", "-1"}},
		"read nothing":     {ShellReadRequest{MaxChars: -1}, []string{"max_chars"}},
		"wait":             {ShellReadRequest{WaitForIdleMS: new(MaxIdleWaitMS)}, nil},
		"no wait":          {ShellReadRequest{WaitForIdleMS: new(0)}, []string{"wait_for_idle_ms", "0"}},
		"wait too long":    {ShellReadRequest{WaitForIdleMS: new(MaxIdleWaitMS + 1)}, []string{"10001"}},
		"write":            {ShellWriteRequest{Input: strings.Repeat("x", MaxShellInput)}, nil},
		"write too much":   {ShellWriteRequest{Input: strings.Repeat("x", MaxShellInput+1)}, []string{"1048577"}},
		"signal":           {ShellSignalRequest{Signal: "int"}, nil},
		"unknown signal":   {ShellSignalRequest{Signal: "USR1"}, []string{"USR1"}},
		"no signal":        {ShellSignalRequest{}, []string{"signal"}},
		"signal with head": {ShellSignalRequest{Signal: "SIGINT"}, []string{"SIGINT"}},
	} {
		t.Run(name, func(t *testing.T) { wantInvalid(t, test.request.Check(), test.says...) })
	}
}
