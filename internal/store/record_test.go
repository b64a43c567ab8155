package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

func TestRecord(t *testing.T) {
	s := newStore(t)
	w := create(t, s, testID)
	if _, err := s.Read(testID); !errors.Is(err, api.NotFound) {
		t.Fatalf("Read before the first record = %v, want NotFound", err)
	}
	for _, want := range []string{`{"a":1}`, `{"b":"ä\u0000"}`, `{}`} {
		if err := w.WriteRecord([]byte(want)); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Read(testID); err != nil || string(got) != want {
			t.Fatalf("Read = %s, %v, want %s", got, err, want)
		}
	}
	var e map[string]json.RawMessage
	data, err := os.ReadFile(filepath.Join(w.Path(), "record.json"))
	if err = errors.Join(err, json.Unmarshal(data, &e)); err != nil {
		t.Fatal(err)
	}
	// The file is a contract: printf '{"layout":1,"record":{}}' | sha256sum
	if want := `"` + "65fa1294"; string(e["layout"]) != "1" || !strings.HasPrefix(string(e["sha256"]), want) || string(e["record"]) != "{}" {
		t.Fatalf("record.json = %s", data)
	}
	checkGone(t, filepath.Join(w.Path(), "record.json.tmp"))
}

// fullDisk makes files and takes no bytes.
type fullDisk struct{ osDisk }

func (d fullDisk) Open(path string, flag int) (file, error) {
	f, err := d.osDisk.Open(path, flag)
	return fullFile{f}, err
}

type fullFile struct{ file }

func (fullFile) Write([]byte) (int, error) { return 0, sys.ErrNoSpace }

// What could not be written is not left there half: neither beside a record nor, where
// nobody would look for it, beside what is known of those that are gone.
func TestFullDiskIsLeftAsItWas(t *testing.T) {
	s := newStore(t)
	w := create(t, s, testID)
	s.disk = fullDisk{}
	for name, write := range map[string]func([]byte) error{"record": w.WriteRecord, "epitaph": w.WriteEpitaph} {
		if err := write([]byte("{}")); !sys.IsNoSpace(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	checkGone(t, filepath.Join(w.Path(), "record.json.tmp"))
	checkGone(t, filepath.Join(s.goneDir(), testID+".tmp"))
}

func TestRecordOfNoWorkspace(t *testing.T) {
	s := newStore(t)
	if _, err := s.Read(testID); !errors.Is(err, api.NotFound) {
		t.Errorf("Read = %v, want NotFound", err)
	}
	for _, id := range []string{"", ".", "..", "../../etc", "0123456789AB", testID + "/.."} {
		if _, err := s.Read(id); !errors.Is(err, api.Invalid) {
			t.Errorf("Read(%q) = %v, want Invalid", id, err)
		}
	}
}

func TestRecordThatIsRefused(t *testing.T) {
	s := newStore(t)
	w := create(t, s, testID)
	if err := w.WriteRecord([]byte(`{"good":true}`)); err != nil {
		t.Fatal(err)
	}
	for name, payload := range map[string]string{
		"empty":     "",
		"no object": `[1]`,
		"no json":   `{"a":`,
		"two":       `{} {}`,
		"too long":  `{"a":"` + strings.Repeat("x", maxRecord) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			if err := w.WriteRecord([]byte(payload)); !errors.Is(err, api.Internal) {
				t.Errorf("WriteRecord = %v, want Internal", err)
			}
			if got, err := s.Read(testID); err != nil || string(got) != `{"good":true}` {
				t.Errorf("the old record is lost: %s, %v", got, err)
			}
		})
	}
}

func TestBrokenRecord(t *testing.T) {
	good, err := encodeRecord([]byte(`{"id":"x","list":[1,2.5,null]}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"empty":          {},
		"zero-filled":    make([]byte, len(good)),
		"cut":            good[:len(good)/2],
		"half zero":      append(bytes.Clone(good[:len(good)/2]), make([]byte, len(good)/2)...),
		"trailing bytes": append(bytes.Clone(good), good...),
		"oversize":       append(bytes.Clone(good), bytes.Repeat([]byte{' '}, maxRecord)...),
		"another json":   []byte("{}\n"),
		"no json":        []byte("hello"),
		"other sum":      bytes.Replace(good, []byte(`"sha256":"`), []byte(`"sha256":"0`), 1),
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			w := create(t, s, testID)
			mustWrite(t, filepath.Join(w.Path(), recordName), string(data))
			_, err := s.Read(testID)
			if !errors.Is(err, api.Internal) || !strings.Contains(err.Error(), testID) || api.HintOf(err) == "" {
				t.Fatalf("Read = %v, want Internal with the id and a hint", err)
			}
			if ids, err := s.IDs(); err != nil || len(ids) != 1 {
				t.Fatalf("IDs = %v, %v: a broken one is not listed", ids, err)
			}
			if err := w.Remove(t.Context()); err != nil {
				t.Fatalf("Remove: %v", err)
			}
			checkGone(t, w.Path())
		})
	}
}

func TestEveryFlippedBitIsSeen(t *testing.T) {
	good, err := encodeRecord([]byte(`{"id":"x","n":1}`))
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(good) * 8 {
		bad := bytes.Clone(good)
		bad[i/8] ^= 1 << (i % 8)
		if got, err := decodeRecord(bad); err == nil || errors.Is(err, errLayout) {
			t.Errorf("bit %d: %s, %v", i, got, err)
		}
	}
}

func TestRecordOfAnotherVersion(t *testing.T) {
	s := newStore(t)
	w := create(t, s, testID)
	path := filepath.Join(w.Path(), recordName)
	for _, foreign := range []string{
		`{"layout":2,"sha256":"00","record":{}}`,
		`{"layout":99,"sha256":"00","other":[]}`,
	} {
		mustWrite(t, path, foreign)
		if _, err := s.Read(testID); !errors.Is(err, api.Unsupported) || api.HintOf(err) == "" {
			t.Errorf("Read = %v, want Unsupported with a hint", err)
		}
		if err := w.WriteRecord([]byte(`{}`)); !errors.Is(err, api.Unsupported) {
			t.Errorf("WriteRecord = %v, want Unsupported", err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != foreign {
			t.Errorf("it was rewritten: %s, %v", got, err)
		}
	}
}

func TestRecordBehindALink(t *testing.T) {
	s := newStore(t)
	w := create(t, s, testID)
	if err := os.Symlink("/etc/passwd", filepath.Join(w.Path(), recordName)); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Read(testID); err == nil {
		t.Fatalf("Read followed a link: %s", got)
	}
}

func FuzzReadRecord(f *testing.F) {
	for _, payload := range []string{`{}`, `{"a":"<&>\u2028"}`, `{"a":{"b":[1e9,-0,null]}}`, "{\"a\":\"\xff\"}"} {
		good, err := encodeRecord([]byte(payload))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(good)
		f.Add([]byte(payload))
	}
	f.Add([]byte(`{"layout":2,"sha256":"00","record":{}}`))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		// As a file: what is accepted says the same when it is written again.
		if got, err := decodeRecord(data); err == nil {
			again, err := encodeRecord(got)
			if err != nil || !bytes.Equal(again, data) {
				t.Fatalf("%q was read as %q, which is written as %q, %v", data, got, again, err)
			}
		}
		// As a record: what is written can be read.
		encoded, err := encodeRecord(data)
		if err != nil {
			return
		}
		got, err := decodeRecord(encoded)
		if err != nil {
			t.Fatalf("%q is written as %q, which is not read: %v", data, encoded, err)
		}
		if !json.Valid(got) {
			t.Fatalf("%q was read as %q", data, got)
		}
	})
}
