package api

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// wantInvalid checks that err is of kind Invalid, hints, and says all of words; with
// no words, that there is none.
func wantInvalid(t *testing.T, err error, words ...string) {
	t.Helper()
	if len(words) == 0 {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
		return
	}
	if !errors.Is(err, Invalid) || HintOf(err) == "" {
		t.Fatalf("got %v with hint %q, want an error of kind %s with a hint", err, HintOf(err), Invalid)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

func TestCheckID(t *testing.T) {
	for name, test := range map[string]struct {
		id  string
		bad bool
	}{
		"digits":           {"000000000000", false},
		"letters":          {"abcdefabcdef", false},
		"empty":            {"", true},
		"short":            {"0123456789a", true},
		"long":             {"0123456789abc", true},
		"upper case":       {"0123456789AB", true},
		"no hex digit":     {"0123456789ag", true},
		"line break after": {"0123456789ab\n", true},
		"line break":       {"0123456789a\n", true},
		"parent":           {"../../../etc", true},
		"zero byte":        {"0123456789a\x00", true},
		"digits of others": {"٠٠٠٠٠٠", true},
		"huge":             {strings.Repeat("a", 1<<20), true},
	} {
		t.Run(name, func(t *testing.T) {
			err := CheckID(test.id)
			if !test.bad {
				wantInvalid(t, err)
				return
			}
			wantInvalid(t, err, "workspace id", "12 lower-case hex digits")
			if len(err.Error()) > 400 {
				t.Errorf("%d bytes of error", len(err.Error()))
			}
		})
	}
}

func TestCheckName(t *testing.T) {
	for name, test := range map[string]struct {
		value string
		says  []string
	}{
		"none":                    {"", nil},
		"words":                   {"my project", nil},
		"at the limit":            {strings.Repeat("x", MaxNameLength), nil},
		"characters, not bytes":   {strings.Repeat("ü", MaxNameLength), nil},
		"above the limit":         {strings.Repeat("x", MaxNameLength+1), []string{"name", "121", "120"}},
		"above it in characters":  {strings.Repeat("😀", MaxNameLength+1), []string{"name", "121", "120"}},
		"escape sequence":         {"a\x1b[2J", []string{"name", "control"}},
		"line break":              {"a\nb", []string{"name", "control"}},
		"zero byte":               {"a\x00", []string{"name", "control"}},
		"delete":                  {"a\x7f", []string{"name", "control"}},
		"control byte of 8 bits":  {"a\u009b2J", []string{"name", "control"}},
		"not UTF-8":               {"a\xff", []string{"name", "UTF-8"}},
		"surrogate half in UTF-8": {"\xed\xa0\x80", []string{"name", "UTF-8"}},
	} {
		t.Run(name, func(t *testing.T) { wantInvalid(t, CheckName(test.value), test.says...) })
	}
}

func TestCheckLabels(t *testing.T) {
	for name, test := range map[string]struct {
		labels map[string]string
		says   []string
	}{
		"none":                  {nil, nil},
		"several":               {map[string]string{"team": "a", "A.b_c-9": "b c"}, nil},
		"key at the limit":      {map[string]string{strings.Repeat("k", 64): "v"}, nil},
		"key above the limit":   {map[string]string{strings.Repeat("k", 65): "v"}, []string{"label key", "kkk", "{0,63}"}},
		"huge key":              {map[string]string{strings.Repeat("k", 1<<20): "v"}, []string{"label key", "…"}},
		"empty key":             {map[string]string{"": "v"}, []string{"label key", `""`}},
		"key begins wrong":      {map[string]string{".a": "v"}, []string{"label key", `".a"`}},
		"key with a blank":      {map[string]string{"a b": "v"}, []string{"label key", `"a b"`}},
		"key ends in a break":   {map[string]string{"a\n": "v"}, []string{"label key", `"a\n"`}},
		"key beyond ASCII":      {map[string]string{"ü": "v"}, []string{"label key"}},
		"value at the limit":    {map[string]string{"k": strings.Repeat("ü", MaxNameLength)}, nil},
		"value above the limit": {map[string]string{"k": strings.Repeat("ü", MaxNameLength+1)}, []string{"label k", "121", "1 to 120"}},
		"empty value":           {map[string]string{"k": ""}, []string{"label k", "0 characters", "1 to 120"}},
		"value with escapes":    {map[string]string{"k": "\x1b["}, []string{"label k", "printable"}},
		"value not UTF-8":       {map[string]string{"k": "\xff"}, []string{"label k", "printable"}},
	} {
		t.Run(name, func(t *testing.T) { wantInvalid(t, CheckLabels(test.labels), test.says...) })
	}
}

func TestCreateRequestLimits(t *testing.T) {
	for _, field := range []struct {
		name      string
		set       func(*CreateRequest, int)
		low, high int
	}{
		{"vcpu_count", func(r *CreateRequest, v int) { r.VCPUCount = v }, 1, 8},
		{"mem_mib", func(r *CreateRequest, v int) { r.MemMiB = v }, 256, 32768},
		{"disk_mib", func(r *CreateRequest, v int) { r.DiskMiB = v }, 64, 1048576},
		{"idle_seconds", func(r *CreateRequest, v int) { r.IdleSeconds = v }, 0, 3153600000},
	} {
		check := func(v int) error {
			r := CreateRequest{Environment: "host"}
			field.set(&r, v)
			return r.WithDefaults(DefaultPolicy).Check()
		}
		t.Run(field.name, func(t *testing.T) {
			wantInvalid(t, check(field.low))
			wantInvalid(t, check(field.high))
			for _, v := range []int{field.low - 1, field.high + 1, -1, -1 << 62, 1<<62 - 1} {
				if v == 0 {
					continue // means the default
				}
				wantInvalid(t, check(v), field.name, fmt.Sprintf("is %d,", v), fmt.Sprintf("%d to %d", field.low, field.high))
			}
		})
	}
}

func TestCreateRequestCheck(t *testing.T) {
	for name, test := range map[string]struct {
		request CreateRequest
		says    []string
	}{
		"least":              {CreateRequest{Environment: "host"}, nil},
		"no environment":     {CreateRequest{}, []string{"environment", "empty"}},
		"first field counts": {CreateRequest{Environment: "host", VCPUCount: 99, MemMiB: 1}, []string{"vcpu_count"}},
		"name":               {CreateRequest{Environment: "host", Name: "\n"}, []string{"name"}},
		"label":              {CreateRequest{Environment: "host", Labels: map[string]string{"k": ""}}, []string{"label k"}},
	} {
		t.Run(name, func(t *testing.T) { wantInvalid(t, test.request.WithDefaults(DefaultPolicy).Check(), test.says...) })
	}
	t.Run("what is left out is allowed", func(t *testing.T) {
		wantInvalid(t, CreateRequest{Environment: "host"}.Check())
	})
}

func TestPolicyCheckTTL(t *testing.T) {
	long := Policy{MinTTLSeconds: 60, MaxTTLSeconds: Forever}
	for _, tt := range []struct {
		policy  Policy
		seconds int
		says    []string
	}{
		{DefaultPolicy, 60, nil},
		{DefaultPolicy, 3600, nil},
		{DefaultPolicy, 59, []string{"ttl_seconds is 59", "60 to 3600"}},
		{DefaultPolicy, 3601, []string{"ttl_seconds is 3601", "60 to 3600"}},
		{DefaultPolicy, Forever, []string{"without end", "60 to 3600"}},
		{DefaultPolicy, -2, []string{"ttl_seconds is -2"}},
		{DefaultPolicy, 0, []string{"ttl_seconds is 0"}},
		{long, 59, []string{"is 59", "60 seconds or more"}},
		{long, 1 << 30, nil},
		{long, 1 << 60, []string{"ttl_seconds is"}},
		{long, Forever, nil},
	} {
		t.Run(fmt.Sprint(tt.policy.MaxTTLSeconds, "/", tt.seconds), func(t *testing.T) {
			wantInvalid(t, tt.policy.CheckTTL(tt.seconds), tt.says...)
		})
	}
}

func TestWithDefaults(t *testing.T) {
	filled := CreateRequest{Environment: "host", VCPUCount: 1, MemMiB: 1024, DiskMiB: 10240, TTLSeconds: 600, NetworkPolicy: "off"}
	empty := CreateRequest{Environment: "host"}
	if diff := cmp.Diff(filled, empty.WithDefaults(DefaultPolicy)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if empty.VCPUCount != 0 {
		t.Error("the receiver was changed")
	}
	chosen := CreateRequest{
		Environment: "host", VCPUCount: 2, MemMiB: 300, DiskMiB: 65, TTLSeconds: 61, NetworkPolicy: NetworkEgress,
		AllowHostCompat: true, Name: "n", Labels: map[string]string{"k": "v"},
	}
	if diff := cmp.Diff(chosen, chosen.WithDefaults(DefaultPolicy)); diff != "" {
		t.Errorf("a chosen value was replaced (-want +got):\n%s", diff)
	}
}
