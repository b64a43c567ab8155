package gvisor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tree is a host: names with their link target, or "" for what is no link.
type tree map[string]string

func (h tree) Link(name string) (string, bool) {
	target := h[name]
	return target, target != ""
}

func (h tree) Exists(name string) bool {
	_, ok := h[name]
	return ok
}

func TestHostStage(t *testing.T) {
	for name, h := range map[string]tree{
		"merged usr": {
			"/bin": "usr/bin", "/sbin": "usr/sbin", "/lib": "usr/lib", "/lib64": "usr/lib64", "/usr": "",
			"/etc/ld.so.cache": "", "/etc/alternatives": "", "/etc/ssl/certs": "",
			"/etc/shadow": "", "/home": "", "/root": "", "/var": "", "/run": "",
		},
		"split usr": {
			"/bin": "", "/sbin": "", "/lib": "", "/lib32": "", "/lib64": "", "/libx32": "", "/usr": "",
			"/etc/ssl/certs": "",
		},
		"bare": {"/usr": ""},
	} {
		t.Run(name, func(t *testing.T) { golden(t, hostStage("/state/disk/root", h)) })
	}
}

func TestHostStageShowsNothingPrivate(t *testing.T) {
	everything := tree{}
	for _, name := range []string{
		"/bin", "/boot", "/dev", "/etc", "/etc/alternatives", "/etc/ld.so.cache", "/etc/passwd", "/etc/shadow", "/etc/ssh", "/etc/ssl",
		"/etc/ssl/certs", "/etc/ssl/private", "/home", "/lib", "/lib64", "/media", "/mnt", "/opt", "/proc", "/root", "/run", "/sbin",
		"/srv", "/sys", "/tmp", "/usr", "/var", "/workspace",
	} {
		everything[name] = ""
	}
	s := hostStage("/r", everything)
	if len(s.Binds) == 0 {
		t.Fatal("nothing is bound")
	}
	for name, source := range s.Binds {
		if source != "/"+name {
			t.Errorf("%s shows %s", name, source)
		}
		for _, private := range []string{"home", "root", "var", "run", "boot", "dev", "proc", "sys", "tmp", "opt", "srv", "mnt", "media"} {
			if name == private || strings.HasPrefix(name, private+"/") {
				t.Errorf("%s of the host is shown", name)
			}
		}
		if strings.HasPrefix(name, "etc") && name != "etc/ld.so.cache" && name != "etc/alternatives" && name != "etc/ssl/certs" {
			t.Errorf("%s of the host is shown", name)
		}
	}
}

// TestStageNamesDoNotMeet: what is made twice would fail, or hide the other.
func TestStageNamesDoNotMeet(t *testing.T) {
	s := hostStage("/r", machine{})
	seen := map[string]bool{}
	note := func(name string) {
		if seen[name] || !filepath.IsLocal(name) || filepath.Clean(name) != name {
			t.Errorf("%q is there twice, or no clean relative name", name)
		}
		seen[name] = true
	}
	for _, name := range s.Dirs {
		note(name)
	}
	for _, names := range []map[string]string{s.Files, s.Links, s.Binds} {
		for name := range names {
			note(name)
		}
	}
}

func TestMachine(t *testing.T) {
	dir := t.TempDir()
	file, link, dangling := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "dangling")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{link: "file", dangling: "nowhere"} {
		if err := os.Symlink(target, name); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]struct {
		target string
		exists bool
	}{
		dir: {"", true}, file: {"", true}, link: {"file", true}, dangling: {"nowhere", false}, file + "x": {"", false},
	} {
		target, isLink := machine{}.Link(name)
		if target != want.target || isLink != (want.target != "") || (machine{}).Exists(name) != want.exists {
			t.Errorf("%s: link %t to %q, exists %t", name, isLink, target, machine{}.Exists(name))
		}
	}
}
