package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pyro-sandbox/pyro/api"
)

// home is an environment with a file that says text; no file without a text.
func home(t *testing.T, text string, variables ...string) func(string) string {
	t.Helper()
	dir := t.TempDir()
	env := map[string]string{"XDG_CONFIG_HOME": dir}
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}
	if text != "" {
		write(t, filepath.Join(dir, "pyro", "config.toml"), text)
	}
	return func(name string) string { return env[name] }
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestNothingSaidIsThePolicyOfTheAPI(t *testing.T) {
	for name, getenv := range map[string]func(string) string{
		"no file":      home(t, ""),
		"no home":      func(string) string { return "" },
		"empty file":   home(t, "\n"),
		"comment only": home(t, "# nothing\n[ttl]\n"),
		"template":     home(t, template()),
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Load(getenv)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(api.DefaultPolicy, c.Policy()); diff != "" {
				t.Errorf("policy (-want +got):\n%s", diff)
			}
			if c.Engine() != "" || c.CheckpointInterval() != 3*time.Minute {
				t.Errorf("engine %q, checkpoint interval %v", c.Engine(), c.CheckpointInterval())
			}
			for _, s := range c.Settings() {
				if s.Source != api.SourceDefault || s.Value != s.Default {
					t.Errorf("%s is %s from %s", s.Key, s.Value, s.Source)
				}
			}
		})
	}
}

func TestPrecedence(t *testing.T) {
	c, err := Load(home(t, `
capacity = 5
disk_mib = 1_024
engine = 'gvisor'
ttl = { max_seconds = "none", default_seconds = 0 }
[checkpoint]
interval_seconds = 0
`, "PYRO_CAPACITY=7", "PYRO_TTL_DEFAULT_SECONDS=90", "PYRO_DISK_MIB="))
	if err != nil {
		t.Fatal(err)
	}
	want := api.Policy{Capacity: 7, DefaultTTLSeconds: 90, MinTTLSeconds: 60, MaxTTLSeconds: api.Forever, DiskMiB: 1024}
	if diff := cmp.Diff(want, c.Policy()); diff != "" {
		t.Errorf("policy (-want +got):\n%s", diff)
	}
	if c.Engine() != "gvisor" || c.CheckpointInterval() != 0 {
		t.Errorf("engine %q, checkpoint interval %v", c.Engine(), c.CheckpointInterval())
	}
	got := map[string]string{}
	for _, s := range c.Settings() {
		got[s.Key] = s.Value + " from " + s.Source
	}
	if diff := cmp.Diff(map[string]string{
		"capacity": "7 from environment", "disk_mib": "1024 from file", "engine": "gvisor from file",
		"ttl.default_seconds": "90 from environment", "ttl.min_seconds": "60 from default", "ttl.max_seconds": "none from file",
		"checkpoint.interval_seconds": "0 from file",
	}, got); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}

func TestTimesToLive(t *testing.T) {
	for name, test := range map[string]struct {
		text            string
		usual, min, max int
		err             string
	}{
		"the default follows a lower limit":  {"ttl.max_seconds = 300", 300, 60, 300, ""},
		"the default follows a higher least": {"ttl.min_seconds = 900", 900, 900, 3600, ""},
		"the least follows a very low limit": {"ttl.max_seconds = 10", 10, 10, 10, ""},
		"no limit":                           {"ttl.max_seconds = 0", 600, 60, api.Forever, ""},
		"no end at all":                      {"ttl.max_seconds = 'none'\nttl.default_seconds = 'none'", api.Forever, 60, api.Forever, ""},
		"a day":                              {"ttl.max_seconds = 86400\nttl.default_seconds = 86400", 86400, 60, 86400, ""},
		"no end, with a limit":               {"ttl.default_seconds = 'none'", 0, 0, 0, "ttl.default_seconds in FILE is none, which is more than ttl.max_seconds, 3600"},
		"default beyond the limit":           {"ttl.default_seconds = 3601", 0, 0, 0, "ttl.default_seconds in FILE is 3601, which is more than ttl.max_seconds, 3600"},
		"default below the least":            {"ttl.default_seconds = 59", 0, 0, 0, "ttl.default_seconds in FILE is 59, which is less than ttl.min_seconds, 60"},
		"least beyond the limit":             {"ttl.min_seconds = 4000", 0, 0, 0, "ttl.min_seconds in FILE is 4000, which is more than ttl.max_seconds, 3600"},
	} {
		t.Run(name, func(t *testing.T) {
			getenv := home(t, test.text)
			c, err := Load(getenv)
			if test.err != "" {
				wantError(t, getenv, err, "configuration: "+test.err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			p := c.Policy()
			if p.DefaultTTLSeconds != test.usual || p.MinTTLSeconds != test.min || p.MaxTTLSeconds != test.max {
				t.Errorf("%+v", p)
			}
			if err := p.CheckTTL(p.DefaultTTLSeconds); err != nil {
				t.Errorf("the default breaks the policy: %v", err)
			}
		})
	}
}

// wantError compares a message in which FILE stands for the file's path.
func wantError(t *testing.T, getenv func(string) string, err error, want string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %s", want)
	}
	if got := strings.ReplaceAll(err.Error(), Path(getenv), "FILE"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if !errors.Is(err, api.Invalid) || api.HintOf(err) == "" {
		t.Errorf("kind %s, hint %q", api.KindOf(err), api.HintOf(err))
	}
}

func TestWhatIsRefused(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"unknown key":          {"# a\n\ncapacty = 5", "FILE:3: capacty is no setting; "},
		"unknown key in table": {"[ttl]\nmin_seconds = 60\n\nmax = 3", "FILE:4: ttl.max is no setting; "},
		"unknown inline key":   {"\nttl = { max = 3 }", "FILE:2: ttl.max is no setting; "},
		"unknown dotted key":   {"a.b.c = 3", "FILE:1: a is no setting; "},
		"unknown table":        {"capacity = 1\n[network]\nx = 1", "FILE:2: network is no setting; "},
		"quoted dotted key":    {`"ttl.max_seconds" = 5`, `FILE:1: "ttl.max_seconds" is no setting; `},
		"control characters":   {`"a\u001b[31m" = 5`, `FILE:1: "a\x1b[31m" is no setting; `},
		"a table for a number": {"[capacity]\nx = 1", "FILE:1: capacity is a table, allowed are 1 to 10000"},
		"a number for a table": {"ttl = 5", "FILE:1: ttl is no setting; "},
		"text for a number":    {"[ttl]\nmin_seconds = '60'", `FILE:2: ttl.min_seconds is the text "60", allowed are 1 to 3153600000`},
		"text for an endless":  {"ttl.max_seconds = 'never'", `FILE:1: ttl.max_seconds is the text "never", allowed are 1 to 3153600000, or "none"`},
		"fraction":             {"capacity = 1.5", "FILE:1: capacity is a number with a fraction, allowed are 1 to 10000"},
		"boolean":              {"capacity = true", "FILE:1: capacity is true or false, allowed are 1 to 10000"},
		"list":                 {"capacity = [1]", "FILE:1: capacity is a list, allowed are 1 to 10000"},
		"date":                 {"capacity = 2024-01-01", "FILE:1: capacity is a date or time, allowed are 1 to 10000"},
		"too low":              {"\n\n  capacity = 0", "FILE:3: capacity is 0, allowed are 1 to 10000"},
		"too high":             {"disk_mib = 1048577", "FILE:1: disk_mib is 1048577, allowed are 64 to 1048576"},
		"negative":             {"ttl.max_seconds = -1", "FILE:1: ttl.max_seconds is -1, allowed are 1 to 3153600000, or none"},
		"unknown engine":       {"engine = 'docker'", `FILE:1: engine is "docker", allowed are auto or gvisor`},
		"a number for engine":  {"engine = 1", `FILE:1: engine is the number 1, allowed are "auto" or "gvisor"`},
		"host-compat":          {"engine = 'host-compat'", "FILE:1: engine is host-compat, which isolates nothing and needs consent for each call: configuration is never consent"},
	} {
		t.Run(name, func(t *testing.T) {
			getenv := home(t, test.text)
			_, err := Load(getenv)
			if strings.HasSuffix(test.want, "; ") {
				test.want += "there are capacity, disk_mib, engine, ttl.default_seconds, ttl.min_seconds, ttl.max_seconds, checkpoint.interval_seconds"
			}
			wantError(t, getenv, err, "configuration: "+test.want)
		})
	}
}

func TestWhatIsNoTOML(t *testing.T) {
	for name, test := range map[string]struct{ text, place string }{
		"no value":       {"\ncapacity =", "FILE:2: no TOML: "},
		"set twice":      {"capacity = 1\ncapacity = 2", "FILE:2: no TOML: "},
		"table twice":    {"[ttl]\n[ttl]", "FILE:2: no TOML: "},
		"not UTF-8":      {"a = '\xff'", "FILE:1: no TOML: "},
		"number too big": {"capacity = 99999999999999999999", "FILE:1: no TOML: "},
		"too deep":       {"a = " + strings.Repeat("[", 20000), "FILE:1: no TOML: "},
	} {
		t.Run(name, func(t *testing.T) {
			getenv := home(t, test.text)
			_, err := Load(getenv)
			if err == nil {
				t.Fatal("no error")
			}
			got := strings.ReplaceAll(err.Error(), Path(getenv), "FILE")
			if !strings.HasPrefix(got, "configuration: "+test.place) || !errors.Is(err, api.Invalid) || len(got) > 400 {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestVariables(t *testing.T) {
	for variable, want := range map[string]string{
		"PYRO_CAPACITY=0":                    "PYRO_CAPACITY is 0, allowed are 1 to 10000",
		"PYRO_CAPACITY=many":                 `PYRO_CAPACITY is "many", which is no number; allowed are 1 to 10000`,
		"PYRO_CAPACITY=+5":                   `PYRO_CAPACITY is "+5", which is no number; allowed are 1 to 10000`,
		"PYRO_CAPACITY=none":                 `PYRO_CAPACITY is "none", which is no number; allowed are 1 to 10000`,
		"PYRO_DISK_MIB=99999999999999999999": "PYRO_DISK_MIB is 99999999999999999999, allowed are 64 to 1048576",
		"PYRO_TTL_MAX_SECONDS=-1":            "PYRO_TTL_MAX_SECONDS is -1, allowed are 1 to 3153600000, or none",
		"PYRO_TTL_DEFAULT_SECONDS=7200":      "PYRO_TTL_DEFAULT_SECONDS is 7200, which is more than ttl.max_seconds, 3600",
		"PYRO_ENGINE=host-compat":            "PYRO_ENGINE is host-compat, which isolates nothing and needs consent for each call: configuration is never consent",
		"PYRO_ENGINE=x":                      `PYRO_ENGINE is "x", allowed are auto or gvisor`,
	} {
		t.Run(variable, func(t *testing.T) {
			getenv := home(t, "", variable)
			_, err := Load(getenv)
			wantError(t, getenv, err, "configuration: "+want)
		})
	}
}

// TestTheTable holds what readers of the manual and of scripts rely on.
func TestTheTable(t *testing.T) {
	for i := range table {
		s := &table[i]
		if got, err := s.parse(s.standard); err != nil || got != s.standard {
			t.Errorf("%s: the default is %q, %v", s.key, got, err)
		}
		if s.endless {
			for _, text := range []string{"0", none} {
				if got, err := s.parse(text); err != nil || got != none {
					t.Errorf("%s: %s is %q, %v", s.key, text, got, err)
				}
			}
		}
		if s.about == "" || strings.HasSuffix(s.about, ".") || s.allowed() == "" {
			t.Errorf("%s: %q", s.key, s.about)
		}
	}
	if got := find(keyTTLMax).variable(); got != "PYRO_TTL_MAX_SECONDS" {
		t.Error(got)
	}
}

// TestTemplateShowsEverySetting takes the comments off.
func TestTemplateShowsEverySetting(t *testing.T) {
	var text strings.Builder
	for line := range strings.Lines(template()) {
		if setting, ok := strings.CutPrefix(line, "# "); ok && strings.Contains(line, " = ") && !strings.Contains(line, ";") {
			line = setting
		}
		text.WriteString(line)
	}
	c, err := Load(home(t, text.String()))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range c.Settings() {
		if s.Source != api.SourceFile || s.Value != s.Default {
			t.Errorf("%s is %s from %s", s.Key, s.Value, s.Source)
		}
	}
}

func FuzzParseFile(f *testing.F) {
	for _, seed := range []string{
		"capacity = 5", "[ttl]\nmax_seconds = 'none'", "ttl = { max_seconds = 0 }", "a.\"b.c\" = [1, {x = 2}]", template(),
		"[[ttl]]\nx = 1", "\"\" = ''", "x = \"\"\"\ncapacity = 1\"\"\"",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		said, err := parseFile("/f", data)
		if err != nil {
			if !errors.Is(err, api.Invalid) || !strings.HasPrefix(err.Error(), "configuration: /f") {
				t.Errorf("got %v", err)
			}
			return
		}
		for key, text := range said {
			s := find(key)
			if s == nil {
				t.Fatalf("%q was taken", key)
			}
			if again, err := s.parse(text); err != nil || again != text {
				t.Errorf("%s: %q is read again as %q, %v", key, text, again, err)
			}
		}
	})
}
