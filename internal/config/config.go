package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

// Config is what is in force. The zero value is not usable; see Load. It is
// immutable.
type Config struct {
	values map[string]value
}

type value struct {
	text   string // in the one form
	source string
}

// Load reads the file, if there is one, and the variables. An error is an
// api.Invalid one that names the file and line, or the variable, and the limit.
func Load(getenv func(string) string) (Config, error) {
	path := Path(getenv)
	data, err := readFile(path)
	if err != nil {
		return Config{}, err
	}
	said, err := parseFile(path, data)
	if err != nil {
		return Config{}, err
	}
	c := Config{values: make(map[string]value, len(table))}
	for i := range table {
		s := &table[i]
		v := value{s.standard, api.SourceDefault}
		if text, ok := said[s.key]; ok {
			v = value{text, api.SourceFile}
		}
		if text := getenv(s.variable()); text != "" {
			parsed, err := s.parse(text)
			if err != nil {
				return Config{}, wrong(fmt.Errorf("%s %w", s.variable(), err), "correct or unset the variable")
			}
			v = value{parsed, api.SourceEnvironment}
		}
		c.values[s.key] = v
	}
	return c, c.settleTTL(path)
}

func wrong(err error, hint string) error {
	return &api.Error{Kind: api.Invalid, Op: "configuration", Hint: hint, Err: err}
}

// settleTTL holds the three times to live against each other. A default that nobody
// chose follows the limits that somebody did.
func (c Config) settleTTL(path string) error {
	least, most, usual := c.number(keyTTLMin), c.number(keyTTLMax), c.number(keyTTLDefault)
	beyond := func(seconds int) bool { return most != api.Forever && (seconds > most || seconds == api.Forever) }
	if c.values[keyTTLMin].source == api.SourceDefault && beyond(least) {
		least = most
		c.values[keyTTLMin] = value{strconv.Itoa(least), api.SourceDefault}
	}
	if beyond(least) {
		return c.disagree(path, keyTTLMin, "more", keyTTLMax)
	}
	if c.values[keyTTLDefault].source == api.SourceDefault {
		if usual = max(usual, least); beyond(usual) {
			usual = most
		}
		c.values[keyTTLDefault] = value{strconv.Itoa(usual), api.SourceDefault}
	}
	switch {
	case beyond(usual):
		return c.disagree(path, keyTTLDefault, "more", keyTTLMax)
	case usual != api.Forever && usual < least:
		return c.disagree(path, keyTTLDefault, "less", keyTTLMin)
	}
	return nil
}

// disagree says of two settings that each is right and both are not.
func (c Config) disagree(path, a, relation, b string) error {
	return wrong(
		fmt.Errorf("%s is %s, which is %s than %s, %s", c.name(path, a), c.values[a].text, relation, c.name(path, b), c.values[b].text),
		fmt.Sprintf("change %s or %s", a, b),
	)
}

// name says of a setting where its value comes from.
func (c Config) name(path, key string) string {
	switch c.values[key].source {
	case api.SourceEnvironment:
		return find(key).variable()
	case api.SourceFile:
		return key + " in " + path
	default:
		return key
	}
}

// number is the value of a setting that is one; none is api.Forever.
func (c Config) number(key string) int {
	text := c.values[key].text
	if text == none {
		return api.Forever
	}
	n, _ := strconv.Atoi(text) // has been parsed before
	return n
}

// Policy is what workspaces may have, and have where they ask for nothing.
func (c Config) Policy() api.Policy {
	return api.Policy{
		Capacity:          c.number(keyCapacity),
		DefaultTTLSeconds: c.number(keyTTLDefault),
		MinTTLSeconds:     c.number(keyTTLMin),
		MaxTTLSeconds:     c.number(keyTTLMax),
		DiskMiB:           c.number(keyDiskMiB),
	}
}

// Engine is the engine of workspaces that ask for none, "" for the best one that
// works. It never is one that isolates nothing.
func (c Config) Engine() string {
	if name := c.values[keyEngine].text; name != auto {
		return name
	}
	return ""
}

// CheckpointInterval is the time between two savings of a running workspace's disk;
// 0: it is saved only on the way down.
func (c Config) CheckpointInterval() time.Duration {
	return time.Duration(c.number(keyCheckpoint)) * time.Second
}

// Settings lists all settings in the order of the manual.
func (c Config) Settings() []api.Setting {
	list := make([]api.Setting, 0, len(table))
	for i := range table {
		s := &table[i]
		list = append(list, api.Setting{
			Key: s.key, Value: c.values[s.key].text, Source: c.values[s.key].source, Variable: s.variable(),
			Default: s.standard, Allowed: s.allowed(), Description: s.about,
		})
	}
	return list
}

// template is a file that changes nothing: every setting with its default, each in
// a comment.
func template() string {
	var b strings.Builder
	b.WriteString("# Configuration of pyro. Variables of the environment go before this file, flags\n# before both. Remove the # before a setting to change it.\n")
	group := ""
	for i := range table {
		s := &table[i]
		prefix, name := "", s.key
		if dot := strings.LastIndexByte(s.key, '.'); dot >= 0 {
			prefix, name = s.key[:dot], s.key[dot+1:]
		}
		if prefix != group {
			fmt.Fprintf(&b, "\n[%s]\n", prefix)
			group = prefix
		}
		fmt.Fprintf(&b, "\n# %s.\n# %s: %s\n# %s = %s\n", s.about, s.variable(), s.inFile(), name, quoted(s.standard))
	}
	return b.String()
}
