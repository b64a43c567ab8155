package leaks

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Process is one of this machine.
type Process struct {
	PID  int
	Line string // its command line, a blank after each word
}

// String prints number and command line.
func (p Process) String() string { return fmt.Sprint(p.PID, " ", p.Line) }

// Processes returns those of the place whose command line has a text in it, except
// the one that asks. They name the place in their arguments or in their environment.
func (p Place) Processes(text string) []Process {
	var found []Process
	for _, pid := range pids() {
		if pid == os.Getpid() {
			continue
		}
		line := commandLine(pid)
		if strings.Contains(line, text) && (strings.Contains(line, string(p)+"/") || p.isIn(pid)) {
			found = append(found, Process{pid, line})
		}
	}
	return found
}

// isIn reports whether a process was started for the place.
func (p Place) isIn(pid int) bool {
	environ, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	for entry := range bytes.SplitSeq(environ, []byte{0}) {
		if string(entry) == "PYRO_STATE_DIR="+p.At(State) {
			return true
		}
	}
	return false
}

func pids() []int {
	var found []int
	names, _ := filepath.Glob("/proc/[0-9]*")
	for _, name := range names {
		if pid, err := strconv.Atoi(filepath.Base(name)); err == nil {
			found = append(found, pid)
		}
	}
	return found
}

func commandLine(pid int) string {
	args, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return string(bytes.ReplaceAll(args, []byte{0}, []byte{' '}))
}

// stateOf is the letter of proc_pid_stat(5), "" once the process is gone.
func stateOf(pid int) string {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	at := bytes.LastIndexByte(stat, ')')
	if at < 0 || at+2 >= len(stat) {
		return ""
	}
	return string(stat[at+2])
}

// State is what the process does at the moment, for the report that it should not be
// there: its state, and where in the kernel its threads wait.
func (p Process) State() string {
	var said []string
	for _, name := range []string{"wchan", "syscall"} {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/%s", p.PID, name))
		for _, task := range tasks {
			text, _ := os.ReadFile(task)
			said = append(said, strings.TrimSpace(string(text)))
		}
	}
	return fmt.Sprintf("%s %q", stateOf(p.PID), said)
}
