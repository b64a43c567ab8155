package runsc

import (
	"context"
	"os"

	"github.com/google/subcommands"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/runsc/cmd/sandboxsetup"
	"gvisor.dev/gvisor/runsc/cmd/util"
	"gvisor.dev/gvisor/runsc/config"
	"gvisor.dev/gvisor/runsc/container"
	"gvisor.dev/gvisor/runsc/flag"
	"gvisor.dev/gvisor/runsc/specutils"
)

// restoreFD is runsc's restore with what that one lacks: -pass-fd, without which
// an image of a sandbox that had a passed socket open is refused ("no host FD
// available"), and attached life, as run has it. The agent that sleeps in the image
// goes on reading its old descriptor number, which is the new socket then.
type restoreFD struct {
	bundle, image string
	pass          sandboxsetup.FDMappings
	spec          *specs.Spec
}

// Name implements subcommands.Command.
func (*restoreFD) Name() string { return "restore-fd" }

// Synopsis implements subcommands.Command.
func (*restoreFD) Synopsis() string {
	return "restore a memory image, attached, with passed descriptors"
}

// Usage implements subcommands.Command.
func (*restoreFD) Usage() string {
	return "restore-fd -bundle DIR -image-path DIR [-pass-fd M:N]… ID\n"
}

// SetFlags implements subcommands.Command.
func (r *restoreFD) SetFlags(f *flag.FlagSet) {
	f.StringVar(&r.bundle, "bundle", "", "bundle directory")
	f.StringVar(&r.image, "image-path", "", "directory of the memory image")
	f.Var(&r.pass, "pass-fd", "descriptor M of ours becomes N of the guest; may be given more than once")
}

// FetchSpec implements util.SubCommand.
func (r *restoreFD) FetchSpec(conf *config.Config, f *flag.FlagSet) (string, *specs.Spec, error) {
	spec, err := specutils.ReadSpec(r.bundle, conf)
	r.spec = spec
	return f.Arg(0), spec, err
}

// Execute implements subcommands.Command. It returns when the sandbox has ended,
// with PID 1's status in the *unix.WaitStatus among args.
func (r *restoreFD) Execute(_ context.Context, f *flag.FlagSet, args ...any) subcommands.ExitStatus {
	if f.NArg() != 1 || r.bundle == "" || r.image == "" {
		return util.Errorf("usage: %s", r.Usage())
	}
	// What runsc's cli hands to every command.
	conf := args[0].(*config.Config)
	status := args[1].(*unix.WaitStatus)

	passed := r.passed()
	c, err := container.New(conf, container.Args{
		ID: f.Arg(0), Spec: r.spec, BundleDir: r.bundle, PassFiles: passed, Attached: true,
	})
	if err != nil {
		return util.Errorf("creating: %v", err)
	}
	defer func() { _ = c.Destroy() }()
	if err := c.Restore(conf, r.image, false, false, nil); err != nil {
		return util.Errorf("restoring: %v", err)
	}
	// Else the host would never see end of file when the sandbox ends.
	for _, file := range passed {
		_ = file.Close()
	}
	if *status, err = c.Wait(); err != nil {
		return util.Errorf("waiting: %v", err)
	}
	return subcommands.ExitSuccess
}

// passed is the guest's descriptor numbers and what stands behind them.
func (r *restoreFD) passed() map[int]*os.File {
	files := make(map[int]*os.File, len(r.pass))
	for _, p := range r.pass {
		files[p.Guest] = os.NewFile(uintptr(p.Host), "pass-fd")
	}
	return files
}
