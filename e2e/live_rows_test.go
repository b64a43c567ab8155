package e2e

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// outlets are the attacks on secrets, logs and terminals by their numbers, and where each
// is made: a directory and its tests.
var outlets = map[string]map[string][]string{
	"65 a secret looked for everywhere": {
		".": {"TestSecretIsNowhere"}, "../internal/supervisor": {"TestSecrets"}, "../internal/cli": {"TestSecretSources"}, "../api": {"TestSecretsAreNotQuoted"},
	},
	"66 debug logs and core files of helpers":    {".": {"TestHelpersKeepNoLogs"}},
	"67 arguments and environments of processes": {".": {"TestSecretIsNowhere"}},
	"68 redaction across borders": {
		"../internal/redact":     {"TestAnySplitIsTheSameAndShowsNoValue", "TestForms", "TestReplace"},
		"../internal/agent":      {"TestShellHidesSecrets", "TestServiceLogHidesSecretsBeforeLinesAreCounted", "TestSecretsThatWereStayHidden"},
		"../internal/supervisor": {"TestGuestTextIsCutBehindItsSecrets"},
	},
	"69 stop, start and delete with secrets":  {".": {"TestSecretIsNowhere"}, "../internal/supervisor": {"TestSecretsComeBackAfterAStop"}, "../internal/agent": {"TestSecretsNeverVanish"}},
	"70 control sequences":                    {".": {"TestClaimC14OutputCannotDriveTheTerminal"}, "../internal/cli": {"TestSanitizer"}},
	"71 text that looks like ours":            {".": {"TestSecretIsNowhere"}, "../internal/supervisor": {"TestHostileAgent"}},
	"72 times and names that the guest gives": {"../internal/supervisor": {"TestTimesAndNamesAreTheHosts", "TestLiveTimes"}},
}

// TestOutletsAreTested compares the table with the tests that there are.
func TestOutletsAreTested(t *testing.T) {
	var numbers []string
	for row, where := range outlets {
		numbers = append(numbers, strings.Fields(row)[0])
		for dir, names := range where {
			there := testsIn(t, dir)
			for _, name := range names {
				if !there[name] {
					t.Errorf("%s: there is no %s in %s", row, name, dir)
				}
			}
		}
	}
	slices.Sort(numbers)
	if diff := cmp.Diff([]string{"65", "66", "67", "68", "69", "70", "71", "72"}, numbers); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// testsIn is the names of the tests of a package.
func testsIn(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v", dir, err)
	}
	names := make(map[string]bool)
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range parsed.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil {
				names[fn.Name.Name] = true
			}
		}
	}
	return names
}
