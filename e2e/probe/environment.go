//go:build linux

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// environment shows the variables of this command, and looks for a mark in those of all.
func environment(p *plan) []attempt {
	return []attempt{
		{"variables", func() (string, error) {
			var names []string
			for _, entry := range os.Environ() {
				name, _, _ := strings.Cut(entry, "=")
				names = append(names, name)
			}
			slices.Sort(names)
			return strings.Join(names, " "), nil
		}},
		{"the mark in the environments of all processes", func() (string, error) { return every("environ", p.mark()) }},
		{"the mark in the command lines of all processes", func() (string, error) { return every("cmdline", p.mark()) }},
		{"the mark in the memory of process 1", func() (string, error) { return memory(1, p.mark()) }},
	}
}

// every looks for a mark in a file of each process.
func every(file, mark string) (string, error) {
	names, err := filepath.Glob("/proc/[0-9]*/" + file)
	if err != nil || len(names) < 2 {
		return "nothing to read", err
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		if bytes.Contains(data, []byte(mark)) {
			return "found in " + name, nil
		}
	}
	return "not found", nil
}
