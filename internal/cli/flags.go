package cli

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pyro-sandbox/pyro/api"
)

// intValue is a plain decimal number. Its range is not the parser's business.
type intValue struct {
	value *int
	unit  string
}

var decimal = regexp.MustCompile(`^[+-]?[0-9]+$`)

func (v intValue) String() string { return strconv.Itoa(*v.value) }

// Type implements pflag.Value. Of all our flags it is what help shows as the value.
func (v intValue) Type() string { return v.unit }

// Set implements pflag.Value.
func (v intValue) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || !decimal.MatchString(s) {
		return fmt.Errorf("invalid int value: %s", quote(s))
	}
	*v.value = n
	return nil
}

func intFlag(f *pflag.FlagSet, p *int, name, unit string, otherwise int, usage string, args ...any) {
	*p = otherwise
	f.Var(intValue{p, unit}, name, fmt.Sprintf(usage, args...))
}

// textValue is any text.
type textValue struct {
	value *string
	unit  string
}

func (v textValue) String() string     { return *v.value }
func (v textValue) Type() string       { return v.unit }
func (v textValue) Set(s string) error { *v.value = s; return nil }

// pathValue is a path on this machine. The shell completes it.
type pathValue textValue

func (v pathValue) String() string     { return *v.value }
func (v pathValue) Type() string       { return v.unit }
func (v pathValue) Set(s string) error { *v.value = s; return nil }

// listValue is any text, and may be given again.
type listValue struct {
	values *[]string
	unit   string
}

func (v listValue) String() string     { return strings.Join(*v.values, ", ") }
func (v listValue) Type() string       { return v.unit }
func (v listValue) Set(s string) error { *v.values = append(*v.values, s); return nil }

// choiceValue is one of a few words.
type choiceValue struct {
	value   *string
	unit    string
	choices []string
}

func (v choiceValue) String() string { return *v.value }
func (v choiceValue) Type() string   { return v.unit }

// Set implements pflag.Value.
func (v choiceValue) Set(s string) error {
	if !slices.Contains(v.choices, s) {
		return fmt.Errorf("invalid choice: %s (choose from %s)", quote(s), quoteAll(v.choices))
	}
	*v.value = s
	return nil
}

// yieldKey is the annotation of an option that leaves shortened names to others.
const yieldKey = "yields"

func yield(f *pflag.FlagSet, name string) { _ = f.SetAnnotation(name, yieldKey, nil) }

func (a *app) jsonFlag(f *pflag.FlagSet) {
	f.SortFlags = false
	f.BoolVar(&a.json, "json", false, "print JSON, also for errors")
}

// resourceFlags are those that run and workspace create share. What help shows as a
// default is not sent: it is the machine's to say, and an engine that limits nothing
// refuses what was asked for.
func resourceFlags(cmd *cobra.Command, r *api.CreateRequest, ttl *lifespan) {
	f := cmd.Flags()
	intFlag(f, &r.VCPUCount, "vcpu-count", "N", 0, "virtual CPUs, %d to %d", api.MinVCPUCount, api.MaxVCPUCount)
	intFlag(f, &r.MemMiB, "mem-mib", "MIB", 0, "memory, %d to %d MiB", api.MinMemMiB, api.MaxMemMiB)
	intFlag(f, &r.DiskMiB, "disk-mib", "MIB", 0, "what may be written to disk, %d to %d MiB", api.MinDiskMiB, api.MaxDiskMiB)
	for name, usual := range map[string]int{"vcpu-count": api.DefaultVCPUCount, "mem-mib": api.DefaultMemMiB, "disk-mib": api.DefaultDiskMiB} {
		f.Lookup(name).DefValue = strconv.Itoa(usual)
	}
	f.Var(ttl, "ttl-seconds", ttlUsage("time to live"))
	f.Lookup("ttl-seconds").DefValue = strconv.Itoa(api.DefaultTTLSeconds)
	f.Var(textValue{&r.Engine, "NAME"}, "engine", "what runs it, gvisor or host-compat; without it the best that works here")
	f.BoolVar(&r.AllowHostCompat, "allow-host-compat", false, "consent to run without isolation if no isolating engine works")
	_ = cmd.RegisterFlagCompletionFunc("engine", completeEngine)
}

// checkZeros refuses a typed 0 where it would mean the default.
func checkZeros(cmd *cobra.Command, r *api.CreateRequest) error {
	for _, f := range []struct {
		name, field      string
		value, low, high int
	}{
		{"vcpu-count", "vcpu_count", r.VCPUCount, api.MinVCPUCount, api.MaxVCPUCount},
		{"mem-mib", "mem_mib", r.MemMiB, api.MinMemMiB, api.MaxMemMiB},
		{"disk-mib", "disk_mib", r.DiskMiB, api.MinDiskMiB, api.MaxDiskMiB},
	} {
		if f.value == 0 && cmd.Flags().Changed(f.name) {
			return invalid(fmt.Sprintf("%s is 0, allowed are %d to %d", f.field, f.low, f.high), "choose a value in that range")
		}
	}
	return nil
}

// lifespan is a time to live: a plain decimal number of seconds, or none. Its range
// is the machine's business.
type lifespan struct {
	given   bool
	forever bool
	typed   int
}

func (l *lifespan) String() string { return "" }

// Type implements pflag.Value.
func (l *lifespan) Type() string { return "SECONDS" }

// Set implements pflag.Value.
func (l *lifespan) Set(s string) error {
	typed := 0
	if s != "none" {
		if err := (intValue{value: &typed}).Set(s); err != nil {
			return err
		}
	}
	*l = lifespan{given: true, forever: typed == 0, typed: typed}
	return nil
}

// seconds is the same for a request: 0 where none was given, api.Forever for none.
// Negative numbers mean something there, so they end here.
func (l *lifespan) seconds() (int, error) {
	switch {
	case l.forever:
		return api.Forever, nil
	case l.typed < 0 || l.typed > maxSeconds:
		return 0, invalid(fmt.Sprintf("ttl_seconds is %d, allowed is 1 or more, or none", l.typed), "choose a value in that range")
	}
	return l.typed, nil
}

// ttlUsage is the help of a time to live: its range is a machine's own.
func ttlUsage(what string) string {
	return fmt.Sprintf("%s, %d to %d seconds; more, or none, where configured", what, api.MinTTLSeconds, api.MaxTTLSeconds)
}

// maxSeconds is how many fit into a time.Duration.
const maxSeconds = int(1<<63-1) / int(time.Second)

// execution is what run and workspace exec share.
type execution struct {
	argv           []string
	timeoutSeconds int
	interactive    bool
	tty            bool
	endless        bool // no timeout was asked for, and on a terminal there is none
	secretEnv      map[string]string
}

func (e *execution) flags(f *pflag.FlagSet) {
	intFlag(f, &e.timeoutSeconds, "timeout-seconds", "SECONDS", api.DefaultTimeoutSeconds, "time until the command is ended, 1 second or more")
	f.BoolVarP(&e.interactive, "interactive", "i", false, "pass stdin on to the command; without it the command's stdin is empty")
	f.BoolVarP(&e.tty, "tty", "t", false, "give the command this terminal, as -it; its time is then unlimited")
	yield(f, "tty") // --t has always been --timeout-seconds
}

func (e *execution) timeout() time.Duration {
	if e.endless {
		return oneYear
	}
	return time.Duration(e.timeoutSeconds) * time.Second
}

// oneYear is longer than anybody sits at a terminal.
const oneYear = 365 * 24 * time.Hour

// check refuses what no sandbox needs to be made for.
func (e *execution) check(cmd *cobra.Command, operand string) error {
	switch {
	case len(e.argv) == 0:
		return invalid("a command is missing", "write it after --: `%s %s -- uname -a`", cmd.CommandPath(), api.Quote([]string{operand}))
	case e.timeoutSeconds < 1 || e.timeoutSeconds > maxSeconds:
		return invalid(fmt.Sprintf("timeout_seconds is %d, allowed is 1 or more", e.timeoutSeconds), "choose a value in that range")
	case e.tty && cmd.Flags().Changed("json"):
		return misuse(cmd, "argument --json: not allowed with argument --tty")
	}
	e.endless = e.tty && !cmd.Flags().Changed("timeout-seconds")
	return nil
}

// checkNetwork refuses the policies that no engine offers.
func checkNetwork(policy string) error {
	if policy == api.NetworkOff {
		return nil
	}
	return &api.Error{
		Kind: api.Unsupported, Hint: "leave the network off; --seed-path and `pyro workspace sync push` bring files in",
		Err: fmt.Errorf("network policy %s is not available", policy),
	}
}

// parseLabels reads K=V, split at the first "=", blanks around both dropped.
func parseLabels(list []string) (map[string]string, error) {
	labels := make(map[string]string, len(list))
	for _, item := range list {
		key, value, ok := strings.Cut(item, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !ok || key == "" || value == "" {
			return nil, invalid("label "+quote(item)+" is not KEY=VALUE", "for example --label task=tests")
		}
		labels[key] = value
	}
	return labels, nil
}

func invalid(what, hint string, args ...any) error {
	return &api.Error{Kind: api.Invalid, Hint: fmt.Sprintf(hint, args...), Err: errors.New(what)}
}

// notBlank refuses an option that was given with nothing in it, as by a variable of a
// script that is not set: what happens without the option is not what was meant.
func notBlank(cmd *cobra.Command, flag, hint string) error {
	if f := cmd.Flags().Lookup(flag); f.Changed && strings.TrimSpace(f.Value.String()) == "" {
		return invalid("--"+flag+" is empty", "%s", hint)
	}
	return nil
}
