package httpapi

import (
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
)

// TestQueryIsChecked asks of queries what the handlers behind them would let pass.
func TestQueryIsChecked(t *testing.T) {
	for _, tc := range []struct {
		of      any
		query   string
		refused bool
	}{
		{nil, "", false},
		{nil, "x=1", true},
		{logsQuery{}, "last=0&all=true", false},
		{logsQuery{}, "last=-1", true},
		{logsQuery{}, "last=", true},
		{logsQuery{}, "last=+1", true},
		{logsQuery{}, "last=%2B1", true},
		{logsQuery{}, "last=1.0", true},
		{logsQuery{}, "last=9223372036854775808", true},
		{logsQuery{}, "all=yes", true},
		{logsQuery{}, "all=", true},
		{logsQuery{}, "all=true&all=true", true},
		{logsQuery{}, "last=%zz", true},
		{logsQuery{}, "last=1;all=true", true},
		{pathQuery{}, "", true},
		{pathQuery{}, "path=a%2Fb", false},
		{pathQuery{}, "path=%ff", true},
		{fileListQuery{}, "limit=100000", false},
		{fileListQuery{}, "limit=100001", true},
		{fileWriteQuery{}, "path=a&mode=0644", false},
		{fileWriteQuery{}, "path=a&mode=1777", true},
		{fileWriteQuery{}, "path=a&mode=8", true},
		{syncQuery{}, "packed_at=1767225600.25&mode=directory", false},
		{syncQuery{}, "packed_at=NaN", true},
		{syncQuery{}, "packed_at=Inf", true},
		{syncQuery{}, "mode=directory", true},
		{syncQuery{}, "packed_at=1&mode=other", true},
		{diffQuery{}, "path=a&path=b&format=patch&no_patch=false&against=", false},
		{diffQuery{}, "format=html", true},
		{doctorQuery{}, "environment=host", false},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.RawQuery = tc.query
		err := checkQuery(parametersOf(tc.of), r)
		if (err != nil) != tc.refused || err != nil && !errors.Is(err, api.Invalid) {
			t.Errorf("%T %q: %v", tc.of, tc.query, err)
		}
	}
}

// TestQueriesOfAllRoutesHaveGoodTags reads the tags of all, which panics where one is bad.
func TestQueriesOfAllRoutesHaveGoodTags(t *testing.T) {
	for _, r := range routes() {
		names := make(map[string]bool)
		for _, p := range parametersOf(r.query) {
			if names[p.name] || p.required && p.standard != "" {
				t.Errorf("%s: %s", r.id, p.name)
			}
			names[p.name] = true
		}
	}
}
