package testgate

import (
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// recorder is a testing.TB that notes how a test ended instead of ending it.
type recorder struct {
	testing.TB
	outcome string
}

func (r *recorder) Helper() {}

func (r *recorder) Fatalf(format string, args ...any) {
	r.end("fail: " + fmt.Sprintf(format, args...))
}

func (r *recorder) Skipf(format string, args ...any) {
	r.end("skip: " + fmt.Sprintf(format, args...))
}

func (r *recorder) end(outcome string) {
	r.outcome = outcome
	runtime.Goexit()
}

func outcome(c Capability, probeErr error) string {
	r := &recorder{outcome: "run"}
	done := make(chan struct{})
	go func() { // ends with Require, by return or by Goexit
		defer close(done)
		Require(r, c, probeErr)
	}()
	<-done
	return r.outcome
}

func TestRequire(t *testing.T) {
	missing := errors.New("no /dev/kvm")
	for name, tc := range map[string]struct {
		require string
		cap     Capability
		probe   error
		want    string
	}{
		"present":                         {"", KVM, nil, "run"},
		"present and required":            {"kvm", KVM, nil, "run"},
		"missing skips with the reason":   {"", KVM, missing, "skip: kvm: no /dev/kvm"},
		"missing but another required":    {"gvisor", KVM, missing, "skip: kvm: no /dev/kvm"},
		"missing and required fails":      {"gvisor, kvm", KVM, missing, "fail: kvm is required by PYRO_REQUIRE: no /dev/kvm"},
		"required name does not exist":    {"gvsior", KVM, nil, fmt.Sprintf("fail: PYRO_REQUIRE: unknown capability %q, want some of %q", "gvsior", known)},
		"empty items in the list ignored": {",", KVM, missing, "skip: kvm: no /dev/kvm"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(Env, tc.require)
			if diff := cmp.Diff(tc.want, outcome(tc.cap, tc.probe)); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}
