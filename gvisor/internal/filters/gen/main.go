// Command gen writes the table of package filters. It must run on the architecture
// that the table is for, and again after each change of the gVisor module's
// version; a test beside it fails until it has.
//
//	CGO_ENABLED=0 go run ./gen programs_amd64.go
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: gen FILE")
	}
	source, err := generate()
	if err != nil {
		return err
	}
	return os.WriteFile(args[0], source, 0o644)
}
