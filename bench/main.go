// Command bench measures pyro against what it is made of: every row compares two
// things that are measured in turns in the same run, so that a busy machine slows
// both. It prints ratios and asserts nothing; see docs/benchmarks.md.
//
//	make && go run ./bench [-n N] [-only NAME] [-json]
//
// It exits with 0 when all rows could be measured, whatever came out.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/pyro-sandbox/pyro/internal/sys"
)

func main() { os.Exit(run()) }

// row is a benchmark by its name.
type row struct {
	name    string
	measure func(context.Context, *bench) (result, error)
}

// rows are in the order in which they are measured.
func rows() []row {
	return []row{
		{"sdk-life", sdkLife},
		{"run-true", runTrue},
		{"exec", execOverhead},
		{"version", versionTime},
		{"sizes", sizes},
		{"growth", growth},
		{"output", output},
		{"list", list},
		{"stop", stop(smallDisk)},
		{"stop-100mb", stop(largeDisk)},
		{"start", start(smallDisk)},
		{"start-100mb", start(largeDisk)},
		{"snapshot", snapshot},
		{"reset", reset},
		{"fork", fork},
		{"seed", seed},
		{"sync", syncOne},
		{"diff", diff},
		{"apply", apply},
		{"keystroke", keystroke},
		{"service-stop", serviceStop},
		{"port", port},
		{"mcp-start", mcpStart},
		{"mcp-exec", mcpExec},
		{"serve", serveHop},
		{"serve-export", serveExport},
		{"python-exec", pythonExec},
		{"neighbour", neighbour},
		{"storm", storm}, // last, for the load that it leaves
	}
}

// report is the whole answer.
type report struct {
	Machine machine  `json:"machine"`
	Rows    []result `json:"rows"`
}

func run() int {
	n := flag.Int("n", 21, "how often each side of a row is measured")
	only := flag.String("only", "", "measure this row alone (or several, with commas)")
	asJSON := flag.Bool("json", false, "print JSON")
	bin := flag.String("bin", "bin", "directory of the programs that make builds")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, sys.SIGTERM)
	defer stop()
	answer, err := measure(ctx, *bin, *n, *only)
	if printErr := answer.print(os.Stdout, *asJSON); err == nil {
		err = printErr
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}

// measure returns what could be measured until something failed.
func measure(ctx context.Context, bin string, n int, only string) (report, error) {
	answer := report{Machine: thisMachine()}
	wanted, err := choose(only)
	if err != nil {
		return answer, err
	}
	b, err := open(bin, max(n, 1))
	if err != nil {
		return answer, err
	}
	defer b.close()
	for _, row := range wanted {
		load := loadAverage()
		measured, err := row.measure(ctx, b)
		if err != nil {
			return answer, fmt.Errorf("%s: %w", row.name, err)
		}
		measured.Name, measured.Load = row.name, load
		answer.Rows = append(answer.Rows, measured)
	}
	return answer, nil
}

func choose(only string) ([]row, error) {
	if only == "" {
		return rows(), nil
	}
	var chosen []row
	for name := range strings.SplitSeq(only, ",") {
		before := len(chosen)
		for _, row := range rows() {
			if row.name == name {
				chosen = append(chosen, row)
			}
		}
		if len(chosen) == before {
			return nil, fmt.Errorf("no row %q", name)
		}
	}
	return chosen, nil
}

func (r report) print(w io.Writer, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	text := []string{r.Machine.String()}
	for _, row := range r.Rows {
		text = append(text, row.String())
	}
	_, err := fmt.Fprintln(w, strings.Join(text, "\n\n"))
	return err
}
