package store

import (
	"fmt"
	"testing"
)

// stopped is a store with so many stopped workspaces and records as they are.
func stopped(b *testing.B, count int) (*Store, []string) {
	b.Helper()
	s := newStore(b)
	var ids []string
	for i := range count {
		id := fmt.Sprintf("%012x", i)
		w, err := s.Create(id)
		if err != nil {
			b.Fatal(err)
		}
		w.survive = processDeath // the benchmark waits for no disk
		record := fmt.Sprintf(`{"id":%q,"kind":"workspace","request":{"environment":"host","vcpu_count":1,"mem_mib":1024,`+
			`"disk_mib":4096,"ttl_seconds":28800,"network_policy":"off","name":"job-%d","labels":{"team":"tools","run":"%d"}},`+
			`"engine":{"name":"gvisor","mode":"guest_vsock","isolation":"sentry"},"state":"stopped","reason":"stopped",`+
			`"limits":{"enforced":true,"why":null},"created_at":1790000000.25,"expires_at":1790028800.25,`+
			`"last_activity_at":1790000100.5,"command_count":2,"last_command":{"sequence":2,"command":"make -j2 test && echo \"done\"",`+
			`"cwd":"/workspace","exit_code":0,"duration_ms":5120,"execution_mode":"guest_vsock"},`+
			`"supervisor":{"pid":1234,"start":567890,"boot_id":"8d2b4a52-0000-4000-8000-3e1c5d6f7a8b"}}`, id, i, i)
		if err := w.WriteRecord([]byte(record)); err != nil {
			b.Fatal(err)
		}
		if err := w.Unlock(); err != nil {
			b.Fatal(err)
		}
		ids = append(ids, id)
	}
	return s, ids
}

func BenchmarkRead(b *testing.B) {
	s, ids := stopped(b, 1)
	for b.Loop() {
		if _, err := s.Read(ids[0]); err != nil {
			b.Fatal(err)
		}
	}
}

// What a list of a thousand costs here, beside the decoding of records.
func BenchmarkThousand(b *testing.B) {
	s, ids := stopped(b, 1000)
	b.Run("Read", func(b *testing.B) {
		for b.Loop() {
			for _, id := range ids {
				if _, err := s.Read(id); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("Sweep", func(b *testing.B) {
		for b.Loop() {
			if err := s.Sweep(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("CountRunning", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.CountRunning(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
