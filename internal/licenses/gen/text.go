package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"go/build"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// The modules of this repository, from its root, and the platforms of a release.
var (
	ours      = []string{".", "gvisor"}
	platforms = []string{"amd64", "arm64"}
)

// part is a module that is linked in.
type part struct {
	name  string   // PATH VERSION
	files []string // with the words of its authors, absolute
	root  string   // of the module
}

// isNotice recognizes the files that have to go with copies of a module.
var isNotice = regexp.MustCompile(`(?i)^(licen[sc]e|copying|notice|patents)([-.]|$)`)

// listed is what go list prints for a package: PATH VERSION, the module's directory,
// its own; nothing for the standard library.
const listed = `{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}|{{.Dir}}|{{$.Dir}}{{end}}{{end}}`

// linked returns every module with a package in one of the programs. It asks once.
var linked = sync.OnceValues(findLinked)

func findLinked() ([]part, error) {
	root, err := repository()
	if err != nil {
		return nil, err
	}
	found := map[string]*part{}
	for _, module := range ours {
		for _, arch := range platforms {
			lines, err := list(filepath.Join(root, module), arch)
			if err != nil {
				return nil, err
			}
			for _, line := range lines {
				fields := strings.Split(line, "|")
				if len(fields) != 3 {
					continue
				}
				if found[fields[0]] == nil {
					found[fields[0]] = &part{name: fields[0], root: fields[1]}
				}
				if err := found[fields[0]].take(fields[2]); err != nil {
					return nil, err
				}
			}
		}
	}
	var parts []part
	for _, p := range found {
		slices.Sort(p.files)
		p.files = slices.Compact(p.files)
		parts = append(parts, *p)
	}
	slices.SortFunc(parts, func(a, b part) int { return strings.Compare(a.name, b.name) })
	return parts, nil
}

func repository() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/pyro-sandbox/pyro").Output()
	return strings.TrimSpace(string(out)), err
}

func list(dir, arch string) ([]string, error) {
	cmd := exec.Command("go", "list", "-tags", "release", "-e", "-deps", "-f", listed, "./cmd/...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", cmd, err, said.Bytes())
	}
	return strings.Split(string(out), "\n"), nil
}

// take adds the notices on the way from a package up to its module.
func (p *part) take(dir string) error {
	for ; ; dir = filepath.Dir(dir) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.Type().IsRegular() && isNotice.MatchString(e.Name()) && filepath.Ext(e.Name()) != ".go" {
				p.files = append(p.files, filepath.Join(dir, e.Name()))
			}
		}
		if dir == p.root || dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// licenseText puts together what pyro version --licenses prints. A text that several
// modules share stands there once, under the names of all of them.
func licenseText() ([]byte, error) {
	parts, err := linked()
	if err != nil {
		return nil, err
	}
	root, err := repository()
	if err != nil {
		return nil, err
	}
	var t texts
	if err := t.add("pyro, LICENSE", filepath.Join(root, "LICENSE")); err != nil {
		return nil, err
	}
	if err := t.add("the Go runtime and standard library, LICENSE", goLicense()); err != nil {
		return nil, err
	}
	for _, p := range parts {
		if len(p.files) == 0 {
			return nil, fmt.Errorf("%s: no license found in %s", p.name, p.root)
		}
		for _, file := range p.files {
			name, err := filepath.Rel(p.root, file)
			if err != nil {
				return nil, err
			}
			if err := t.add(p.name+", "+name, file); err != nil {
				return nil, err
			}
		}
	}
	return t.bytes(parts), nil
}

// goLicense is that of the toolchain. A distribution may keep it elsewhere.
func goLicense() string {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return filepath.Join(build.Default.GOROOT, "LICENSE")
	}
	return filepath.Join(strings.TrimSpace(string(out)), "LICENSE")
}

type texts struct {
	order [][sha256.Size]byte
	names map[[sha256.Size]byte][]string
	body  map[[sha256.Size]byte][]byte
}

func (t *texts) add(name, file string) error {
	body, err := os.ReadFile(file)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: %w", name, err)
		}
		return err
	}
	body = normal(body)
	sum := sha256.Sum256(bytes.Join(bytes.Fields(body), []byte{' '}))
	if t.names == nil {
		t.names, t.body = map[[sha256.Size]byte][]string{}, map[[sha256.Size]byte][]byte{}
	}
	if t.names[sum] == nil {
		t.order = append(t.order, sum)
		t.body[sum] = body
	}
	t.names[sum] = append(t.names[sum], name)
	return nil
}

// normal has no returns, no blanks at the ends of lines, and one newline at the end.
func normal(text []byte) []byte {
	var out bytes.Buffer
	for line := range bytes.Lines(text) {
		out.Write(bytes.TrimRight(line, " \t\r\n\f"))
		out.WriteByte('\n')
	}
	return append(bytes.Trim(out.Bytes(), "\n"), '\n')
}

const rule = "================================================================================\n"

func (t *texts) bytes(parts []part) []byte {
	var out bytes.Buffer
	out.WriteString("pyro consists of its own code, the Go runtime and standard library, and these modules,\nat proxy.golang.org with their sources:\n\n")
	for _, p := range parts {
		_, _ = fmt.Fprintf(&out, "  %s\n", p.name)
	}
	for _, sum := range t.order {
		out.WriteString("\n" + rule)
		for _, name := range t.names[sum] {
			out.WriteString(name + "\n")
		}
		out.WriteString(rule + "\n")
		out.Write(t.body[sum])
	}
	return out.Bytes()
}
