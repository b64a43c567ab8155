// Package plain runs a program in a sandbox by pyro-runsc alone: no supervisor and,
// where the program is not the agent, no channel. It is what pyro is compared with, so
// it must differ in nothing else. Therefore it takes everything (configuration, stage
// file, flags, limits) from a sandbox of pyro that runs, and replaces names, paths and
// the program.
//
// It is for benchmarks; it knows the engine's layout on disk and would break with it.
package plain

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/store"
)

// Model is a sandbox of pyro that runs.
type Model struct {
	ID, Dir, Run string // as in engine.Spec
	PID          int    // of the attached pyro-runsc
}

// Recipe says how to make sandboxes like a model. The model may be gone by then.
type Recipe struct {
	model  Model
	helper string
	args   []string
	bundle map[string]string // file name to text
	groups map[string]map[string]string
}

// where the guest sees the directory with the agent, or ours in its place.
const programDir = "/opt/pyro"

// Learn looks at a model. The recipe's sandboxes run the program instead of the
// agent; it has to lie in a directory that every user can enter. Without a program
// they run the agent.
func Learn(m Model, helper, program string) (*Recipe, error) {
	args, err := m.arguments()
	if err != nil {
		return nil, err
	}
	r := &Recipe{model: m, helper: helper, args: args, bundle: make(map[string]string)}
	for _, name := range []string{"config.json", "stage.json"} {
		text, err := os.ReadFile(filepath.Join(m.Dir, "bundle", name))
		if err != nil {
			return nil, err
		}
		r.bundle[name] = string(text)
	}
	if program != "" {
		if r.bundle["config.json"], err = withProgram(r.bundle["config.json"], program); err != nil {
			return nil, err
		}
	}
	r.groups, err = limitsOf(m.ID)
	return r, err
}

// arguments are those that the model's pyro-runsc was started with.
func (m Model) arguments() ([]string, error) {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", m.PID))
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")[1:], nil
}

func withProgram(config, program string) (string, error) {
	var spec specs.Spec
	if err := json.Unmarshal([]byte(config), &spec); err != nil {
		return "", err
	}
	spec.Process.Args = []string{filepath.Join(programDir, filepath.Base(program))}
	for i, mount := range spec.Mounts {
		if mount.Destination == programDir {
			spec.Mounts[i].Source = filepath.Dir(program)
		}
	}
	text, err := json.Marshal(spec)
	return string(text), err
}

// limitsOf returns the groups of a sandbox, if it has any, each with its settings
// by file.
func limitsOf(id string) (map[string]map[string]string, error) {
	found, err := filepath.Glob(filepath.Join("/sys/fs/cgroup/*/pyro", id))
	if err != nil {
		return nil, err
	}
	groups := make(map[string]map[string]string)
	for _, group := range found {
		groups[group] = make(map[string]string)
		for _, name := range []string{
			"cpuset.cpus", "cpuset.mems", "memory.limit_in_bytes", "pids.max", "cpu.cfs_period_us", "cpu.cfs_quota_us",
		} {
			if value, err := os.ReadFile(filepath.Join(group, name)); err == nil {
				groups[group][name] = string(value)
			}
		}
	}
	return groups, nil
}

// Command is what Run executes, with the names of the model.
func (r *Recipe) Command() string { return "pyro-runsc " + strings.Join(r.args, " ") }

// Prepare makes what the sandbox needs beforehand and returns what is to be
// executed. The ledger's owner removes it.
func (r *Recipe) Prepare(spec engine.Spec, ledger engine.Ledger) (*Sandbox, error) {
	rename := strings.NewReplacer(r.model.Dir, spec.Dir, r.model.Run, spec.Run, r.model.ID, spec.ID)
	if err := makeDirs(spec, ledger); err != nil {
		return nil, err
	}
	for group, settings := range r.groups {
		if err := makeGroup(rename.Replace(group), settings, spec.UID, ledger); err != nil {
			return nil, err
		}
	}
	for name, text := range r.bundle {
		if err := os.WriteFile(filepath.Join(spec.Dir, "bundle", name), []byte(rename.Replace(text)), 0o644); err != nil {
			return nil, err
		}
	}
	s := &Sandbox{helper: r.helper, uid: spec.UID}
	for _, arg := range r.args {
		s.args = append(s.args, rename.Replace(arg))
	}
	return s, nil
}

func makeDirs(spec engine.Spec, ledger engine.Ledger) error {
	state := filepath.Join(spec.Run, "r")
	for _, dir := range []string{spec.Dir, state} {
		if err := ledger.Acquire(store.Resource{Kind: store.KindDir, Path: dir}); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Dir(spec.Dir), 0o711); err != nil {
		return err
	}
	for _, dir := range []string{spec.Dir, filepath.Join(spec.Dir, "bundle"), filepath.Join(spec.Dir, "upper"), filepath.Join(spec.Dir, "root"), state} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		if err := os.Lchown(dir, spec.UID, spec.UID); err != nil && os.Geteuid() == 0 {
			return err
		}
	}
	return nil
}

func makeGroup(group string, settings map[string]string, uid int, ledger engine.Ledger) error {
	if err := ledger.Acquire(store.Resource{Kind: store.KindCgroup, Path: group}); err != nil {
		return err
	}
	if err := os.MkdirAll(group, 0o755); err != nil {
		return err
	}
	for _, dir := range []string{filepath.Dir(group), group} { // an empty cpuset lets nobody in
		for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
			if value, ok := settings[name]; ok {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(value), 0); err != nil {
					return err
				}
			}
		}
	}
	for _, name := range []string{"memory.limit_in_bytes", "pids.max", "cpu.cfs_period_us", "cpu.cfs_quota_us"} {
		if value, ok := settings[name]; ok {
			if err := os.WriteFile(filepath.Join(group, name), []byte(value), 0); err != nil {
				return err
			}
		}
	}
	return os.Chown(filepath.Join(group, "cgroup.procs"), uid, uid)
}
