package stage

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const full = `{
	"Root": "/run/pyro/root",
	"Dirs": ["proc", "var/tmp", "big"],
	"Public": ["tmp"],
	"Files": {"etc/passwd": "root:x:0:0::/:/bin/sh\n", "tmp/.keep": "", "big/file": "x"},
	"Links": {"bin": "usr/bin", "var/run": "/run"},
	"Binds": {"usr": "/usr", "etc/ssl/certs": "/etc/ssl/certs"},
	"Tmpfs": {"scratch": "size=1m,mode=0755", "scratch/in": "nr_inodes=4k"}
}`

func TestDecode(t *testing.T) {
	tests := []struct {
		name, in string
		want     Stage
	}{
		{"nothing to assemble", `{}`, Stage{}},
		{"null is left out", `{"Root":"/r","Dirs":null,"Files":null}`, Stage{Root: "/r"}},
		{"all fields", full, Stage{
			Root:   "/run/pyro/root",
			Dirs:   []string{"proc", "var/tmp", "big"},
			Public: []string{"tmp"},
			Files:  map[string]string{"etc/passwd": "root:x:0:0::/:/bin/sh\n", "tmp/.keep": "", "big/file": "x"},
			Links:  map[string]string{"bin": "usr/bin", "var/run": "/run"},
			Binds:  map[string]string{"usr": "/usr", "etc/ssl/certs": "/etc/ssl/certs"},
			Tmpfs:  map[string]string{"scratch": "size=1m,mode=0755", "scratch/in": "nr_inodes=4k"},
		}},
		{"name with dots that leaves nothing", `{"Root":"/r","Dirs":["..a/b..","..."]}`, Stage{Root: "/r", Dirs: []string{"..a/b..", "..."}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := Decode([]byte(test.in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, *got); diff != "" {
				t.Errorf("stage (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"nothing", ``, "EOF"},
		{"half an object", `{"Root":"/r"`, "EOF"},
		{"no object", `["Root"]`, "not a JSON object"},
		{"null", `null`, "not a JSON object"},
		{"unknown field", `{"Mounts":{}}`, `unknown field "Mounts"`},
		{"field in another case", `{"root":"/r"}`, `unknown field "root"`},
		{"field given twice", `{"Root":"/r","Root":"/s"}`, `field "Root" is given twice`},
		{"wrong type", `{"Dirs":"proc"}`, "Dirs: "},
		{"something behind", `{} {}`, "something follows"},
		{"garbage behind", `{}x`, "something follows"},
		{"too long", `{"Root":"/` + strings.Repeat("r", maxFile) + `"}`, "longer than"},
		{"content without root", `{"Dirs":["proc"]}`, "no Root"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { refused(t, test.in, test.want) })
	}
}

func refused(t *testing.T, in, want string) {
	t.Helper()
	s, err := Decode([]byte(in))
	if err == nil {
		t.Fatalf("accepted as %+v", s)
	}
	if !strings.Contains(err.Error(), want) {
		t.Errorf("error is %q, want it to say %q", err, want)
	}
}

func TestReadNamesTheFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "stage.json")
	if err := os.WriteFile(name, []byte(`{"X":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(name); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("error is %v, want it to name %s", err, name)
	}
}

// FuzzDecode: whatever is accepted keeps the rules that assemble relies on.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		full, `{}`, `{"Root":"/r","Dirs":["a/../b"]}`, `{"Root":"/r","Binds":{"a":"/"}}`, `{"Root":"/r","Links":{"a":"b"},"Dirs":["a/b"]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Decode(data)
		if err != nil {
			return
		}
		tree, err := s.tree()
		if err != nil {
			t.Fatal(err)
		}
		for name := range tree {
			if name == "." || !filepath.IsLocal(name) || filepath.Clean(name) != name {
				t.Errorf("accepted the name %q", name)
			}
		}
		for name, from := range s.Binds {
			if !filepath.IsAbs(from) || filepath.Clean(from) == "/" {
				t.Errorf("accepted a bind of %q on %q", from, name)
			}
		}
	})
}
