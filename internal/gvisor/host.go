package gvisor

import "os"

// stage is what pyro-runsc prepares in the sandbox's own namespaces before runsc
// takes over. Names are relative to Root, which becomes a tmpfs; everything ends
// up read-only, also below the binds.
type stage struct {
	Root   string
	Dirs   []string          // empty directories: mount points and places to write to
	Public []string          // the same, for every user of the guest
	Files  map[string]string // small files with their text
	Links  map[string]string // name to target
	Binds  map[string]string // name to the host's path, recursive and read-only
}

// host is what hostStage asks of the machine.
type host interface {
	// Link returns the target of a symbolic link, and false where name is none.
	Link(name string) (string, bool)
	// Exists reports whether name is there.
	Exists(name string) bool
}

// hostStage is the environment "host": the machine's own /usr under a synthetic
// root. Nothing of /home, /root, /var, /run or the rest of /etc is in it.
func hostStage(root string, h host) stage {
	s := stage{
		Root: root,
		// Mount points too: the gofer cannot make them, the root is read-only by then.
		Dirs: []string{
			"dev", "home", "mnt", "opt/pyro", "proc", "root", "run", "srv", "sys",
			"var/cache", "var/lib", "var/log", "workspace",
		},
		Public: []string{"tmp", "var/tmp"},
		Binds:  map[string]string{"usr": "/usr"},
		Links:  map[string]string{"etc/mtab": "/proc/self/mounts", "var/run": "/run"},
		Files: map[string]string{
			"etc/passwd":        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
			"etc/group":         "root:x:0:\nnogroup:x:65534:\n",
			"etc/hostname":      "pyro\n",
			"etc/hosts":         "127.0.0.1 localhost pyro\n::1 localhost\n",
			"etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
			"etc/resolv.conf":   "",
			// runsc puts a tmpfs of its own on an empty /tmp: in memory, and in no
			// saved disk. A file in it keeps /tmp on the writable layer.
			"tmp/.keep": "",
		},
	}
	for _, name := range []string{"bin", "sbin", "lib", "lib32", "lib64", "libx32"} {
		if target, ok := h.Link("/" + name); ok {
			s.Links[name] = target // merged /usr
		} else if h.Exists("/" + name) {
			s.Binds[name] = "/" + name
		}
	}
	// Without these most programs find no library, no vi and no certificate.
	for _, name := range []string{"etc/ld.so.cache", "etc/alternatives", "etc/ssl/certs"} {
		if h.Exists("/" + name) {
			s.Binds[name] = "/" + name
		}
	}
	return s
}

// machine is the real host.
type machine struct{}

func (machine) Link(name string) (string, bool) {
	target, err := os.Readlink(name)
	return target, err == nil
}

func (machine) Exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
