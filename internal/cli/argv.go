package cli

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// grammar is what one command accepts. It knows names and counts, never meanings:
// those are the business of the command's flags.
type grammar struct {
	path     []string   // the words that lead here, the program's name first
	usage    string     // one line, without "usage: "
	options  []option   // of this command only
	commands []*grammar // of a group; a group has no operands
	alone    bool       // a group that is a command of its own, too
	operands []string   // the names of the positionals it must have
	more     bool       // further positionals may follow
	guest    bool       // further positionals are the guest's command
}

// option is one long option and the letter that may stand for it.
type option struct {
	name    string // without dashes
	short   string // one letter, or empty
	value   bool   // a value follows
	yields  bool   // a shortened name that fits another option too is that one's
	decides bool   // what comes after it does not matter: --help, --version
}

// invocation is a command line taken apart.
type invocation struct {
	path     []string // the commands below the program
	options  []string // "--name" or "--name=value", in order, names in full
	operands []string
	guest    []string // what the guest is to run
}

// argv puts an invocation together again: options first, then --, then the rest.
func (i *invocation) argv() []string {
	return slices.Concat(i.path, i.options, []string{"--"}, i.operands, i.guest)
}

// parse takes words apart. Options stand before, between or after positionals, as
// --name value or --name=value, and may be shortened while one name fits. After the
// first -- no word is looked at. Errors are *usageError.
func (g *grammar) parse(words []string) (*invocation, error) {
	p := &parser{at: g, words: words, open: true}
	for len(p.words) > 0 && p.open {
		word := p.next()
		var err error
		switch {
		case word == "--":
			err = p.rest()
		case len(p.at.cluster(word)) > 0:
			p.words = append(p.at.cluster(word), p.words...)
		case isOption(word):
			err = p.option(word)
		default:
			err = p.plain(word)
		}
		if err != nil {
			return nil, err
		}
	}
	return p.finish()
}

// negative numbers are values and plain words: no option is a digit.
var negative = regexp.MustCompile(`^-[0-9]+$`)

func isOption(word string) bool {
	return len(word) > 1 && word[0] == '-' && !negative.MatchString(word)
}

// isText reports whether a word that begins as an option does can be nothing but a value,
// as a patch or a list in Markdown may: no option has a blank in it, before the = at least.
func isText(word string) bool {
	name, _, _ := strings.Cut(word, "=")
	return strings.ContainsAny(name, " \n")
}

// parser is the state of one parse.
type parser struct {
	at      *grammar
	words   []string // not yet looked at
	out     invocation
	open    bool // more words matter
	decided bool // --help or --version: nothing is missing
}

func (p *parser) next() string {
	word := p.words[0]
	p.words = p.words[1:]
	return word
}

func (p *parser) rest() error {
	switch {
	case len(p.at.commands) > 0:
		return p.at.fail("a command must come before --")
	case p.at.guest:
		p.out.guest = append(p.out.guest, p.words...)
	default:
		p.out.operands = append(p.out.operands, p.words...)
	}
	p.open = false
	return nil
}

func (p *parser) plain(word string) error {
	if len(p.at.commands) > 0 {
		i := slices.IndexFunc(p.at.commands, func(g *grammar) bool { return g.name() == word })
		if i < 0 {
			return p.at.unknownCommand(word)
		}
		p.at = p.at.commands[i]
		p.out.path = append(p.out.path, word)
		return nil
	}
	if p.at.guest && len(p.out.operands) == len(p.at.operands) {
		p.out.guest = append(p.out.guest, word)
	} else {
		p.out.operands = append(p.out.operands, word)
	}
	return nil
}

func (p *parser) option(word string) error {
	name, value, glued := strings.Cut(word, "=")
	o, err := p.at.find(name)
	switch {
	case err != nil && p.at.guest && len(p.out.operands) == len(p.at.operands):
		return p.guestOption(err)
	case err != nil:
		return err
	case o.decides:
		p.out.options = []string{"--" + o.name}
		p.open, p.decided = false, true
		return nil
	case !o.value && glued:
		return p.at.fail("argument --%s: ignored explicit argument %s", o.name, quote(value))
	case !o.value:
		p.out.options = append(p.out.options, "--"+o.name)
		return nil
	case !glued && (len(p.words) == 0 || p.words[0] == "--" || isOption(p.words[0]) && !isText(p.words[0])):
		return p.at.fail("argument --%s: expected one argument", o.name)
	case !glued:
		value = p.next()
	}
	p.out.options = append(p.out.options, "--"+o.name+"="+value)
	return nil
}

// guestOption turns the refusal of an option into a lesson: it was probably meant
// for the command in the guest.
func (p *parser) guestOption(err error) error {
	if u, ok := err.(*usageError); ok {
		u.hint = fmt.Sprintf("options of the guest's command come after --: %s %s -- COMMAND --ITS-OPTIONS",
			strings.Join(p.at.path, " "), strings.Join(p.at.operands, " "))
	}
	return err
}

func (p *parser) finish() (*invocation, error) {
	g, have := p.at, len(p.out.operands)
	switch {
	case p.decided:
		p.out.operands, p.out.guest = nil, nil
	case len(g.commands) > 0 && !g.alone:
		return nil, g.fail("the following arguments are required: COMMAND")
	case have < len(g.operands):
		return nil, g.fail("the following arguments are required: %s", strings.Join(g.operands[have:], ", "))
	case have > len(g.operands) && !g.more:
		return nil, g.fail("unrecognized arguments: %s", strings.Join(p.out.operands[len(g.operands):], " "))
	}
	return &p.out, nil
}

func (g *grammar) name() string { return g.path[len(g.path)-1] }

// find returns the option that word ("-x", "--name" or the beginning of a name)
// stands for.
func (g *grammar) find(word string) (option, error) {
	long, isLong := strings.CutPrefix(word, "--")
	var fits []option
	for _, o := range g.options {
		switch {
		case isLong && o.name == long, !isLong && o.short != "" && word == "-"+o.short:
			return o, nil
		case isLong && long != "" && strings.HasPrefix(o.name, long):
			fits = append(fits, o)
		}
	}
	if older := slices.DeleteFunc(slices.Clone(fits), func(o option) bool { return o.yields }); len(older) > 0 {
		fits = older
	}
	switch len(fits) {
	case 1:
		return fits[0], nil
	case 0:
		return option{}, g.fail("unrecognized arguments: %s", word)
	}
	names := make([]string, len(fits))
	for i, o := range fits {
		names[i] = "--" + o.name
	}
	return option{}, g.fail("ambiguous option: %s could match %s", word, strings.Join(names, ", "))
}

// cluster takes letters that share one dash apart, as in -it. It returns nothing unless
// each is an option that takes no value.
func (g *grammar) cluster(word string) []string {
	if len(word) < 3 || word[0] != '-' || word[1] == '-' {
		return nil
	}
	var letters []string
	for _, letter := range word[1:] {
		if !slices.ContainsFunc(g.options, func(o option) bool { return o.short == string(letter) && !o.value }) {
			return nil
		}
		letters = append(letters, "-"+string(letter))
	}
	return letters
}

func (g *grammar) unknownCommand(word string) error {
	names := make([]string, len(g.commands))
	for i, c := range g.commands {
		names[i] = c.name()
	}
	err := g.fail("argument COMMAND: invalid choice: %s (choose from %s)", quote(word), quoteAll(names))
	if meant := g.below(word); meant != "" {
		err.hint = fmt.Sprintf("it is `%s`; `%s --help` explains it", meant, meant)
	}
	return err
}

// below returns the command of that name in one of the groups, as it is to be typed,
// or nothing.
func (g *grammar) below(word string) string {
	for _, group := range g.commands {
		for _, c := range group.commands {
			if c.name() == word {
				return strings.Join(c.path, " ")
			}
		}
	}
	return ""
}

func (g *grammar) fail(format string, args ...any) *usageError {
	program := strings.Join(g.path, " ")
	return &usageError{
		usage: g.usage, program: program, text: fmt.Sprintf(format, args...),
		hint: fmt.Sprintf("`%s --help` explains it", program),
	}
}
