package applyback

import (
	"os"

	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// heir says what a new file takes from the one whose place it is to have.
type heir struct{ uid, gid int }

// nobodys is the heir of nothing: the file belongs to whoever made it.
var nobodys = heir{-1, -1}

// heirOf is what the file that comes takes from the one that is there.
func (t *task) heirOf() heir {
	if t.now == nil || t.now.Kind != archive.KindFile {
		return nobodys
	}
	return heir{t.info.UID, t.info.GID}
}

// take gives a file of the area the owner and group of what it replaces, as far as this
// process may: root both, others a group that they are in. Else they stay as they are, as they do
// where the owner has no number here.
func (h heir) take(f *os.File, made archive.Info) error {
	if h == nobodys || h == (heir{made.UID, made.GID}) {
		return nil
	}
	err := f.Chown(h.uid, h.gid)
	if mayNot(err) {
		err = f.Chown(-1, h.gid)
	}
	if mayNot(err) {
		return nil
	}
	return err
}

func mayNot(err error) bool { return sys.IsDenied(err) || archive.IsUnsupported(err) }
