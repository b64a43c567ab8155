package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/leaks"
	"github.com/pyro-sandbox/pyro/internal/testgate"
)

// releaseFile is the one file of a release, which make test builds.
func releaseFile(t *testing.T) string {
	t.Helper()
	path := os.Getenv("PYRO_RELEASE_BINARY")
	if path == "" {
		testgate.Require(t, testgate.Tool, errors.New("PYRO_RELEASE_BINARY names no file of a release"))
	}
	return path
}

// bare is a machine on which nothing of pyro is but the file of a release: no helpers
// in PATH or beside it, an empty home, and no variable that names anything of it.
type bare struct {
	*place
	pyro string
}

func newBare(t *testing.T) *bare {
	t.Helper()
	release := releaseFile(t)
	b := &bare{place: newPlace(t)}
	b.pyro = b.install(t, release, "bin")
	for _, dir := range []string{b.at("home"), b.at("tmp")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	b.env = append([]string{"PATH=/usr/bin:/bin", "HOME=" + b.at("home"), "TMPDIR=" + b.at("tmp")}, leaks.Place(b.dir).Env()...)
	return b
}

// install puts a copy of a program into a directory of its own.
func (p *place) install(t *testing.T, program, dir string) string {
	t.Helper()
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(p.at(dir), "pyro")
	if err := errors.Join(os.MkdirAll(p.at(dir), 0o755), os.WriteFile(path, data, 0o755)); err != nil {
		t.Fatal(err)
	}
	return path
}

func (b *bare) run(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), b.pyro, args...)
	cmd.Env, cmd.Dir = slices.Clone(b.env), b.at("home")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return strings.TrimSpace(out.String()), errs.String(), err
}

func (b *bare) ok(t *testing.T, args ...string) string {
	t.Helper()
	out, errs, err := b.run(t, args...)
	if err != nil {
		t.Fatalf("pyro %s: %v: %s%s", strings.Join(args, " "), err, errs, out)
	}
	return out
}

// programs is the directory that was unpacked to.
func (b *bare) programs(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob(b.at(leaks.Cache + "/programs/*/pyro-runsc"))
	if err != nil || len(found) != 1 {
		t.Fatalf("unpacked are %v, %v", found, err)
	}
	return filepath.Dir(found[0])
}

func TestReleaseFileAlone(t *testing.T) {
	b := newBare(t)
	if out, errs, err := b.run(t, "run", "host", "--", "echo", "works"); err != nil || out != "works" {
		t.Fatalf("%v: %s%s", err, out, errs)
	}
	id := b.ok(t, "workspace", "create", "host", "--id-only")
	b.learn()
	if out := b.ok(t, "workspace", "exec", id, "--", "sh", "-c", "echo kept >file; cat file"); out != "kept" {
		t.Errorf("exec printed %q", out)
	}
	b.ok(t, "workspace", "stop", id)
	b.ok(t, "workspace", "start", id)
	if out := b.ok(t, "workspace", "exec", id, "--", "cat", "file"); out != "kept" {
		t.Errorf("after a stop the file reads %q", out)
	}
	b.ok(t, "workspace", "delete", id)
	var found api.Doctor
	if err := json.Unmarshal([]byte(b.ok(t, "doctor", "--json")), &found); err != nil || !found.RuntimeOK {
		t.Errorf("doctor: %v, %v", err, found.Issues)
	}
	b.wantNothing(t)
	if left, err := os.ReadDir(b.at("home")); err != nil || len(left) > 0 {
		t.Errorf("in the home are %v, %v", left, err)
	}
}

func TestReleaseFileSaysWhatIsInIt(t *testing.T) {
	b := newBare(t)
	var v api.Version
	if err := json.Unmarshal([]byte(b.ok(t, "version", "--json")), &v); err != nil {
		t.Fatal(err)
	}
	if v.GVisor == nil || len(v.Programs) != 3 {
		t.Errorf("got %+v", v)
	}
	for _, p := range v.Programs {
		if !p.Carried || p.Path != nil || p.Version == nil || *p.Version != v.Version {
			t.Errorf("%s: %+v; pyro is of version %s", p.Name, p, v.Version)
		}
	}
	text := b.ok(t, "version", "--licenses")
	for _, want := range []string{"MIT License", "gvisor.dev/gvisor v0", "Apache License", "Mozilla Public License", "the Go runtime"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in the licenses", want)
		}
	}
	if _, err := os.Stat(b.at(leaks.Cache)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it unpacked something to say so: %v", err)
	}
}

func TestReleaseFirstStartsAtTheSameTime(t *testing.T) {
	b := newBare(t)
	const many = 4
	outs, errs := make([]string, many), make([]error, many)
	together(many, func(i int) {
		cmd := exec.CommandContext(t.Context(), b.pyro, "run", "host", "--", "echo", "works")
		cmd.Env = slices.Clone(b.env)
		out, err := cmd.Output()
		outs[i], errs[i] = string(out), err
	})
	for i := range many {
		if errs[i] != nil || outs[i] != "works\n" {
			t.Errorf("%q, %v", outs[i], errs[i])
		}
	}
	b.programs(t)
	b.wantNothing(t)
}

// A program that is not as it was unpacked is read, and replaced by a good one; and
// what lies beside pyro is not looked at.
func TestReleaseMendsItsPrograms(t *testing.T) {
	b := newBare(t)
	b.ok(t, "run", "host", "--", "true")
	dir := b.programs(t)
	for _, name := range []string{"pyro-runsc", "pyro-agent"} {
		bad := []byte("#!/bin/sh\ntouch " + b.at("home") + "/caught\n")
		if err := errors.Join(os.WriteFile(filepath.Join(dir, name), bad, 0o755), os.WriteFile(filepath.Join(b.at("bin"), name), bad, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	if out := b.ok(t, "run", "host", "--", "echo", "works"); out != "works" {
		t.Errorf("got %q", out)
	}
	if b.programs(t) != dir {
		t.Errorf("they are in %s now, and were in %s", b.programs(t), dir)
	}
	if _, err := os.Stat(b.at("home/caught")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the other program was run: %v", err)
	}
}

func TestReleaseRefusesAPlantedCache(t *testing.T) {
	for name, plant := range map[string]func(b *bare, dir string) error{
		"for all to write": func(_ *bare, dir string) error { return os.Chmod(filepath.Dir(dir), 0o777) },
		"a link":           func(b *bare, dir string) error { return link(dir, b.at("elsewhere")) },
		"all of it a link": func(b *bare, dir string) error { return link(filepath.Dir(dir), b.at("elsewhere")) },
		"by another user": func(_ *bare, dir string) error {
			if os.Getuid() != 0 {
				return os.Chmod(dir, 0o777) // nobody else can be made the owner
			}
			return os.Chown(dir, 1500, 1500)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBare(t)
			b.ok(t, "run", "host", "--", "true")
			if err := plant(b, b.programs(t)); err != nil {
				t.Fatal(err)
			}
			_, errs, err := b.run(t, "run", "host", "--", "true")
			if err == nil || !strings.Contains(errs, "unsafe owner or mode") || !strings.Contains(errs, "[hint]") {
				t.Errorf("%v: %s", err, errs)
			}
			b.wantNothing(t)
		})
	}
}

// link moves a directory away and leaves a symbolic link to it.
func link(from, to string) error {
	return errors.Join(os.Rename(from, to), os.Symlink(to, from))
}

// The cache may be removed at any time.
func TestReleaseCacheIsRemovedWhileAWorkspaceRuns(t *testing.T) {
	b := newBare(t)
	id := b.ok(t, "workspace", "create", "host", "--id-only")
	b.learn()
	if err := os.RemoveAll(b.at(leaks.Cache)); err != nil {
		t.Fatal(err)
	}
	b.ok(t, "workspace", "exec", id, "--", "sh", "-c", "echo kept >file")
	b.ok(t, "workspace", "stop", id)
	b.ok(t, "workspace", "start", id)
	if out := b.ok(t, "workspace", "exec", id, "--", "cat", "file"); out != "kept" {
		t.Errorf("the file reads %q", out)
	}
	b.ok(t, "workspace", "delete", id)
	b.wantNothing(t)
}

// Forty megabytes inside cost nothing until they are used: they are mapped, not read.
func TestReleaseFileIsNotReadAtStart(t *testing.T) {
	b := newBare(t)
	usage := func(program string) int64 {
		cmd := exec.CommandContext(t.Context(), program, "--version")
		cmd.Env = b.env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss
	}
	const most = 4 << 10 // KiB more than without
	if with, without := usage(b.pyro), usage(binary(t)); with > without+most {
		t.Errorf("it takes %d KiB of memory, and %d without programs inside", with, without)
	}
}
