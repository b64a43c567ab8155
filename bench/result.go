package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// machine is where it was measured.
type machine struct {
	Cores  int    `json:"cores"`
	Kernel string `json:"kernel"`
	Load   string `json:"load"` // averages of 1, 5 and 15 minutes when it began
}

func thisMachine() machine {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return machine{Cores: runtime.NumCPU(), Kernel: strings.TrimSpace(string(kernel)), Load: loadAverage()}
}

func (m machine) String() string {
	return fmt.Sprintf("%d cores, Linux %s, load %s", m.Cores, m.Kernel, m.Load)
}

func loadAverage() string {
	text, _ := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(text))
	return strings.Join(fields[:min(3, len(fields))], " ")
}

// result is a row that was measured.
type result struct {
	Name     string   `json:"name"`
	Load     string   `json:"load"` // when the row began
	N        int      `json:"n"`    // measurements of each side
	What     string   `json:"what,omitempty"`
	Product  *sample  `json:"product,omitempty"`
	Baseline *sample  `json:"baseline,omitempty"`
	Command  string   `json:"command,omitempty"` // of the baseline
	Ratios   *ratios  `json:"ratios,omitempty"`
	Target   string   `json:"target,omitempty"`
	Figures  []figure `json:"figures,omitempty"`
}

// sample is what came of one side, in milliseconds.
type sample struct {
	P50 float64 `json:"p50_ms"`
	Min float64 `json:"min_ms"`
}

// ratios are product / baseline.
type ratios struct {
	P50 float64 `json:"p50"`
	Min float64 `json:"min"`
}

// figure is a number that is not compared with another side.
type figure struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Target string  `json:"target,omitempty"`
}

// compared is the result of two sides measured in turns.
func compared(product, baseline []time.Duration) result {
	p, b := summary(product), summary(baseline)
	return result{
		N: len(product), Product: &p, Baseline: &b,
		Ratios: &ratios{P50: p.P50 / b.P50, Min: p.Min / b.Min},
	}
}

func summary(times []time.Duration) sample {
	sorted := slices.Sorted(slices.Values(times))
	return sample{P50: ms(sorted[len(sorted)/2]), Min: ms(sorted[0])}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// figures shows the median and the minimum of something that has no other side.
func figures(name string, times []time.Duration, target string) []figure {
	s := summary(times)
	return []figure{{name + ", p50", s.P50, "ms", target}, {name + ", min", s.Min, "ms", ""}}
}

// side is one measurement of something.
type side func(context.Context) (time.Duration, error)

// inTurns measures several sides n times each: A B A B … A first turn, in which
// files come into the cache, does not count.
func inTurns(ctx context.Context, n int, sides ...side) ([][]time.Duration, error) {
	all := make([][]time.Duration, len(sides))
	for turn := range n + 1 {
		for i, measure := range sides {
			took, err := measure(ctx)
			if err != nil {
				return nil, err
			}
			if turn > 0 {
				all[i] = append(all[i], took)
			}
		}
	}
	return all, nil
}

func (r result) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s (n %d, load %s)", r.Name, r.N, r.Load)
	if r.What != "" {
		fmt.Fprintf(&out, "\n  %s", r.What)
	}
	if r.Ratios != nil {
		fmt.Fprintf(&out, "\n  %-10s %9.2f ms p50 %9.2f ms min", "product", r.Product.P50, r.Product.Min)
		fmt.Fprintf(&out, "\n  %-10s %9.2f ms p50 %9.2f ms min", "baseline", r.Baseline.P50, r.Baseline.Min)
		fmt.Fprintf(&out, "\n  %-10s %9.2f    p50 %9.2f    min%s", "ratio", r.Ratios.P50, r.Ratios.Min, wanted(r.Target))
	}
	for _, f := range r.Figures {
		fmt.Fprintf(&out, "\n  %-46s %10.2f %s%s", f.Name, f.Value, f.Unit, wanted(f.Target))
	}
	if r.Command != "" {
		fmt.Fprintf(&out, "\n  baseline: %s", r.Command)
	}
	return out.String()
}

func wanted(target string) string {
	if target == "" {
		return ""
	}
	return "   (wanted: " + target + ")"
}
