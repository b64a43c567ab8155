package gvisor

import (
	"encoding/hex"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/enginetest"
	"github.com/pyro-sandbox/pyro/internal/testgate"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// written is what is said of a file, and what is in it.
type written struct {
	device, inode uint64
	size, ctime   int64
	digest        string // in hexadecimal
}

// steady reports whether the file is the one that it was, for all that is said of it.
func (w written) steady(was written) bool {
	w.digest = was.digest
	return w == was && w.ctime != 0
}

// scan tells of every file in the workspace.
func scan(t *testing.T, box engine.Sandbox) map[string]written {
	t.Helper()
	client := wire.Client{Dial: box.Dial}
	files := make(map[string]written)
	var names [][]byte
	_, err := client.Walk(t.Context(), wire.WalkRequest{Path: "/workspace", Recursive: true}, func(e *wire.WalkEntry) error {
		if path.Base(string(e.Path)) == "f" {
			files[string(e.Path)] = written{device: e.Device, inode: e.Inode, size: e.Size, ctime: e.CTime}
			names = append(names, []byte(string(e.Path)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	asked := func(yield func([]byte) bool) {
		for _, name := range names {
			if !yield(name) {
				return
			}
		}
	}
	at := 0
	if err := client.Hash(t.Context(), "/workspace", asked, func(d *wire.FileDigest) error {
		name := string(names[at])
		file := files[name]
		file.digest = hex.EncodeToString(d.SHA256)
		files[name] = file
		at++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return files
}

// rewrite scans the workspace before and after testdata/writes.py did its work, and
// returns what it says of ways that are not there.
func rewrite(t *testing.T, ways ...string) (before, after map[string]written, missing string) {
	t.Helper()
	_, err := os.Stat("/usr/bin/python3")
	testgate.Require(t, testgate.Tool, err)
	program, err := os.ReadFile("testdata/writes.py")
	if err != nil {
		t.Fatal(err)
	}
	box := enginetest.Start(t, newBench(t).subject())
	if told, ok := box.(engine.WriteTeller); !ok || !told.TellsWrites() {
		t.Fatal("the sandbox does not tell writes")
	}
	enginetest.Exec(t, box, string(program), wire.StreamRequest{Argv: []string{"sh", "-c", "cat >/run/writes.py; mkfifo /run/turn /run/done"}, Stdin: true})
	go func() { // ends with the program, or with the sandbox
		_, _ = enginetest.TryShell(t.Context(), box, "python3 /run/writes.py "+strings.Join(ways, " ")+" >/run/missing 2>/run/why; echo $? >/run/done")
	}()
	step := func(line, want string) {
		t.Helper()
		if got := enginetest.Shell(t, box, line+"cat /run/done"); got != want {
			t.Fatalf("the program failed: %q %s", got, enginetest.Shell(t, box, "cat /run/why"))
		}
	}
	step("", "x")
	before = scan(t, box)
	step("echo >/run/turn; ", "x")
	after = scan(t, box)
	step("echo >/run/turn; ", "0\n")
	return before, after, enginetest.Shell(t, box, "cat /run/missing")
}

// TestWritesAreTold holds what WriteTeller promises, in every way in which a guest can
// change a file, and that files which it has not changed are told to be the same.
func TestWritesAreTold(t *testing.T) {
	before, after, missing := rewrite(t)
	absent := make(map[string]bool)
	for line := range strings.Lines(missing) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		absent[name] = true
	}
	if len(before) < 40 || len(absent) > 8 {
		t.Errorf("of %d ways there are not: %s", len(before), missing)
	}
	for name, was := range before {
		now := after[name]
		way := path.Dir(name)
		same := strings.HasPrefix(way, "same_") || absent[way]
		switch {
		case (now.digest == was.digest) != same:
			t.Errorf("%s: that the content is the same is %v", way, !same)
		case now.steady(was) != same:
			t.Errorf("%s: it is told that the file is the same, %v: %+v, then %+v", way, !same, was, now)
		}
	}
	t.Log("ways that are not there:", missing)
}

// TestOfForeignOverlaysNothingIsTold maps a file of an overlay that the guest has mounted,
// whose files might have other numbers at the root.
func TestOfForeignOverlaysNothingIsTold(t *testing.T) {
	before, after, missing := rewrite(t, "same_untouched", "overlaid")
	if missing != "\n" {
		t.Fatalf("the guest cannot mount: %s", missing)
	}
	for name, was := range before {
		if now := after[name]; was.ctime == 0 || now.ctime != 0 {
			t.Errorf("%s: %+v, then %+v", name, was, now)
		}
	}
}

// TestRestoredTellsNoWrites has mappings that its Sentry knows nothing of.
func TestRestoredTellsNoWrites(t *testing.T) {
	for memory, want := range map[string]bool{"": true, "/image": false} {
		box := newSandbox(engine.Spec{Memory: memory}, nil, cgroup{})
		box.tells = true
		if got := box.TellsWrites(); got != want {
			t.Errorf("started from %q: %v", memory, got)
		}
	}
}

// TestAnotherKernelTellsNoWrites greets the agent on this machine's own kernel, which like a
// Sentry of another version does not tell what is mapped.
func TestAnotherKernelTellsNoWrites(t *testing.T) {
	fake := enginetest.Start(t, enginetest.Subject{Engine: enginetest.NewFake(t), Spec: newBench(t).spec})
	reply, err := (&wire.Client{Dial: fake.Dial}).Hello(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	box := newSandbox(engine.Spec{}, nil, cgroup{})
	box.tells = true // whatever it was taken for
	box.greeted(reply)
	if box.TellsWrites() {
		t.Error("writes are believed to be told")
	}
}
