// Command gen writes what accompanies the programs of a release: the license texts
// (gen text FILE, in this directory) and, for one platform, the list of parts
// (gen sbom FILE PYRO HELPER…). It reads the module cache and needs no network.
//
// What is linked in is asked of the go command, package by package: the license of a
// module and those of the directories that packages of ours come from.
package main

import (
	"errors"
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
	switch {
	case len(args) == 2 && args[0] == "text":
		text, err := licenseText()
		if err != nil {
			return err
		}
		return os.WriteFile(args[1], text, 0o644)
	case len(args) > 3 && args[0] == "sbom":
		data, err := bill(args[2], args[3:])
		if err != nil {
			return err
		}
		return os.WriteFile(args[1], data, 0o644)
	}
	return errors.New("usage: gen text FILE, or gen sbom FILE PYRO HELPER…")
}
