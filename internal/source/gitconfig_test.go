package source

import (
	"strings"
	"testing"
)

func TestConfigIsReadAsGitDoes(t *testing.T) {
	tests := []struct{ text, name, value string }{
		{"[core]\n\tworktree = ../a b \n", "core.worktree", "../a b"},
		{"[CORE]\nWorkTree=x # why\n", "core.worktree", "x"},
		{"[core] worktree = x\n", "core.worktree", "x"},
		{"[core]\nworktree = \" x \" ; y", "core.worktree", " x "},
		{"[core]\nworktree = a\\\nb\n", "core.worktree", "ab"},
		{"[core]\nworktree = \"a#\\\"\\\\\\t\"\n", "core.worktree", "a#\"\\\t"},
		{"[core]\nbare\n", "core.bare", "true"},
		{"[core]\r\nbare = no\r\n", "core.bare", "no"},
		{"\ufeff[core]\nbare = 1\n", "core.bare", "1"},
		{"[a \"B\\\"c\"]\nx = 1\n", `a.B"c.x`, "1"},
		{"[a.b]\nx = 1\n", "a.b.x", "1"},
		{"[core]\nx = 1\nx = 2\n", "core.x", "2"},
		{"[core \"sub\"]\nworktree = x\n", "core.worktree", ""},
		{"# [core]\n; worktree = x\n", "core.worktree", ""},
	}
	for _, test := range tests {
		c, err := parseConfig(test.text)
		if err != nil || c.get(test.name) != test.value {
			t.Errorf("%q: %s is %q, %v, want %q", test.text, test.name, c.get(test.name), err, test.value)
		}
	}
}

func TestConfigThatIsBrokenIsRefused(t *testing.T) {
	for _, text := range []string{"x = 1", "[core", "[]", "[core]\n= 1", "[core]\nx y", "[a \"b]\n", "[a]\nx = \"y\n", "[a]\nx = \\q\n", "[a]\n1x = 1"} {
		if _, err := parseConfig(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestSettingsAreTakenOutAndTheRestStays(t *testing.T) {
	tests := []struct{ text, want string }{
		{"[core]\n\tbare = false\n\tworktree = \\\n  x\n\tfilemode = true\n# end\n", "[core]\n\tfilemode = true\n# end\n"},
		{"[core] worktree = x\n[a]\nb = c\n", "[core]\n[a]\nb = c\n"},
		{"[core]\nbare", "[core]\n"},
		{"[core \"s\"]\nbare = x # kept\n", "[core \"s\"]\nbare = x # kept\n"},
		{"", ""},
	}
	for _, test := range tests {
		c, err := parseConfig(test.text)
		must(t, err)
		if got := c.without("core.worktree", "core.bare"); got != test.want {
			t.Errorf("%q became %q, want %q", test.text, got, test.want)
		}
	}
}

func FuzzConfig(f *testing.F) {
	f.Add("[core]\n\tbare = false\n[remote \"origin\"]\n\turl = \"x\\\"\" # y\n")
	f.Add("[a]b=\\\nc")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseConfig(text)
		if err != nil {
			return
		}
		rest, err := parseConfig(c.without("core.bare"))
		if err != nil {
			t.Fatalf("%q became %q, which is broken", text, rest.text)
		}
		if rest.get("core.bare") != "" {
			t.Errorf("%q: core.bare is left in %q", text, rest.text)
		}
		for _, v := range c.variables {
			if v.name != "core.bare" && rest.get(v.name) != c.get(v.name) {
				t.Errorf("%q: %s became %q", text, v.name, rest.get(v.name))
			}
		}
		if len(rest.text) > len(text)+strings.Count(text, "]") {
			t.Errorf("%q grew", text)
		}
	})
}
