package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
)

// none is how a time without end is written.
const none = "none"

// auto is the engine setting that chooses the best isolating engine that works.
const auto = "auto"

// maxSeconds is a hundred years, the most that a time to live means anything.
const maxSeconds = 100 * 365 * 24 * 60 * 60

// The keys of all settings.
const (
	keyCapacity   = "capacity"
	keyDiskMiB    = "disk_mib"
	keyEngine     = "engine"
	keyTTLDefault = "ttl.default_seconds"
	keyTTLMin     = "ttl.min_seconds"
	keyTTLMax     = "ttl.max_seconds"
	keyCheckpoint = "checkpoint.interval_seconds"
)

// setting is a row of the table from which everything else follows: what the file
// and the variables may say, the defaults, and what people are told about them. Those
// of the file's top level come first, as they must in the file.
type setting struct {
	key       string
	standard  string   // what holds where nobody says otherwise, as a variable would
	low, high int      // of a number
	endless   bool     // 0 and none are taken as well, and mean that there is no limit
	words     []string // of a setting that is no number: what may be said
	about     string
}

var table = []setting{
	{
		key: keyCapacity, standard: strconv.Itoa(api.DefaultPolicy.Capacity), low: 1, high: 10000,
		about: "how many workspaces may run at once in a state directory",
	},
	{
		key: keyDiskMiB, standard: strconv.Itoa(api.DefaultDiskMiB), low: api.MinDiskMiB, high: api.MaxDiskMiB,
		about: "MiB that may be written to disk in a workspace that asks for no other size",
	},
	{
		key: keyEngine, standard: auto, words: []string{auto, "gvisor"},
		about: "the engine of a workspace that asks for none; auto: the best isolating one that works here",
	},
	{
		key: keyTTLDefault, standard: strconv.Itoa(api.DefaultTTLSeconds), low: 1, high: maxSeconds, endless: true,
		about: "time to live of a workspace that asks for none, between the two that follow; none needs ttl.max_seconds = \"none\"",
	},
	{
		key: keyTTLMin, standard: strconv.Itoa(api.MinTTLSeconds), low: 1, high: maxSeconds,
		about: "shortest time to live that a workspace may ask for",
	},
	{
		key: keyTTLMax, standard: strconv.Itoa(api.MaxTTLSeconds), low: 1, high: maxSeconds, endless: true,
		about: "longest time to live that a workspace may ask for; none: any, and none at all",
	},
	{
		key: keyCheckpoint, standard: "180", low: 0, high: 24 * 60 * 60,
		about: "seconds between two savings of a running workspace's disk; 0: only when it stops",
	},
}

// variable is the environment variable of a setting.
func (s *setting) variable() string {
	return "PYRO_" + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}

// allowed says in words what a setting takes.
func (s *setting) allowed() string {
	if s.words != nil {
		return strings.Join(s.words, " or ")
	}
	text := fmt.Sprintf("%d to %d", s.low, s.high)
	if s.endless {
		text += ", or none"
	}
	return text
}

// parse reads a value as a variable holds it and returns its one form.
func (s *setting) parse(text string) (string, error) {
	if s.words != nil {
		return text, s.checkWord(text)
	}
	if s.endless && text == none {
		return none, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		return "", s.refuse(text)
	}
	if err != nil || text[0] == '+' {
		return "", fmt.Errorf("is %q, which is no number; allowed are %s", clip(text), s.allowed())
	}
	return s.number(n)
}

func (s *setting) number(n int64) (string, error) {
	if s.endless && n == 0 {
		return none, nil
	}
	if n < int64(s.low) || n > int64(s.high) {
		return "", s.refuse(strconv.FormatInt(n, 10))
	}
	return strconv.FormatInt(n, 10), nil
}

func (s *setting) refuse(text string) error {
	return fmt.Errorf("is %s, allowed are %s", clip(text), s.allowed())
}

func (s *setting) checkWord(text string) error {
	switch {
	case slices.Contains(s.words, text):
		return nil
	case text == api.EngineHostCompat:
		return fmt.Errorf("is %s, which isolates nothing and needs consent for each call: configuration is never consent", text)
	default:
		return fmt.Errorf("is %q, allowed are %s", clip(text), s.allowed())
	}
}

// fromFile reads a value of the file, as the decoder made it.
func (s *setting) fromFile(v any) (string, error) {
	switch v := v.(type) {
	case int64:
		if s.words == nil {
			return s.number(v)
		}
	case string:
		if s.words != nil {
			return v, s.checkWord(v)
		}
		if s.endless && v == none {
			return none, nil
		}
	}
	return "", fmt.Errorf("is %s, allowed are %s", typeName(v), s.inFile())
}

// inFile is allowed in the words of the file, where text stands in quotes.
func (s *setting) inFile() string {
	switch {
	case s.words != nil:
		return `"` + strings.Join(s.words, `" or "`) + `"`
	case s.endless:
		return fmt.Sprintf("%d to %d, or %q", s.low, s.high, none)
	default:
		return s.allowed()
	}
}

func typeName(v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("the text %q", clip(v))
	case int64:
		return fmt.Sprintf("the number %d", v)
	case float64:
		return "a number with a fraction"
	case bool:
		return "true or false"
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	default:
		return "a date or time"
	}
}

// clip keeps a message to one readable line.
func clip(s string) string {
	const most = 40
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// quoted is a value as the file holds it.
func quoted(value string) string {
	if _, err := strconv.Atoi(value); err == nil {
		return value
	}
	return strconv.Quote(value)
}

func find(key string) *setting {
	for i := range table {
		if table[i].key == key {
			return &table[i]
		}
	}
	return nil
}

// keys names all settings, for who cannot be shown them because the file is wrong.
func keys() string {
	names := make([]string, len(table))
	for i, s := range table {
		names[i] = s.key
	}
	return strings.Join(names, ", ")
}
