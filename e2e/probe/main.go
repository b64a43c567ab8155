//go:build linux

// Command probe is the attacker of the tests of claims: a program that is put into a
// workspace, runs there as root and tries to get out. Each sub-command is a group of
// attempts; it reads what there is to attack from plan.json beside it and prints one
// line of JSON for each attempt, with what came of it. It judges nothing: what is
// allowed is for the tests on the host to say, who also look at what happened there.
//
// It uses nothing but the kernel, so that it is one static file, and most of it
// refuses to run outside a sandbox, since it would do what it tries.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// plan is what there is to attack, as the test wrote it.
type plan struct {
	Mark    string   `json:"mark"`    // reversed: what the canaries contain
	Files   []string `json:"files"`   // canaries of the host
	Shown   []string `json:"shown"`   // files of the host that the sandbox may see
	Places  []string `json:"places"`  // directories in which to make something
	PIDs    []int    `json:"pids"`    // processes of the host
	TCP     []string `json:"tcp"`     // listeners of the host, ADDRESS:PORT
	UDP     []string `json:"udp"`     // likewise
	Unix    []string `json:"unix"`    // sockets of the host, by path or by @name
	FIFOs   []string `json:"fifos"`   // of the host
	Devices []string `json:"devices"` // device nodes of the host that the sandbox may see
	Vsock   uint32   `json:"vsock"`   // port of a listener on every CID of the host, 0 for none
}

// result is what came of one attempt.
type result struct {
	Try string `json:"try"`
	Got string `json:"got"` // "done", the name of an errno, or what was seen
}

// attempt is one thing that an attacker tries. What it sees is printed if there is no error.
type attempt struct {
	try string
	do  func() (seen string, err error)
}

// group is a sub-command.
type group struct {
	attempts func(*plan) []attempt
	harmless bool // may run on the host too
}

var groups = map[string]group{
	"processes":    {attempts: processes},
	"files":        {attempts: files},
	"writes":       {attempts: writes},
	"network":      {attempts: network, harmless: true},
	"sockets":      {attempts: sockets, harmless: true},
	"devices":      {attempts: devices},
	"settings":     {attempts: settings},
	"syscalls":     {attempts: syscalls},
	"channel":      {attempts: channel},
	"environment":  {attempts: environment},
	"privileges":   {attempts: privileges},
	"setuid":       {attempts: setuid},
	"userns":       {attempts: userns},
	"limits":       {attempts: limits},
	"seek":         {attempts: seek},
	"differential": {attempts: differential, harmless: true},
}

// tools are sub-commands that are no list of attempts.
var tools = map[string]func(args []string) error{
	"beacon":  beacon,    // leave something for seek, until stdin ends
	"fill":    fill,      // write until it fails
	"threads": threads,   // start them until it fails
	"eat":     eat,       // take memory until the end
	"hijack":  hijack,    // take the agent's channel
	"stop":    stopAgent, // and get no answer
	"wait":    wait,      // until stdin ends: a process for others to look at
	"whoami":  whoami,    // uids and capabilities, for setuid
}

func main() {
	if len(os.Args) < 2 {
		fail("usage: probe GROUP")
	}
	name := os.Args[1]
	if tool, ok := tools[name]; ok {
		if err := tool(os.Args[2:]); err != nil {
			fail("%s: %v", name, err)
		}
		return
	}
	g, ok := groups[name]
	if !ok {
		fail("no group %q", name)
	}
	if !g.harmless && !sandboxed() {
		fail("%s runs in a sandbox only", name)
	}
	p, err := readPlan()
	if err != nil {
		fail("%v", err)
	}
	if name == "userns" && !slices.Contains(os.Args[2:], "inside") {
		if err := intoNamespaces(); err != nil {
			fail("%v", err)
		}
		return
	}
	out := json.NewEncoder(os.Stdout)
	for _, a := range g.attempts(p) {
		if err := out.Encode(result{a.try, a.run()}); err != nil {
			fail("%v", err)
		}
	}
}

func fail(format string, args ...any) {
	_, _ = fmt.Fprintf(os.Stderr, "probe: "+format+"\n", args...)
	os.Exit(1)
}

// sandboxed reports whether the kernel is a Sentry, by a file that only it has.
func sandboxed() bool {
	_, err := os.Stat("/proc/sentry-meminfo")
	return err == nil
}

// readPlan reads plan.json from the directory of the program.
func readPlan() (*plan, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(filepath.Dir(self), "plan.json"))
	if err != nil {
		return nil, err
	}
	p := &plan{}
	return p, json.Unmarshal(data, p)
}

// mark is what canaries contain. It is not in memory or on disk as it is, so that
// whoever finds it has found a canary.
func (p *plan) mark() string {
	var b strings.Builder
	for i := len(p.Mark) - 1; i >= 0; i-- {
		b.WriteByte(p.Mark[i])
	}
	return b.String()
}

// patience is how long one attempt may take.
const patience = 10 * time.Second

// run makes the attempt on a thread that ends with it, so that what it changed in
// its own thread (namespaces, root, tracing) does not touch the next.
func (a attempt) run() string {
	got := make(chan string, 1)
	go func() { // ends with the attempt, or with the program
		runtime.LockOSThread() // never unlocked: the thread is thrown away
		seen, err := a.do()
		switch {
		case err != nil:
			got <- name(err)
		case seen != "":
			got <- seen
		default:
			got <- "done"
		}
	}()
	select {
	case said := <-got:
		return said
	case <-time.After(patience):
		return "hangs"
	}
}
