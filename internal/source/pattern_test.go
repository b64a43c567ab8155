package source

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/internal/testgate"
)

// needGit skips a test where git is not installed, and keeps the settings of whoever
// runs it out of it.
func needGit(t testing.TB) {
	t.Helper()
	_, err := exec.LookPath("git")
	testgate.Require(t, testgate.Tool, err)
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", home)
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	for _, name := range []string{"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"} {
		t.Setenv(name, "")
		must(t, os.Unsetenv(name))
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestExcludes(t *testing.T) {
	tests := []struct {
		name     string
		patterns []string
		out, in  []string // a slash at the end: a directory
	}{
		{"a name, at any depth", []string{"node_modules"}, []string{"node_modules/", "a/node_modules/", "a/node_modules/x", "node_modules"}, []string{"node_modules2", "a"}},
		{"anchored", []string{"/build"}, []string{"build", "build/x"}, []string{"a/build"}},
		{"a slash inside anchors too", []string{"a/b"}, []string{"a/b"}, []string{"c/a/b"}},
		{"directories only", []string{"out/"}, []string{"out/", "a/out/", "out/x"}, []string{"out", "a/out"}},
		{"two asterisks before", []string{"**/a/b"}, []string{"a/b", "x/a/b", "x/y/a/b"}, []string{"a/x/b"}},
		{"two asterisks between", []string{"a/**/b"}, []string{"a/b", "a/x/b", "a/x/y/b"}, []string{"x/a/b"}},
		{"two asterisks after", []string{"a/**"}, []string{"a/x", "a/x/y"}, []string{"a/", "x/a/x"}},
		{"negation", []string{"*.log", "!keep.log"}, []string{"a.log", "d/b.log"}, []string{"keep.log", "d/keep.log"}},
		{"the last one counts", []string{"!a", "a"}, []string{"a"}, []string{"b"}},
		{"nothing comes back out of what is left out", []string{"d", "!d/keep"}, []string{"d/keep", "d/"}, nil},
		{"all but one directory", []string{"/*", "!/src"}, []string{"a", "b/"}, []string{"src/", "src/x"}},
		{"sets", []string{"[a-c][!x].[[:digit:]]"}, []string{"ay.1", "cz.9"}, []string{"ax.1", "dy.1", "ay.a"}},
		{"protected characters", []string{`\#a`, `\!b`, `c\ `, `d\*`}, []string{"#a", "!b", "c ", "d*"}, []string{"dx", "c"}},
		{"names are bytes", []string{"a?c", "\xff*"}, []string{"a\xffc", "a\nc", "\xff\xfe"}, []string{"aéc"}},
		{"a branch is not a build product", []string{"build", "*.pack"}, []string{"build/"}, []string{".git/refs/heads/build", ".git/objects/pack/p.pack", "sub/.git/logs/build"}},
		{"unless .git is named", []string{".git/lfs"}, []string{".git/lfs/", ".git/lfs/x"}, []string{".git/", "sub/.git/lfs"}},
		{"all of .git", []string{".git"}, []string{".git/", ".git/HEAD", "sub/.git/HEAD"}, []string{".gitignore"}},
		{"no pattern at all", nil, nil, []string{"a", ".git/"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ps, err := parsePatterns(test.patterns)
			must(t, err)
			for _, path := range slices.Concat(test.out, test.in) {
				name, dir := strings.CutSuffix(path, "/")
				if got, want := ps.excludesBelow(name, dir), slices.Contains(test.out, path); got != want {
					t.Errorf("%q is left out: %v, want %v", path, got, want)
				}
			}
		})
	}
}

func TestPatternsThatSayNothingAreRefused(t *testing.T) {
	for _, line := range []string{"", "   ", "#comment", "!", "/", "!/", "a\x00b"} {
		if _, err := parsePatterns([]string{"fine", line}); err == nil {
			t.Errorf("%q is taken", line)
		}
	}
}

// A matcher that tries one way after the other would be at it for ages.
func TestPatternsOfManyAsterisksEnd(t *testing.T) {
	ps, err := parsePatterns([]string{strings.Repeat("*a", 60) + "b", strings.Repeat("**/a*/", 40) + "b"})
	must(t, err)
	if ps.excludes(strings.Repeat("a", 200)+strings.Repeat("/aa", 100), false) {
		t.Error("matched")
	}
}

// gitIgnores asks git which of the paths the lines exclude.
func gitIgnores(ctx context.Context, t testing.TB, dir string, lines, paths []string) map[string]bool {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(dir, ".gitignore"), []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	cmd := exec.CommandContext(ctx, "git", "-C", dir, "check-ignore", "--no-index", "-z", "--stdin")
	cmd.Stdin = strings.NewReader(strings.Join(paths, "\x00") + "\x00")
	out, err := cmd.Output()
	if err != nil && cmd.ProcessState.ExitCode() != 1 { // 1: it ignores none of them
		t.Fatalf("%q, %q: %v", lines, paths, err)
	}
	ignored := make(map[string]bool)
	for name := range bytes.SplitSeq(out, []byte{0}) {
		ignored[string(name)] = true
	}
	return ignored
}

func TestPatternsMeanWhatGitMakesOfThem(t *testing.T) {
	needGit(t)
	dir := t.TempDir()
	must(t, exec.CommandContext(t.Context(), "git", "init", "-q", dir).Run())
	words := []string{
		"a", "b", "ab", ".", "*", "*", "**", "/", "/", "?", "[ab]", "[!a]", "[^b-", "[]a]", "[a-b]", "[[:alpha:]]",
		"[[:nope:]]", "[[:x]", `[\]]`, `[a\-b]`, "[", "]", "-", `\a`, `\*`, `\`, "a*", "**/", "/**", " ", `\ `, "!", "#",
	}
	names := []string{"a", "b", "ab", "aab", "*", "]", "-", "a ", "[", "a.b", "!", "#"}
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(from []string, most int, between string) string {
		var parts []string
		for range 1 + r.IntN(most) {
			parts = append(parts, from[r.IntN(len(from))])
		}
		return strings.Join(parts, between)
	}
	asked := 0
	for range 150 {
		var lines, paths []string
		for range 1 + r.IntN(3) {
			line := pick(words, 5, "")
			if _, err := parsePattern(line); err == nil {
				lines = append(lines, line)
			}
		}
		for range 12 {
			paths = append(paths, pick(names, 4, "/"))
		}
		ps, err := parsePatterns(lines)
		must(t, err)
		ignored := gitIgnores(t.Context(), t, dir, lines, paths)
		for _, path := range paths {
			asked++
			if got := ps.excludesBelow(path, false); got != ignored[path] {
				t.Errorf("%s: %q is left out: %v, git says %v", fmt.Sprintf("%q", lines), path, got, ignored[path])
			}
		}
	}
	if asked < 1500 {
		t.Errorf("only %d questions", asked)
	}
}

func FuzzPatterns(f *testing.F) {
	f.Add("**/[!a-z]*/x?", "a/b/xc")
	f.Add(`[[:alpha:]\]-z]`, "]")
	f.Fuzz(func(t *testing.T, line, path string) {
		ps, err := parsePatterns([]string{line})
		if err != nil {
			return
		}
		ps.excludesBelow(path, true)
	})
}
