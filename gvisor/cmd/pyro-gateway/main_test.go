package main

import (
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	tests := []struct {
		name           string
		args           []string
		code           int
		stdout, stderr string // prefixes
	}{
		{"prints its version", []string{"--version"}, 0, "pyro-gateway ", ""},
		{"refuses to do anything", nil, 1, "", "pyro-gateway: this version of pyro has the network policy off only"},
		{"refuses to serve", []string{"serve"}, 1, "", "pyro-gateway: this version"},
		{"refuses a version with more behind it", []string{"--version", "x"}, 1, "", "pyro-gateway: this version"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var stdout, stderr strings.Builder
			if code := run(test.args, &stdout, &stderr); code != test.code {
				t.Errorf("status %d, want %d", code, test.code)
			}
			for _, stream := range []struct{ name, got, want string }{
				{"stdout", stdout.String(), test.stdout},
				{"stderr", stderr.String(), test.stderr},
			} {
				if !strings.HasPrefix(stream.got, stream.want) || (stream.got == "") != (stream.want == "") {
					t.Errorf("%s is %q, want it to begin with %q", stream.name, stream.got, stream.want)
				}
			}
		})
	}
}
