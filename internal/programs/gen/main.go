// Command gen packs programs into the directory that internal/programs embeds:
//
//	go run ./internal/programs/gen -o internal/programs/release/amd64 -arch amd64 bin/pyro-agent bin/pyro-runsc bin/pyro-gateway
//
// The same programs give the same bytes. One that is there already is not compressed
// again. tools/release.sh runs it; its own version is the one it writes down.
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/pyro-sandbox/pyro/internal/programs"
	"github.com/pyro-sandbox/pyro/internal/version"
)

func main() {
	out := flag.String("o", "", "write to this `directory`")
	arch := flag.String("arch", runtime.GOARCH, "refuse programs for another `GOARCH`")
	flag.Parse()
	if err := run(*out, *arch, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func run(out, arch string, paths []string) error {
	if out == "" || len(paths) == 0 {
		return errors.New("usage: gen -o DIRECTORY PROGRAM…")
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	index := programs.Index{Version: version.String()}
	for _, path := range paths {
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			return err
		}
		if !slices.Contains(info.Settings, debug.BuildSetting{Key: "GOARCH", Value: arch}) {
			return fmt.Errorf("%s was not built for %s", path, arch)
		}
		for _, dep := range info.Deps {
			if dep.Path == "gvisor.dev/gvisor" {
				index.GVisor = dep.Version
			}
		}
		p, err := pack(path, out)
		if err != nil {
			return err
		}
		index.Programs = append(index.Programs, p)
	}
	slices.SortFunc(index.Programs, func(a, b programs.Program) int { return strings.Compare(a.Name, b.Name) })
	data, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, programs.IndexName), append(data, '\n'), 0o644)
}

func pack(path, out string) (programs.Program, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return programs.Program{}, err
	}
	sum := sha256.Sum256(data)
	p := programs.Program{Name: filepath.Base(path), Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:])}
	to := filepath.Join(out, p.Name+programs.Packed)
	if holds(to, p) {
		return p, nil
	}
	packer, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return programs.Program{}, err
	}
	return p, os.WriteFile(to, packer.EncodeAll(data, nil), 0o644)
}

// holds reports whether the program is packed there already.
func holds(path string, p programs.Program) bool {
	packed, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	unpacker, err := zstd.NewReader(nil)
	if err != nil {
		return false
	}
	defer unpacker.Close()
	plain, err := unpacker.DecodeAll(packed, nil)
	sum := sha256.Sum256(plain)
	return err == nil && hex.EncodeToString(sum[:]) == p.SHA256
}
