package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// maxGitConfig is the longest configuration of a repository, in bytes.
const maxGitConfig = 1 << 20

// repository is one that a file .git names, as gitrepository-layout(5) and
// git-worktree(1) describe it. Whoever opens it closes it.
type repository struct {
	at     string // where it goes: the name of the file .git
	dir    string // where it is
	own    *archive.Root
	common *archive.Root // what all worktrees share; the same as own where there is one only
	linked bool          // it is a worktree of another repository
	config []byte        // for the guest
}

func (r *repository) close() {
	if r.linked && r.common != nil {
		_ = r.common.Close()
	}
	_ = r.own.Close()
}

// openRepository opens the repository that a link of the source at base names, and
// makes sure that it may and can be carried along.
func openRepository(base string, link gitLink) (*repository, error) {
	dir, err := filepath.EvalSymlinks(link.dir)
	if err != nil {
		return nil, link.refuse(fs.ErrNotExist, "run git worktree repair there")
	}
	r := &repository{at: link.at, dir: dir}
	if r.own, err = archive.OpenRoot(dir); err != nil {
		return nil, link.refuse(err, "")
	}
	if err := r.check(base, link); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *repository) check(base string, link gitLink) error {
	commonDir, err := r.findCommon()
	if err != nil {
		return link.refuse(err, "")
	}
	if !r.isOne() {
		return link.refuse(errors.New("it is no repository"), "")
	}
	if !trusted(base, r.dir, commonDir) {
		return link.refuse(errors.New("it belongs to another user"), "hand in a clone of it")
	}
	config, worktreeConfig, err := r.readConfig()
	if err != nil {
		return link.refuse(err, "")
	}
	if !r.pointsBack(filepath.Join(base, link.at), config, worktreeConfig) {
		return link.refuse(errors.New("it does not name this work tree as its own"), r.repair(filepath.Dir(filepath.Join(base, link.at))))
	}
	if err := r.selfContained(config); err != nil {
		return link.refuse(err, "hand in a clone of it, made with git clone")
	}
	r.config = guestConfig(config, worktreeConfig)
	return nil
}

// refuse says why the repository cannot come along.
func (l gitLink) refuse(reason error, next string) error {
	if next != "" {
		next += ", or "
	}
	return &api.Error{
		Kind: api.Invalid,
		Hint: fmt.Sprintf("%sleave the repository out with --exclude %s", next, quoted("/"+l.at)),
		Err:  fmt.Errorf("%s: the repository that it names, %s, cannot be taken along: %w", quoted(l.at), quoted(l.dir), reason),
	}
}

func (r *repository) repair(workTree string) string {
	if r.linked {
		return "run git worktree repair in " + quoted(workTree)
	}
	return fmt.Sprintf("if it is yours run git --git-dir=%s config core.worktree %s", quoted(r.dir), quoted(workTree))
}

// findCommon opens the directory that a worktree shares with others. It counts as one
// of them only where git keeps them: in worktrees, below the common directory.
func (r *repository) findCommon() (string, error) {
	r.common = r.own
	text, err := readSmall(r.own, "commondir", maxGitFile)
	if errors.Is(err, fs.ErrNotExist) {
		return r.dir, nil
	}
	if err != nil {
		return "", err
	}
	dir := against(r.dir, text)
	home := filepath.Dir(r.dir)
	if filepath.Base(home) != "worktrees" || !same(os.Stat, dir, filepath.Dir(home)) {
		return "", errors.New("it is no worktree of the repository that it names as its own")
	}
	common, err := archive.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	r.common, r.linked = common, true
	return dir, nil
}

// isOne reports whether there is a repository, by the rule of git itself.
func (r *repository) isOne() bool {
	head, err := r.own.Stat("HEAD")
	if err != nil || head.Kind != archive.KindFile && head.Kind != archive.KindSymlink {
		return false
	}
	for _, name := range []string{"objects", "refs"} {
		if info, err := r.common.Stat(name); err != nil || info.Kind != archive.KindDirectory {
			return false
		}
	}
	return true
}

// trusted reports whether all dirs belong to the caller or to the owner of base.
func trusted(base string, dirs ...string) bool {
	source, err := os.Stat(base)
	if err != nil {
		return false
	}
	for _, dir := range dirs {
		info, err := os.Stat(dir)
		if err != nil {
			return false
		}
		if owner := sys.Owner(info); owner != sys.Owner(source) && owner != os.Geteuid() {
			return false
		}
	}
	return true
}

// readConfig reads the settings of the repository and those of this worktree alone,
// which are none unless an extension says so.
func (r *repository) readConfig() (config, worktree gitConfig, err error) {
	if config, err = parseConfigFile(r.common, "config"); err != nil {
		return config, worktree, err
	}
	switch strings.ToLower(config.get("extensions.worktreeconfig")) {
	case "true", "yes", "on", "1":
		worktree, err = parseConfigFile(r.own, "config.worktree")
	}
	return config, worktree, err
}

func parseConfigFile(root *archive.Root, name string) (gitConfig, error) {
	text, err := readSmall(root, name, maxGitConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return gitConfig{}, nil
	}
	if err != nil {
		return gitConfig{}, err
	}
	return parseConfig(text)
}

// pointsBack reports whether the repository names the work tree with the file .git
// at gitFile.
func (r *repository) pointsBack(gitFile string, config, worktree gitConfig) bool {
	if r.linked {
		text, err := readSmall(r.own, "gitdir", maxGitFile)
		return err == nil && same(os.Lstat, against(r.dir, text), gitFile)
	}
	tree := worktree.get("core.worktree")
	if tree == "" {
		tree = config.get("core.worktree")
	}
	return tree != "" && same(os.Stat, against(r.dir, tree), filepath.Dir(gitFile))
}

// selfContained returns what of the repository lies where it cannot be taken from.
func (r *repository) selfContained(config gitConfig) error {
	info, err := r.common.Stat("objects/info/alternates")
	if err == nil && (info.Kind != archive.KindFile || info.Size > 0) {
		return errors.New("it borrows objects from another one (objects/info/alternates)")
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if r.linked && strings.EqualFold(config.get("extensions.refstorage"), "reftable") {
		return errors.New("its references are a reftable shared with other worktrees")
	}
	return nil
}

// guestConfig is the configuration of the directory .git that replaces the file: one
// that lies in its work tree and has no other.
func guestConfig(config, worktree gitConfig) []byte {
	elsewhere := []string{"core.worktree", "core.bare", "extensions.worktreeconfig", "extensions.relativeworktrees"}
	text := config.without(elsewhere...)
	if own := worktree.without(elsewhere...); own != "" {
		if text != "" && !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		text += own
	}
	return []byte(text)
}

// against resolves a path that stands in a file of dir.
func against(dir, text string) string {
	name := strings.TrimRight(text, "\r\n")
	if !filepath.IsAbs(name) {
		name = dir + "/" + name
	}
	return name
}

// same reports whether two paths are those of one thing.
func same(stat func(string) (fs.FileInfo, error), a, b string) bool {
	one, err := stat(a)
	if err != nil {
		return false
	}
	other, err := stat(b)
	return err == nil && os.SameFile(one, other)
}
