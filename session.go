package pyro

import "os/exec"

// ownSession makes the command the leader of a new session, see setsid(2): neither
// the end of this program nor its terminal reaches it then.
func ownSession(cmd *exec.Cmd) {
	attributes(&cmd.SysProcAttr).Setsid = true
}

// attributes allocates a struct whose package only internal/sys may name.
func attributes[T any](p **T) *T {
	*p = new(T)
	return *p
}
