package main

import (
	"bytes"
	"debug/buildinfo"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const checkedIn = "../third-party.txt"

// A module that was added or updated has to bring its license: make generate.
func TestTextIsUpToDate(t *testing.T) {
	want, err := licenseText()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(checkedIn)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what gen makes of the modules that are linked: run go generate ./internal/licenses", checkedIn)
	}
}

// What the go command lists and what the linker took must not differ.
func TestTextNamesWhatIsInThePrograms(t *testing.T) {
	text, err := os.ReadFile(checkedIn)
	if err != nil {
		t.Fatal(err)
	}
	lib := os.Getenv("PYRO_LIBDIR")
	if lib == "" {
		lib = "../../../bin"
	}
	for _, name := range []string{"pyro", "pyro-agent", "pyro-runsc", "pyro-gateway"} {
		info, err := buildinfo.ReadFile(filepath.Join(lib, name))
		if errors.Is(err, fs.ErrNotExist) {
			t.Logf("%s was not built: run make", name)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, missing := range unnamed(text, info) {
			t.Errorf("%s has %s linked in, whose license is not in %s", name, missing, checkedIn)
		}
	}
}

func unnamed(text []byte, info *buildinfo.BuildInfo) []string {
	var missing []string
	for _, dep := range info.Deps {
		if !bytes.Contains(text, []byte("\n"+dep.Path+" "+dep.Version+", ")) {
			missing = append(missing, dep.Path+" "+dep.Version)
		}
	}
	return missing
}

func TestUnnamedNoticesAModule(t *testing.T) {
	info, err := buildinfo.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if got := unnamed([]byte("nothing"), info); len(got) != len(info.Deps) {
		t.Errorf("of %d modules %v are missing", len(info.Deps), got)
	}
}

func TestEveryModuleHasALicenseThatIsKnown(t *testing.T) {
	parts, err := linked()
	if err != nil {
		t.Fatal(err)
	}
	if len(parts) < 20 {
		t.Fatalf("only %d modules are linked", len(parts))
	}
	for _, p := range parts {
		if ids, err := p.licenses(); err != nil || len(ids) == 0 {
			t.Errorf("%s: %v, %v", p.name, ids, err)
		}
	}
}

func TestIdentify(t *testing.T) {
	const bsd = "Redistribution  and use in source\nand binary forms"
	for text, want := range map[string]string{
		"Permission is hereby granted, free of charge, to any person":      "MIT",
		"Apache License\nVersion 2.0, January 2004":                        "Apache-2.0",
		"Mozilla Public License, version 2.0":                              "MPL-2.0",
		"Permission to use, copy, modify, and/or distribute this software": "ISC",
		"All rights reserved by nobody knows whom":                         "",
		bsd + " nor be used to endorse or promote products":                "BSD-3-Clause",
		bsd: "BSD-2-Clause",
		bsd + "\nApache License\nVersion 2.0, January 2004": "Apache-2.0 BSD-2-Clause",
	} {
		if got := strings.Join(identify([]byte(text)), " "); got != want {
			t.Errorf("%.40q is %q, want %q", text, got, want)
		}
	}
}

func TestNoticesByName(t *testing.T) {
	for name, want := range map[string]bool{
		"LICENSE": true, "LICENSE.txt": true, "LICENCE": true, "COPYING": true, "NOTICE": true, "PATENTS": true, "LICENSE-MIT": true,
		"license.md": true, "licenses": false, "README": false, "notices.go": false, "AUTHORS": false,
	} {
		if got := isNotice.MatchString(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if strings.Contains(rule, " ") {
		t.Error("the rule has blanks")
	}
}
