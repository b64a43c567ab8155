package stage

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// privateMounts cuts the mount namespace off from the host's. It is needed also
// where nothing is assembled: runsc bind-mounts a file of its own in its state
// directory, which must not reach the host. The kernel made our copy a slave of the
// host's mounts; private also keeps later mounts of the host out of the guest.
func privateMounts() error {
	if err := ownUserNamespace(); err != nil {
		return err
	}
	return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
}

// ownUserNamespace refuses the machine's own user namespace, where root would
// succeed in making the mounts of the whole machine private. In any other, the
// kernel refuses to touch a mount namespace that was not made together with it.
func ownUserNamespace() error {
	idMap, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return err
	}
	if mapsAll(string(idMap)) {
		return errors.New("not in a user namespace of its own")
	}
	return nil
}

// mapsAll reports whether each id is mapped to itself, which is so in the machine's
// own user namespace (user_namespaces(7)).
func mapsAll(idMap string) bool {
	return slices.Equal(strings.Fields(idMap), []string{"0", "0", "4294967295"})
}

func mountTmpfs(on, options string) error {
	return unix.Mount("tmpfs", on, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, options)
}

// bind clones the mount tree, makes the whole clone read-only while it is not
// attached anywhere, and only then attaches it: there is no writable moment.
// Recursive both times: under a bind remount submounts would keep their own flags,
// and a clone without the mounts that are locked below it is refused (EINVAL).
func (s *Stage) bind(root *os.Root, name string) error {
	from := s.Binds[name]
	tree, err := unix.OpenTree(unix.AT_FDCWD, from, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return fmt.Errorf("open_tree %s: %w", from, err)
	}
	defer func() { _ = unix.Close(tree) }()
	if err := makeTarget(root, name, tree); err != nil {
		return err
	}
	if err := readOnly(tree, "", unix.AT_EMPTY_PATH); err != nil {
		return err
	}
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, filepath.Join(s.Root, name), unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("move_mount: %w", err)
	}
	return nil
}

// makeTarget makes the directory or the file that the tree covers.
func makeTarget(root *os.Root, name string, tree int) error {
	var st unix.Stat_t
	if err := unix.Fstat(tree, &st); err != nil {
		return fmt.Errorf("fstat: %w", err)
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return root.MkdirAll(name, 0o755)
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	return root.WriteFile(name, nil, 0o644)
}

// readOnly seals a mount and all below it. Before Linux 5.12 there is no such call
// (ENOSYS), and it is an error: a remount would leave submounts writable.
func readOnly(fd int, path string, flags uint) error {
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV}
	if err := unix.MountSetattr(fd, path, flags|unix.AT_RECURSIVE, &attr); err != nil {
		return fmt.Errorf("mount_setattr: %w", err)
	}
	return nil
}
