package runsc

import (
	"gvisor.dev/gvisor/runsc/cmd"
	"gvisor.dev/gvisor/runsc/cmd/sentry/sentrycmd"
	"gvisor.dev/gvisor/runsc/cmd/util"
)

// internal is the heading in runsc's help of what runsc starts itself.
const internal = "internal use only"

// Commands is the command table: the value is a command's heading in the help. Beside
// what the engine calls and runsc calls itself, it has what a person needs who looks at
// a sandbox by hand.
// runsc's own main would add a helper for cloud buckets, 47 MB in size.
func Commands() map[util.SubCommand]string {
	return map[util.SubCommand]string{
		new(cmd.Run):          "",
		new(restoreFD):        "",
		new(cmd.Exec):         "",
		new(cmd.Kill):         "",
		new(cmd.Delete):       "",
		new(cmd.State):        "",
		new(cmd.Wait):         "",
		new(cmd.PS):           "",
		new(cmd.Pause):        "",
		new(cmd.Resume):       "",
		new(cmd.Events):       "",
		new(cmd.Update):       "",
		new(cmd.FSCheckpoint): "",
		new(cmd.Checkpoint):   "",
		new(cmd.Tar):          "",
		new(cmd.Debug):        "",

		new(sentrycmd.Boot):   internal,
		new(cmd.Gofer):        internal,
		new(sentrycmd.Umount): internal,
	}
}
