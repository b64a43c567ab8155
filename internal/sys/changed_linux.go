package sys

import (
	"io/fs"
	"syscall"
	"time"
)

// Changed returns when the content, owner, mode or links of a file changed last, see
// inode(7); nobody can set that time. It is zero where info does not come from a
// file system.
func Changed(info fs.FileInfo) time.Time {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(st.Ctim.Unix())
	}
	return time.Time{}
}
