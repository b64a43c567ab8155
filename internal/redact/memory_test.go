package redact

import (
	"fmt"
	"strings"
	"testing"
)

func TestMemory(t *testing.T) {
	var m Memory
	if !m.Set().Empty() || m.Use(nil) != nil {
		t.Error("it knows something from the beginning")
	}
	m.Use([]string{"first-value"})
	m.Use([]string{"second-value"})
	set := m.Use(nil)
	if got := set.Replace("first-value second-value"); got != "[REDACTED] [REDACTED]" {
		t.Errorf("those that were: %q", got)
	}
	if m.Use(nil) != set || m.Set() != set {
		t.Error("the same was made twice")
	}
	if got := m.Set("third-value").Replace("first-value third-value"); got != "[REDACTED] [REDACTED]" {
		t.Errorf("with another: %q", got)
	}
}

// Changing a secret for ever costs no more than the newest values, which stay hidden.
func TestMemoryIsBounded(t *testing.T) {
	var m Memory
	value := func(i int) string { return fmt.Sprint(i, strings.Repeat("v", maxOnce/8)) }
	for i := range 20 {
		m.Use([]string{value(i)})
	}
	size := 0
	for _, v := range m.values {
		size += len(v)
	}
	if size > maxOnce+len(value(19)) || len(m.values) < 5 {
		t.Errorf("%d values of %d bytes are known", len(m.values), size)
	}
	if got := m.Set().Replace(value(19) + value(18)); strings.Contains(got, "vvvv") {
		t.Errorf("the newest are shown: %.80q", got)
	}
}
