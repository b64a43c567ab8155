package cli

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testGrammar is a program with one command for a guest, one without, and a group.
func testGrammar() *grammar {
	help := option{name: "help", short: "h", decides: true}
	return &grammar{
		path: []string{"pyro"}, options: []option{help, {name: "version", decides: true}},
		commands: []*grammar{
			{
				path: []string{"pyro", "run"}, operands: []string{"ENVIRONMENT"}, guest: true,
				options: []option{
					help,
					{name: "mem-mib", value: true},
					{name: "timeout-seconds", value: true},
					{name: "ttl-seconds", value: true},
					{name: "net"},
					{name: "network"},
					{name: "json"},
					{name: "interactive", short: "i"},
					{name: "name", short: "n", value: true},
				},
			},
			{
				path: []string{"pyro", "ws"}, options: []option{help},
				commands: []*grammar{
					{path: []string{"pyro", "ws", "status"}, operands: []string{"ID"}, options: []option{help, {name: "json"}}},
					{path: []string{"pyro", "ws", "read"}, operands: []string{"ID"}, more: true, options: []option{help, {name: "json"}}},
				},
			},
		},
	}
}

func TestParse(t *testing.T) {
	for line, want := range map[string]string{
		// The invocation as options|operands|guest, after its path; or the error.
		"run host -- ls":                       "run: |host|ls",
		"run host ls":                          "run: |host|ls",
		"run --json host -- ls":                "run: --json|host|ls",
		"run host --json -- ls":                "run: --json|host|ls",
		"run host ls --json":                   "run: --json|host|ls",
		"run host ls --json x":                 "run: --json|host|ls x",
		"run host -- ls --json":                "run: |host|ls --json",
		"run host -- --json":                   "run: |host|--json",
		"run host -- -- x":                     "run: |host|-- x",
		"run host -- ls -- x":                  "run: |host|ls -- x",
		"run host ls -- -l":                    "run: |host|ls -l",
		"run host --":                          "run: |host|",
		"run host":                             "run: |host|",
		"run host -- --help":                   "run: |host|--help",
		"run --mem-mib 5 host -- ls":           "run: --mem-mib=5|host|ls",
		"run --mem-mib=5 host -- ls":           "run: --mem-mib=5|host|ls",
		"run --mem-mib= host -- ls":            "run: --mem-mib=|host|ls",
		"run --name=a=b host":                  "run: --name=a=b|host|",
		"run --name=-- host -- ls":             "run: --name=--|host|ls",
		"run --name - host":                    "run: --name=-|host|",
		"run --mem 5 host":                     "run: --mem-mib=5|host|",
		"run --m=5 host":                       "run: --mem-mib=5|host|",
		"run --mem-mib -5 host":                "run: --mem-mib=-5|host|",
		"run --timeout 5 --ttl 6 host":         "run: --timeout-seconds=5 --ttl-seconds=6|host|",
		"run --mem 1 host --mem 2 -- x":        "run: --mem-mib=1 --mem-mib=2|host|x",
		"run --net host":                       "run: --net|host|",
		"run --netw host":                      "run: --network|host|",
		"run -i host -- cat":                   "run: --interactive|host|cat",
		"run host -i cat":                      "run: --interactive|host|cat",
		"run -n x host":                        "run: --name=x|host|",
		"run -n=x host":                        "run: --name=x|host|",
		"run host echo -5":                     "run: |host|echo -5",
		"run host echo -":                      "run: |host|echo -",
		"run - ls":                             "run: |-|ls",
		"run --help":                           "run: --help||",
		"run host --help --nonsense":           "run: --help||",
		"run --json --mem 5 host ls -h --also": "run: --help||",
		"run --he":                             "run: --help||",
		"--help":                               ": --help||",
		"--version":                            ": --version||",
		"--vers run":                           ": --version||",
		"ws --help":                            "ws: --help||",
		"ws status 1":                          "ws status: |1|",
		"ws status --json 1":                   "ws status: --json|1|",
		"ws status 1 --json":                   "ws status: --json|1|",
		"ws status -- 1":                       "ws status: |1|",
		"ws status -- --json":                  "ws status: |--json|",
		"ws read 1 2 3 --j":                    "ws read: --json|1 2 3|",
		"":                                     "pyro: the following arguments are required: COMMAND",
		"ws":                                   "pyro ws: the following arguments are required: COMMAND",
		"-- run":                               "pyro: a command must come before --",
		"nope":                                 "pyro: argument COMMAND: invalid choice: 'nope' (choose from 'run', 'ws')",
		"ws nope":                              "pyro ws: argument COMMAND: invalid choice: 'nope' (choose from 'status', 'read')",
		"--json run host":                      "pyro: unrecognized arguments: --json",
		"ws status":                            "pyro ws status: the following arguments are required: ID",
		"ws status 1 2 3":                      "pyro ws status: unrecognized arguments: 2 3",
		"ws status 1 -- 2":                     "pyro ws status: unrecognized arguments: 2",
		"run":                                  "pyro run: the following arguments are required: ENVIRONMENT",
		"run -- ls":                            "pyro run: the following arguments are required: ENVIRONMENT",
		"run --t 5 host":                       "pyro run: ambiguous option: --t could match --timeout-seconds, --ttl-seconds",
		"run --n host":                         "pyro run: ambiguous option: --n could match --net, --network, --name",
		"run --t=5 host":                       "pyro run: ambiguous option: --t could match --timeout-seconds, --ttl-seconds",
		"run --no-such host":                   "pyro run: unrecognized arguments: --no-such",
		"run --no-such=1 host":                 "pyro run: unrecognized arguments: --no-such",
		"run ---json host":                     "pyro run: unrecognized arguments: ---json",
		"run --=x host":                        "pyro run: unrecognized arguments: --",
		"run -x host":                          "pyro run: unrecognized arguments: -x",
		"run -ij host":                         "pyro run: unrecognized arguments: -ij",
		"run -json host":                       "pyro run: unrecognized arguments: -json",
		"run host ls -la":                      "pyro run: unrecognized arguments: -la",
		"run --jsonx host":                     "pyro run: unrecognized arguments: --jsonx",
		"run --json=yes host":                  "pyro run: argument --json: ignored explicit argument 'yes'",
		"run --json= host":                     "pyro run: argument --json: ignored explicit argument ''",
		"run host --mem-mib":                   "pyro run: argument --mem-mib: expected one argument",
		"run host --mem-mib -- ls":             "pyro run: argument --mem-mib: expected one argument",
		"run --name --json host":               "pyro run: argument --name: expected one argument",
		"run --mem-mib 5 --help-me":            "pyro run: unrecognized arguments: --help-me",
		"run --json --json host -- --mem-mib --json -": "run: --json --json|host|--mem-mib --json -",
	} {
		t.Run(line, func(t *testing.T) {
			if got := shown(testGrammar().parse(strings.Fields(line))); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func shown(inv *invocation, err error) string {
	if u, ok := errors.AsType[*usageError](err); ok {
		return u.program + ": " + u.text
	}
	join := func(words []string) string { return strings.Join(words, " ") }
	return join(inv.path) + ": " + join(inv.options) + "|" + join(inv.operands) + "|" + join(inv.guest)
}

func TestParseKeepsOddWords(t *testing.T) {
	words := []string{"run", "--name", "a b", "", "--", "", " ", "a\nb", "\xff", "--name="}
	inv, err := testGrammar().parse(words)
	if err != nil {
		t.Fatal(err)
	}
	want := &invocation{path: []string{"run"}, options: []string{"--name=a b"}, operands: []string{""}, guest: words[5:]}
	if diff := cmp.Diff(want, inv, cmp.AllowUnexported(invocation{})); diff != "" {
		t.Error(diff)
	}
}

func TestParseTeachesWhereGuestOptionsGo(t *testing.T) {
	_, err := testGrammar().parse([]string{"run", "host", "ls", "-la"})
	u, ok := errors.AsType[*usageError](err)
	if !ok || !strings.Contains(u.hint, "pyro run ENVIRONMENT -- COMMAND") {
		t.Errorf("hint of %v is %q", err, u.hint)
	}
}

// FuzzParse shows that what stands after the first -- changes nothing before it and
// arrives as it was, through the pre-pass and through cobra.
func FuzzParse(f *testing.F) {
	f.Add("run\nhost", "ls\n--json\n--")
	f.Add("run\nhost\n--mem-mib\n5", "--mem-mib")
	f.Add("run\nhost\nls\n-i\n--js", "--help\n\n-x=\n--version")
	f.Add("run\n--name=\n\n--t=1\n-5", "\xff\n--\n--")
	f.Add("workspace\nexec\n0123456789ab\n--timeout=7", "--timeout=8\n-h")
	f.Fuzz(func(t *testing.T, before, after string) {
		head, tail := strings.Split(before, "\n"), strings.Split(after, "\n")
		if i := slices.Index(head, "--"); i >= 0 {
			head = head[:i]
		}
		words := slices.Concat(head, []string{"--"}, tail)
		a := &app{Env: Env{Stdout: &output{}, Stderr: &output{}}, open: newFake().open}
		g := grammarOf(a.tree())
		bare, bareErr := g.parse(append(slices.Clone(head), "--"))
		inv, err := g.parse(words)
		if (err == nil) != (bareErr == nil) && !hasNoGuest(bare, err) {
			t.Fatalf("%q: %v, but %v without the guest's words", words, err, bareErr)
		}
		if err != nil || !slices.Contains([]string{"run", "workspace exec"}, strings.Join(inv.path, " ")) || slices.Equal(inv.options, []string{"--help"}) {
			return
		}
		want := slices.Concat(bare.guest, tail)
		if !slices.Equal(inv.options, bare.options) || !slices.Equal(inv.operands, bare.operands) || !slices.Equal(inv.guest, want) {
			t.Fatalf("%q became %+v, without the guest's words %+v", words, inv, bare)
		}
		cmd, rest, err := a.tree().Find(inv.argv())
		if err != nil || cmd.ParseFlags(rest) != nil {
			return // a value that the flag refuses
		}
		if got := cmd.Flags().Args(); !slices.Equal(got, slices.Concat(inv.operands, inv.guest)) {
			t.Fatalf("cobra made %q of %q", got, inv.argv())
		}
	})
}

// hasNoGuest reports that words after -- were operands and thus counted.
func hasNoGuest(bare *invocation, err error) bool {
	u, ok := errors.AsType[*usageError](err)
	return bare == nil || ok && !strings.Contains(u.usage, "[--]")
}
