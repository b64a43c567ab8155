package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSlope(t *testing.T) {
	fds := func(s sample) int { return s.FDs }
	for name, tc := range map[string]struct {
		samples []sample
		want    float64
	}{
		"none":         {nil, 0},
		"one":          {[]sample{{Seconds: 1, FDs: 7}}, 0},
		"flat":         {[]sample{{Seconds: 1, FDs: 7}, {Seconds: 2, FDs: 7}, {Seconds: 9, FDs: 7}}, 0},
		"one a second": {[]sample{{Seconds: 10, FDs: 7}, {Seconds: 12, FDs: 9}, {Seconds: 15, FDs: 12}}, 1},
		"at one time":  {[]sample{{Seconds: 1, FDs: 7}, {Seconds: 1, FDs: 9}}, 0},
	} {
		if got := slope(tc.samples, fds); got < tc.want-1e-9 || got > tc.want+1e-9 {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

func TestSpread(t *testing.T) {
	var times []time.Duration
	for i := range 101 {
		times = append(times, time.Duration(100-i)*time.Millisecond)
	}
	if diff := cmp.Diff(spread{101, 50, 95, 100}, spreadOf(times)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(spread{}, spreadOf(nil)); diff != "" {
		t.Errorf("of nothing (-want +got):\n%s", diff)
	}
}

func TestTraceKeepsTheLastAndWhatIsMeant(t *testing.T) {
	tr := newTrace()
	for i := range 3 * kept {
		word := "other"
		if i%100 == 0 {
			word = "mine"
		}
		tr.add(fmt.Sprint(word, " ", i))
	}
	if len(tr.lines) > kept {
		t.Errorf("it keeps %d lines", len(tr.lines))
	}
	got := tr.about("mine")
	if last := got[len(got)-1]; !strings.HasSuffix(last, fmt.Sprint("other ", 3*kept-1)) {
		t.Errorf("the last line is %q", last)
	}
	if mine := strings.Count(strings.Join(got, "\n"), "mine"); mine < 10 || len(got) > 2*told {
		t.Errorf("%d of %d lines have the word", mine, len(got))
	}
}

func TestReportIsReadableAndJSON(t *testing.T) {
	s := newStats()
	s.called(answer{request: request{op: "exec"}, took: time.Second}, true)
	s.called(answer{request: request{op: "exec"}, took: 2 * time.Second, struck: true}, false)
	s.struck("kill gofer")
	for range manyViolations + 1 {
		s.violated(violation{What: "it leaks", Trace: []string{"a line"}})
	}
	r := &report{Seed: 7, Calls: s.tallies, Blows: s.blows, Violations: s.violations}
	for _, want := range []string{"seed 7", "exec                 2      1      1  2s", "kill gofer", fmt.Sprint(manyViolations+1, " violations"), "it leaks"} {
		if !strings.Contains(r.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, r)
		}
	}
	if last := r.Violations[manyViolations]; last.Trace != nil {
		t.Errorf("violation %d keeps its trace", manyViolations+1)
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
}

func TestParse(t *testing.T) {
	var out bytes.Buffer
	o, err := parse([]string{"-for", "2m", "-seed", "9", "-workers", "2"}, &out)
	if err != nil || o.length != 2*time.Minute || o.seed != 9 || o.workers != 2 {
		t.Errorf("%+v, %v", o, err)
	}
	for _, bad := range [][]string{{"-for", "0s"}, {"-workers", "0"}, {"more"}, {"-unknown"}} {
		if _, err := parse(bad, &out); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
