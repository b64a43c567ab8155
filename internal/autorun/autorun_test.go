package autorun_test

import (
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/internal/autorun"
)

func TestReason(t *testing.T) {
	tests := map[string][]string{
		"hook": {".git/hooks/post-checkout", "sub/.git/hooks/pre-commit", ".git/modules/m/hooks/post-merge", ".GIT/hooks/x", ".g\u200cit/hooks/x", "git~1/hooks/x", ".git. /hooks/x", "bare.git/hooks/update"},
		"settings": {
			".git/config", ".git/config.worktree", ".git/modules/m/config", ".git/worktrees/w/gitdir", ".git/worktrees/w/commondir", ".git/info/attributes",
			".git::$INDEX_ALLOCATION/config", ".hg/hgrc", "x.git/config",
		},
		"points git":                       {".git", "sub/.git", ".Git"},
		"direnv":                           {".envrc", "a/b/.envrc", ".ENVRC", ".direnv/bin/x"},
		"folder is opened":                 {".vscode/tasks.json", "sub/.VSCode/settings.json", ".vscode/launch.json", "my.code-workspace"},
		"JetBrains":                        {".idea/workspace.xml", ".idea/runConfigurations/x.xml"},
		"container":                        {".devcontainer/devcontainer.json", ".devcontainer.json"},
		"settings, hooks":                  {".claude/settings.json", ".claude/settings.local.json", "x/.claude/hooks/a", ".codex/config.toml", ".gemini/settings.json", ".cursor/rules/x.mdc", ".opencode/x", "opencode.json"},
		"starts the servers":               {".mcp.json", "sub/.mcp.json", "MCP.json"},
		"instructions":                     {"AGENTS.md", "claude.md", "GEMINI.md", ".cursorrules", ".clinerules", ".clinerules/x.md", ".github/copilot-instructions.md"},
		"CI server":                        {".github/workflows/ci.yml", ".gitlab-ci.yml", ".circleci/config.yml", "Jenkinsfile"},
		"scripts at an install":            {"package.json", "a/package.json"},
		"package manager":                  {".npmrc", ".yarnrc", ".yarnrc.yml", ".yarn/releases/yarn.cjs", ".pnpmfile.cjs", ".cargo/config.toml", ".cargo/config"},
		"make runs":                        {"Makefile", "ma\u212aefile", "makefile", "GNUmakefile", "lib/rules.mk"},
		"task runner":                      {"justfile", "Taskfile.yml"},
		"Python runs it, or":               {"setup.py", "conftest.py", "tests/conftest.py", "pyproject.toml", "tox.ini"},
		"whenever it starts":               {"sitecustomize.py", "lib/site-packages/evil.pth"},
		"pre-commit":                       {".pre-commit-config.yaml"},
		"hook of the project":              {".husky/pre-commit", ".husky/_/husky.sh"},
		"cargo builds":                     {"build.rs", "crates/x/build.rs"},
		"desktop":                          {"readme.lnk", "x.desktop", "autorun.inf", "a/Desktop.ini"},
		"shell runs it":                    {".bashrc", "home/.zshenv", ".profile", ".config/fish/config.fish"},
		"ssh":                              {".ssh/authorized_keys", ".ssh/config"},
		"to read their settings":           {"eslint.config.mjs", "vite.config.ts", ".eslintrc.js"},
		"filters":                          {".gitattributes", "sub/.gitattributes"},
		"checks out":                       {".gitmodules"},
		"Java":                             {"build.gradle", "settings.gradle.kts", "pom.xml"},
		"Mercurial":                        {".hg/hgrc"},
		"editor obeys it in the directory": {".exrc", ".dir-locals.el"},
	}
	for says, paths := range tests {
		for _, path := range paths {
			if why, flagged := autorun.Reason(path); !flagged || !strings.Contains(why, says) {
				t.Errorf("Reason(%q) = %q, %v; want one that says %q", path, why, flagged, says)
			}
		}
	}
}

func TestReasonLetsPass(t *testing.T) {
	for _, path := range []string{
		"", "main.go", "README.md", "src/makefile.go", "package-lock.json", "docs/Makefile.md", "a.mkv", "config", "hooks/x", ".gitignore", "vscode/tasks.json",
		".git/objects/ab/cdef", ".git/objects/hooks/x", ".git/refs/heads/config", ".git/HEAD", ".git/index", ".git/hooks/pre-commit.sample", ".git/logs/HEAD",
		"github/workflows/x.yml", "x.desktop.txt", "claude/settings.json", "agents.mdx", "lib/git", "x.git", "env", "setup.python", "\xff", "...", "a//b", "mk", ".mkdir",
	} {
		if why, flagged := autorun.Reason(path); flagged || why != "" {
			t.Errorf("Reason(%q) = %q, %v; want none", path, why, flagged)
		}
	}
}

// TestRulesHold asks for each row of the table by a path that is made from its pattern.
func TestRulesHold(t *testing.T) {
	seen := map[string]bool{}
	for _, rule := range autorun.Rules() {
		folded := strings.ToLower(rule.Pattern)
		if seen[folded] || rule.Why == "" || strings.HasSuffix(rule.Why, ".") {
			t.Errorf("%q: there twice, or a reason that is none: %q", rule.Pattern, rule.Why)
		}
		seen[folded] = true
		path := strings.ReplaceAll(rule.Pattern, "*", "some")
		if strings.HasSuffix(path, "/") || path == ".git/hooks" {
			path = strings.TrimSuffix(path, "/") + "/file"
		}
		for _, p := range []string{path, "sub/dir/" + path, strings.ToUpper(path)} {
			if why, _ := autorun.Reason(p); why != rule.Why {
				t.Errorf("Reason(%q) = %q, want %q", p, why, rule.Why)
			}
		}
	}
}

func FuzzReason(f *testing.F) {
	f.Add(".git/hooks/x")
	f.Add("a/.VSCODE/tasks.json")
	f.Fuzz(func(t *testing.T, path string) {
		why, flagged := autorun.Reason(path)
		if flagged != (why != "") {
			t.Errorf("Reason(%q) = %q, %v", path, why, flagged)
		}
		if below, _ := autorun.Reason("sub/" + path); flagged && below == "" {
			t.Errorf("%q is flagged (%s), but not in a directory", path, why)
		}
	})
}
