package wire

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
)

// records are those of a walk.
func records(entries ...WalkEntry) string {
	var w WalkWriter
	for i := range entries {
		w.Add(&entries[i])
	}
	return string(w.Piece)
}

func walkDir(path string) WalkEntry {
	return WalkEntry{Path: []byte(path), Kind: "directory", Mode: 0o755, Links: 2}
}

func walkFile(path string) WalkEntry {
	return WalkEntry{Path: []byte(path), Kind: "file", Mode: 0o644, Size: 3, MTime: -1, CTime: math.MaxInt64, Device: math.MaxUint64, Inode: 7, Links: 1}
}

func walkLink(path, target string) WalkEntry {
	return WalkEntry{Path: []byte(path), Kind: "symlink", Mode: 0o777, Size: int64(len(target)), Target: []byte(target)}
}

func walkAll(ctx context.Context, c *Client, r WalkRequest) ([]WalkEntry, *WalkReply, error) {
	var got []WalkEntry
	reply, err := c.Walk(ctx, r, func(e *WalkEntry) error { got = append(got, *e); return nil })
	return got, reply, err
}

func TestClientWalk(t *testing.T) {
	var got recorded
	entries := []WalkEntry{
		walkDir(""), walkFile("a!"), walkDir("b"), walkFile("b/\n"), walkDir("b/\xff"), walkLink("b/\xff/d", "../../.."), walkFile("b!"),
		{Path: []byte("s"), Kind: Special, Mode: 0o7777},
	}
	c, _ := fakeAgent(t, recording(&got, 0, frame('d', records(entries...))+frame('d', "")+
		frame('x', `{"path":"/workspace","count":7,"clock_ns":12,"root":{}}`)+"what comes after is not read"))
	all, reply, err := walkAll(t.Context(), c, WalkRequest{Path: ".", Recursive: true, MaxEntries: 7})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(entries[1:], all); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff(&WalkReply{Path: "/workspace", Count: 7, Clock: 12, Root: walkDir("")}, reply, cmp.Comparer(bytes.Equal)); diff != "" {
		t.Errorf("reply (-want +got):\n%s", diff)
	}
	if line, _ := got.get(); line != `{"action":"walk_tree","path":".","recursive":true,"max_entries":7}` {
		t.Errorf("sent %s", line)
	}
}

func TestWalkIsLeftByItsCaller(t *testing.T) {
	c, _ := fakeAgent(t, answering(frame('d', records(walkDir(""), walkFile("a"), walkFile("b")))+frame('x', `{"count":2}`)))
	enough := errors.New("enough")
	if _, err := c.Walk(t.Context(), WalkRequest{Path: "."}, func(*WalkEntry) error { return enough }); err != enough {
		t.Errorf("error %v, want that of the caller itself", err)
	}
	for _, r := range []WalkRequest{{Path: "\xff"}, {Path: ".", MaxEntries: -1}, {Path: ".", MaxEntries: MaxTreeEntries + 1}} {
		if _, err := c.Walk(t.Context(), r, nil); !errors.Is(err, api.Invalid) {
			t.Errorf("%+v: error %v", r, err)
		}
	}
}

// hostileWalks are what no walk may say.
func hostileWalks() map[string]string {
	long := strings.Repeat("n", MaxTreePath+1)
	with := func(e WalkEntry, change func(*WalkEntry)) WalkEntry { change(&e); return e }
	ends := func(entries ...WalkEntry) string {
		return frame('d', records(append([]WalkEntry{walkDir("")}, entries...)...)) + frame('x', `{"count":1}`)
	}
	return map[string]string{
		"nothing":             "",
		"no root":             frame('x', `{"count":0}`),
		"root with a path":    frame('d', records(walkFile("a"))) + frame('x', `{}`),
		"root twice":          ends(walkDir("")),
		"other count":         ends(walkFile("a"), walkFile("b")),
		"negative count":      ends() + frame('x', `{"count":-1}`),
		"entry below a file":  frame('d', records(walkFile(""), walkFile("a"))) + frame('x', `{"count":1}`),
		"child of a file":     ends(walkFile("a"), walkFile("a/b")),
		"child of nothing":    ends(walkFile("a/b")),
		"child of a neighbor": ends(walkDir("a"), walkFile("ab/c")),
		"child that is late":  ends(walkDir("a"), walkFile("b"), walkFile("a/c")),
		"order":               ends(walkFile("b"), walkFile("a")),
		"order of a slash":    ends(walkDir("a"), walkFile("a!"), walkFile("a/b")),
		"twice":               ends(walkFile("a"), walkFile("a")),
		"absolute":            ends(walkFile("/a")),
		"parent":              ends(walkFile("..")),
		"dot":                 ends(walkFile(".")),
		"NUL":                 ends(walkFile("a\x00")),
		"slash behind":        ends(walkDir("a"), walkFile("a/")),
		"two slashes":         ends(walkDir("a"), walkFile("a//b")),
		"long path":           ends(walkFile(long)),
		"one too many":        ends(walkFile("a"), walkFile("b"), walkFile("c"), walkFile("d")),
		"mode":                ends(with(walkFile("a"), func(e *WalkEntry) { e.Mode = 0o10000 })),
		"negative size":       ends(with(walkFile("a"), func(e *WalkEntry) { e.Size = -1 })),
		"link to nothing":     ends(walkLink("a", "")),
		"link to NUL":         ends(walkLink("a", "b\x00")),
		"long link":           ends(walkLink("a", long)),
		"unknown kind":        frame('d', "x"+records(walkDir(""))[1:]),
		"half a record":       frame('d', records(walkDir(""))[:5]),
		"record in two":       frame('d', records(walkDir(""))[:5]) + frame('d', records(walkDir(""))[5:]),
		"endless number":      frame('d', "f"+strings.Repeat("\xff", 100)),
		"shared too much":     frame('d', "f\x01\x00"+strings.Repeat("\x00", 8)),
		"shared beyond all":   frame('d', "f"+string(binary.AppendUvarint(nil, math.MaxUint64))+strings.Repeat("\x00", 9)),
		"name beyond all":     frame('d', "f\x00"+string(binary.AppendUvarint(nil, math.MaxUint64))+"a"),
		"longer than a frame": "d\xff\xff\xff\xff",
		"unknown frame":       frame('o', "x"),
		"a line":              `{"count":0}` + "\n",
		"list for a reply":    ends() + frame('x', `[]`),
		"long reply":          frame('d', records(walkDir(""))) + frame('x', `{"count":0,"x":"`+strings.Repeat("x", MaxShortLine)+`"}`),
		"failure of nothing":  frame('f', `{}`),
	}
}

func TestHostileWalks(t *testing.T) {
	for name, answer := range hostileWalks() {
		t.Run(name, func(t *testing.T) {
			c, _ := fakeAgent(t, answering(answer))
			var err error
			used := allocated(func() { _, _, err = walkAll(t.Context(), c, WalkRequest{Path: ".", Recursive: true, MaxEntries: 3}) })
			gone := errors.Is(err, io.ErrUnexpectedEOF) && errors.Is(err, api.Unavailable)
			if !errors.Is(err, ErrProtocol) && !(gone && name == "nothing") {
				t.Errorf("error %v of kind %q, want ErrProtocol", err, api.KindOf(err))
			}
			if err != nil && len(err.Error()) > MaxErrorText {
				t.Errorf("error of %d bytes", len(err.Error()))
			}
			if used > 4<<20 {
				t.Errorf("allocated %d bytes", used)
			}
		})
	}
	t.Run("further below than was asked", func(t *testing.T) {
		c, _ := fakeAgent(t, answering(frame('d', records(walkDir(""), walkDir("a"), walkFile("a/b")))+frame('x', `{"count":2}`)))
		if _, _, err := walkAll(t.Context(), c, WalkRequest{Path: "."}); !errors.Is(err, ErrProtocol) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("names longer than is allowed together", func(t *testing.T) {
		c, _ := fakeAgent(t, func(conn net.Conn, r *bufio.Reader) {
			_, _ = ReadLine(r, MaxRequestLine)
			var w WalkWriter
			root := walkDir("")
			w.Add(&root)
			for {
				for len(w.Piece) < MaxFrame/2 {
					e := walkFile(strings.Repeat("a", len(w.last)%MaxTreePath+1))
					w.Add(&e)
				}
				if WriteFrame(conn, FrameData, w.Piece) != nil {
					return
				}
				w.Piece = w.Piece[:0]
			}
		})
		count := 0
		_, err := c.Walk(t.Context(), WalkRequest{Path: ".", MaxEntries: 10_000}, func(*WalkEntry) error { count++; return nil })
		if !errors.Is(err, ErrProtocol) || count > 4096 {
			t.Errorf("error %v after %d entries", err, count)
		}
	})
}

func TestAgentErrorsOfFetches(t *testing.T) {
	for name, answer := range map[string]string{
		"in a frame": frame('d', records(walkDir(""))) + frame('f', `{"error":"no such path","kind":"not_found"}`),
		"in a line":  `{"error":"no such path","kind":"not_found"}` + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := fakeAgent(t, answering(answer))
			if _, _, err := walkAll(t.Context(), c, WalkRequest{Path: "."}); err == nil || err.Error() != "no such path" || !errors.Is(err, api.NotFound) {
				t.Errorf("error %v of kind %q", err, api.KindOf(err))
			}
		})
	}
}

// drops answers a walk one entry at a time, with a pause before each.
func drops(pause time.Duration, count int) guest {
	return func(conn net.Conn, r *bufio.Reader) {
		_, _ = ReadLine(r, MaxRequestLine)
		var w WalkWriter
		e := walkDir("")
		for i := range count {
			w.Piece = w.Piece[:0]
			w.Add(&e)
			<-time.After(pause)
			if WriteFrame(conn, FrameData, w.Piece) != nil {
				return
			}
			e = walkFile(string(binary.BigEndian.AppendUint16([]byte("f"), 0x3030+uint16(i))))
		}
	}
}

func TestDeadlinesOfFetches(t *testing.T) {
	for name, tt := range map[string]struct {
		script guest
		within time.Duration
	}{
		"no answer":          {silent, archiveTimeout},
		"empty frames":       {func(conn net.Conn, _ *bufio.Reader) { emptyFrames(conn) }, archiveTimeout},
		"an entry at a time": {drops(5*time.Second, 100), archiveTimeout + 11*slowestWalk},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := fakeAgent(t, tt.script)
				start := time.Now()
				_, _, err := walkAll(t.Context(), c, WalkRequest{Path: "."})
				if !errors.Is(err, api.Timeout) {
					t.Errorf("error %v of kind %q, want a timeout", err, api.KindOf(err))
				}
				if took := time.Since(start); took > tt.within || took < archiveTimeout {
					t.Errorf("took %v, want %v", took, tt.within)
				}
			})
		})
	}
}

func emptyFrames(conn net.Conn) {
	for {
		<-time.After(5 * time.Second)
		if WriteFrame(conn, FrameData, nil) != nil {
			return
		}
	}
}

func TestCancelEndsAFetch(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c, _ := fakeAgent(t, func(conn net.Conn, r *bufio.Reader) {
		_, _ = ReadLine(r, MaxRequestLine)
		cancel()
		silent(conn, r)
	})
	if _, _, err := walkAll(ctx, c, WalkRequest{Path: "."}); !errors.Is(err, api.Canceled) {
		t.Errorf("error %v of kind %q, want canceled", err, api.KindOf(err))
	}
}

func FuzzWalk(f *testing.F) {
	f.Add([]byte(records(walkDir(""), walkDir("a"), walkFile("a/b"), walkLink("c", "d"))))
	f.Add([]byte(records(walkFile(""))))
	for _, answer := range hostileWalks() {
		f.Add([]byte(answer[min(5, len(answer)):]))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d := newWalkDecoder(WalkRequest{Recursive: true, MaxEntries: 100})
		var got []WalkEntry
		kinds := map[string]string{}
		err := d.decode(data, func(e *WalkEntry) error {
			parent := ""
			if i := bytes.LastIndexByte(e.Path, '/'); i >= 0 {
				parent = string(e.Path[:i])
			}
			if kinds[parent] != "directory" && parent != "" || kinds[string(e.Path)] != "" {
				t.Errorf("%q came, after %q", e.Path, kinds)
			}
			kinds[string(e.Path)] = e.Kind
			got = append(got, *e)
			return nil
		})
		if err != nil {
			return
		}
		// What is accepted reads the same again.
		if d.root == nil {
			return
		}
		again := newWalkDecoder(WalkRequest{Recursive: true, MaxEntries: 100})
		var second []WalkEntry
		all := append([]WalkEntry{*d.root}, got...)
		if err := again.decode([]byte(records(all...)), func(e *WalkEntry) error { second = append(second, *e); return nil }); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(got, second); diff != "" {
			t.Errorf("-first +second:\n%s", diff)
		}
	})
}

func TestOrderOfWalks(t *testing.T) {
	sorted := []string{"", "a", "a/\x01", "a/b", "a\x01", "a!", "a!/a", "aa", "b"}
	for i, a := range sorted {
		for k, b := range sorted {
			if got, want := CompareWalked([]byte(a), []byte(b)), i-k; got < 0 != (want < 0) || got > 0 != (want > 0) {
				t.Errorf("%q and %q: %d", a, b, got)
			}
		}
	}
}

func TestClientHash(t *testing.T) {
	sum := strings.Repeat("\x01\xff", 16)
	digests := []FileDigest{
		{Path: []byte("a/b\xff"), Kind: "file", Mode: 0o4755, Size: 9, CTime: -5, Inode: 3, SHA256: []byte(sum)},
		{Path: []byte("c"), Err: HashGone},
		{Path: []byte("d"), Mode: 0o600, Size: MaxHashed + 1, CTime: 7, Inode: 4, Err: HashTooLong},
		{Path: []byte("e"), Err: HashFailed},
		{Path: []byte("f"), Err: HashChanged, CTime: 1},
	}
	var answer []byte
	var paths [][]byte
	for _, d := range digests {
		answer = d.Append(answer)
		paths = append(paths, d.Path)
	}
	var sent recorded
	c, _ := fakeAgent(t, receiving(&sent, frame('d', "")+frame('d', string(answer))+frame('x', `{"count":5}`)))
	var got []FileDigest
	err := c.Hash(t.Context(), "/workspace/x", slices.Values(paths), func(d *FileDigest) error { got = append(got, *d); return nil })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(digests, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if line, body := sent.get(); line != `{"action":"hash_files","path":"/workspace/x"}` || body != "\x04a/b\xff\x01c\x01d\x01e\x01f" {
		t.Errorf("sent %s and %q", line, body)
	}
	enough := errors.New("enough")
	if err := c.Hash(t.Context(), "x", slices.Values(paths), func(*FileDigest) error { return enough }); err != enough {
		t.Errorf("error %v, want that of the caller itself", err)
	}
	for _, path := range []string{"", "/a", "..", "a\x00", "a/./b"} {
		if err := c.Hash(t.Context(), "x", slices.Values([][]byte{[]byte(path)}), nil); !errors.Is(err, api.Invalid) {
			t.Errorf("path %q: error %v", path, err)
		}
	}
}

func TestHostileHashes(t *testing.T) {
	one := func(d FileDigest) string { return string(d.Append(nil)) }
	whole := one(FileDigest{SHA256: make([]byte, 32)})
	for name, answer := range map[string]string{
		"one more":       frame('d', whole+whole+whole) + frame('x', `{"count":3}`),
		"one less":       frame('d', whole) + frame('x', `{"count":1}`),
		"other count":    frame('d', whole+whole) + frame('x', `{"count":1}`),
		"none":           frame('x', `{"count":0}`),
		"count alone":    frame('x', `{"count":2}`),
		"half a record":  frame('d', whole+whole[:20]) + frame('x', `{"count":2}`),
		"no digest":      frame('d', whole+one(FileDigest{})),
		"unknown letter": frame('d', "x"+whole[1:]),
		"mode":           frame('d', one(FileDigest{Mode: 1 << 12, Err: HashGone})),
		"negative size":  frame('d', one(FileDigest{Size: -1, Err: HashGone})),
		"before the end": "",
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := fakeAgent(t, func(conn net.Conn, r *bufio.Reader) {
				_, _, _ = takeTree(r)
				_, _ = io.WriteString(conn, answer)
			})
			err := c.Hash(t.Context(), ".", slices.Values([][]byte{[]byte("a"), []byte("b")}), func(*FileDigest) error { return nil })
			if !errors.Is(err, ErrProtocol) && !(answer == "" && errors.Is(err, api.Unavailable)) {
				t.Errorf("error %v of kind %q", err, api.KindOf(err))
			}
		})
	}
}

func FuzzDigests(f *testing.F) {
	f.Add((&FileDigest{Mode: 0o644, Size: 5, CTime: 6, Inode: 7, SHA256: make([]byte, 32)}).Append(nil))
	f.Add((&FileDigest{Err: HashGone}).Append(nil))
	f.Add([]byte("f"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var again []byte
		err := decodeDigests(data, func() []byte { return []byte("p") }, func(d *FileDigest) error {
			if (d.Err == "") != (len(d.SHA256) == 32) || d.Size < 0 || d.Mode > 0o7777 {
				t.Errorf("%+v was accepted", d)
			}
			again = d.Append(again)
			return nil
		})
		if err != nil {
			return
		}
		count := 0
		if err := decodeDigests(again, func() []byte { return []byte("p") }, func(*FileDigest) error { count++; return nil }); err != nil {
			t.Errorf("what was accepted is not: %v", err)
		}
	})
}

func FuzzReadPath(f *testing.F) {
	f.Add([]byte("\x03a/b\x01c"))
	f.Add([]byte("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"))
	f.Add([]byte("\x04../a"))
	f.Add([]byte("\x05ab"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bufio.NewReader(bytes.NewReader(data))
		for {
			path, err := ReadPath(r)
			if err == io.EOF {
				return
			}
			if err != nil {
				if !errors.Is(err, api.Invalid) {
					t.Errorf("error %v of kind %q", err, api.KindOf(err))
				}
				return
			}
			if checkTreePath(string(path)) != nil {
				t.Errorf("path %q was accepted", path)
			}
		}
	})
}

func BenchmarkDecodeWalk(b *testing.B) {
	var w WalkWriter
	root := walkDir("")
	w.Add(&root)
	const count = 10_000
	for i := range count {
		e := walkFile(fmt.Sprintf("node_modules_some-package_lib_internal_file%05d.js", i))
		e.MTime, e.CTime = 1700000000123456789, 1700000000123456789
		w.Add(&e)
	}
	b.ReportAllocs()
	for b.Loop() {
		d := newWalkDecoder(WalkRequest{})
		err := d.decode(w.Piece, func(*WalkEntry) error { return nil })
		if err != nil || d.count != count {
			b.Fatal(err, d.count)
		}
	}
}
