package autorun

import (
	"path"
	"strings"
)

// Bare finds directories that git takes for a repository though none of them is called
// .git: with what gitrepository-layout(5) asks for in it, git obeys the configuration there
// as soon as somebody enters it. It is told of the paths of a tree, in any order. The zero
// value is ready to use.
type Bare struct{ met map[string]bareParts }

type bareParts uint8

const (
	bareHead bareParts = 1 << iota
	bareConfig
	bareObjects
	bareRefs
	bareCommon // leads to a directory that has all but HEAD
)

// BareParts are the names in a directory that make it a repository.
var BareParts = []string{"HEAD", "config", "objects", "refs", "commondir"}

// maxBare is how many directories may be met that have a part of a repository.
const maxBare = 100_000

func barePart(name string) bareParts {
	for i, known := range BareParts {
		if strings.EqualFold(name, known) {
			return 1 << i
		}
	}
	return 0
}

// See notes a path of the tree. directory tells that it is one, or a link, which may lead
// to one. whole reports that with it the directory dir, "." or a clean path, has become a
// repository.
func (b *Bare) See(name string, directory bool) (dir string, whole bool) {
	dir, base := path.Dir(name), path.Base(name)
	part := barePart(base)
	if part == 0 || strings.Contains("/"+dir+"/", "/.git/") || part&(bareObjects|bareRefs) != 0 && !directory {
		return dir, false
	}
	was, met := b.met[dir]
	if !met && len(b.met) >= maxBare {
		return dir, false
	}
	if b.met == nil {
		b.met = make(map[string]bareParts)
	}
	b.met[dir] = was | part
	return dir, !was.whole() && (was | part).whole()
}

func (p bareParts) whole() bool {
	const own = bareHead | bareConfig | bareObjects | bareRefs
	const linked = bareHead | bareCommon
	return p&own == own || p&linked == linked
}

// Reason says why git would obey a path: it is the head or the configuration of one of the
// repositories that were found.
func (b *Bare) Reason(name string) (why string, flagged bool) {
	if barePart(path.Base(name))&(bareHead|bareConfig|bareCommon) == 0 || !b.met[path.Dir(name)].whole() {
		return "", false
	}
	return "git takes its directory for a repository and does what the config there says", true
}
