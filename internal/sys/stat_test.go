//go:build linux

package sys

import (
	"os"
	"strings"
	"testing"
)

func TestParseTask(t *testing.T) {
	rest := " S 7 8 9 " + strings.Repeat("0 ", 15) + "4242 0 123 99"
	want := func(state byte) Task {
		return Task{PID: 12, Parent: 7, Group: 8, Session: 9, Start: 4242, Pages: 123, Ended: state == 'Z' || state == 'X', state: state}
	}
	for name, c := range map[string]struct {
		data string
		want Task
		bad  bool
	}{
		"plain":             {data: "12 (cat)" + rest, want: want('S')},
		"brackets in name":  {data: "12 (a) R 1 (b) )" + rest, want: want('S')},
		"lines in name":     {data: "12 () \n)" + rest, want: want('S')},
		"a zombie":          {data: strings.Replace("12 (cat)"+rest, "S", "Z", 1), want: want('Z')},
		"dead":              {data: strings.Replace("12 (cat)"+rest, "S", "X", 1), want: want('X')},
		"without a name":    {data: "12 cat" + rest, bad: true},
		"empty":             {bad: true},
		"cut":               {data: "12 (cat) S 7 0", bad: true},
		"parent no number":  {data: strings.Replace("12 (cat)"+rest, "S 7", "S x", 1), bad: true},
		"pages no number":   {data: strings.Replace("12 (cat)"+rest, "123", "x", 1), bad: true},
		"start is negative": {data: strings.Replace("12 (cat)"+rest, "4242", "-1", 1), bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseTask(12, []byte(c.data))
			if (err != nil) != c.bad || !c.bad && got != c.want {
				t.Fatalf("parseTask = %+v, %v, want %+v", got, err, c.want)
			}
		})
	}
}

func TestTasksHasThisProcess(t *testing.T) {
	self, err := Self()
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range Tasks() {
		if task.PID == self.PID && task.Start == self.Start && task.Parent == os.Getppid() && task.Pages > 0 && !task.Ended {
			return
		}
	}
	t.Error("the test itself is not in the process table")
}

func TestUnescaped(t *testing.T) {
	if got, want := unescaped.Replace(`/a\040b\134040`), `/a b\040`; got != want {
		t.Fatalf("unescaped %q, want %q", got, want)
	}
}
