package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/pyro-sandbox/pyro/internal/version"
)

// The part of CycloneDX 1.6 that is used, see cyclonedx.org/docs/1.6/json. Neither
// serial number nor time is given: both are optional, and the same programs are to
// give the same bytes.
type (
	document struct {
		Format       string       `json:"bomFormat"`
		Spec         string       `json:"specVersion"`
		Version      int          `json:"version"`
		Metadata     metadata     `json:"metadata"`
		Components   []component  `json:"components"`
		Dependencies []dependency `json:"dependencies"`
	}
	metadata struct {
		Component component `json:"component"`
	}
	component struct {
		Type     string    `json:"type"`
		Ref      string    `json:"bom-ref"`
		Name     string    `json:"name"`
		Version  string    `json:"version"`
		Purl     string    `json:"purl,omitempty"`
		Hashes   []hash    `json:"hashes,omitempty"`
		Licenses []license `json:"licenses,omitempty"`
		Props    []prop    `json:"properties,omitempty"`
	}
	hash struct {
		Algorithm string `json:"alg"`
		Content   string `json:"content"`
	}
	license struct {
		License struct {
			ID string `json:"id"`
		} `json:"license"`
	}
	prop struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	dependency struct {
		Ref string   `json:"ref"`
		On  []string `json:"dependsOn"`
	}
)

// bill lists the parts of pyro and of the programs inside it, from what the linker
// wrote into each of them.
func bill(pyro string, helpers []string) ([]byte, error) {
	known, err := licensesByModule()
	if err != nil {
		return nil, err
	}
	d := document{Format: "CycloneDX", Spec: "1.6", Version: 1}
	if d.Metadata.Component, err = d.program(pyro, "pyro", known); err != nil {
		return nil, err
	}
	for _, path := range helpers {
		c, err := d.program(path, filepath.Base(path), known)
		if err != nil {
			return nil, err
		}
		d.Components = append(d.Components, c)
		d.Dependencies[0].On = append(d.Dependencies[0].On, c.Ref) // pyro's, the first
	}
	d.sort()
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(d); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func licensesByModule() (map[string][]string, error) {
	parts, err := linked()
	if err != nil {
		return nil, err
	}
	known := map[string][]string{}
	for _, p := range parts {
		if known[p.name], err = p.licenses(); err != nil {
			return nil, err
		}
	}
	return known, nil
}

// program adds the modules of a program and returns it.
func (d *document) program(path, name string, known map[string][]string) (component, error) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return component{}, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return component{}, err
	}
	sum := sha256.Sum256(data)
	c := component{
		Type: "application", Ref: name, Name: name, Version: version.String(), Licenses: licensed("MIT"),
		Hashes: []hash{{"SHA-256", hex.EncodeToString(sum[:])}},
		Props:  []prop{{"go:arch", setting(info, "GOARCH")}, {"go:os", setting(info, "GOOS")}},
	}
	on := []string{d.module("stdlib", strings.TrimPrefix(info.GoVersion, "go"), "", licensed("BSD-3-Clause"))}
	for _, dep := range info.Deps {
		ids := known[dep.Path+" "+dep.Version]
		if len(ids) == 0 {
			return component{}, fmt.Errorf("%s: no license known of %s %s", name, dep.Path, dep.Version)
		}
		on = append(on, d.module(dep.Path, dep.Version, dep.Sum, licensed(ids...)))
	}
	d.Dependencies = append(d.Dependencies, dependency{c.Ref, on})
	return c, nil
}

func setting(info *debug.BuildInfo, key string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// module adds a module, once, and returns what it is referred to by.
func (d *document) module(path, version, sum string, licenses []license) string {
	ref := "pkg:golang/" + path + "@" + strings.ReplaceAll(version, "+", "%2B")
	if slices.ContainsFunc(d.Components, func(c component) bool { return c.Ref == ref }) {
		return ref
	}
	c := component{Type: "library", Ref: ref, Name: path, Version: version, Purl: ref, Licenses: licenses}
	if sum != "" {
		c.Props = []prop{{"go:sum", sum}}
	}
	d.Components = append(d.Components, c)
	return ref
}

func licensed(ids ...string) []license {
	var list []license
	for _, id := range ids {
		var l license
		l.License.ID = id
		list = append(list, l)
	}
	return list
}

func (d *document) sort() {
	slices.SortFunc(d.Components, func(a, b component) int { return strings.Compare(a.Ref, b.Ref) })
	slices.SortFunc(d.Dependencies, func(a, b dependency) int { return strings.Compare(a.Ref, b.Ref) })
	for _, dep := range d.Dependencies {
		slices.Sort(dep.On)
	}
}

// licenses returns the SPDX identifiers of a module's licenses, and fails for a text
// that is none of those that are known: somebody has to read it.
func (p part) licenses() ([]string, error) {
	var ids []string
	for _, file := range p.files {
		name := strings.ToUpper(filepath.Base(file))
		if strings.HasPrefix(name, "PATENTS") || strings.HasPrefix(name, "NOTICE") {
			continue // goes with a license, and is none
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		found := identify(text)
		if len(found) == 0 {
			return nil, fmt.Errorf("%s: %s is a license that gen does not know", p.name, file)
		}
		ids = append(ids, found...)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// marks are words by which a license is known.
var marks = []struct{ id, words string }{
	{"Apache-2.0", "Apache License Version 2.0, January 2004"},
	{"BSD-3-Clause", "Redistribution and use in source and binary forms"},
	{"ISC", "Permission to use, copy, modify, and/or distribute this software"},
	{"MIT", "Permission is hereby granted, free of charge, to any person"},
	{"MPL-2.0", "Mozilla Public License, version 2.0"},
}

// endorsement is the third clause of BSD-3-Clause.
const endorsement = "used to endorse or promote products"

// identify returns the SPDX identifiers of the licenses in a text: of all, since some
// files hold several for several parts.
func identify(text []byte) []string {
	words := strings.Join(strings.Fields(string(text)), " ")
	var ids []string
	for _, m := range marks {
		switch {
		case !strings.Contains(words, m.words):
		case m.id == "BSD-3-Clause" && !strings.Contains(words, endorsement):
			ids = append(ids, "BSD-2-Clause")
		default:
			ids = append(ids, m.id)
		}
	}
	return ids
}
