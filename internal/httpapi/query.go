package httpapi

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pyro-sandbox/pyro/api"
)

// parameter is one parameter of a query, as the tags of a field have it: query is its name,
// limits says what holds of it:
//
//	limits:"required,path,maxlen=100,pattern=^[a-z]*$"
//	limits:"default=30,min=1,max=3600"
//	limits:"enum=json|patch"
type parameter struct {
	name     string
	field    string       // of the struct that it comes from
	kind     reflect.Kind // Bool, Int, Float64 or String
	list     bool         // it may be given more than once
	required bool
	path     bool // it names something in a workspace
	standard string
	min, max *float64 // of a number, or how often a list may be given
	maxLen   int      // of a text, in bytes; 0: any
	enum     []string
	pattern  *regexp.Regexp
}

// parametersOf reads the tags of a struct; nil has none. A fault in a tag is one of the
// program and panics.
func parametersOf(query any) []parameter {
	if query == nil {
		return nil
	}
	var list []parameter
	for _, f := range reflect.VisibleFields(reflect.TypeOf(query)) {
		list = append(list, parameterOf(f))
	}
	return list
}

func parameterOf(f reflect.StructField) parameter {
	p := parameter{name: f.Tag.Get("query"), field: f.Name}
	t := f.Type
	if p.list = t.Kind() == reflect.Slice; p.list || t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if p.kind = t.Kind(); p.kind == reflect.Int64 {
		p.kind = reflect.Int
	}
	if !slices.Contains([]reflect.Kind{reflect.Bool, reflect.Int, reflect.Float64, reflect.String}, p.kind) || p.name == "" {
		panic(fmt.Sprintf("field %s is no parameter of a query", f.Name))
	}
	if tag := f.Tag.Get("limits"); tag != "" {
		for part := range strings.SplitSeq(tag, ",") {
			key, value, _ := strings.Cut(part, "=")
			p.limit(key, value)
		}
	}
	return p
}

func (p *parameter) limit(key, value string) {
	number := func() *float64 {
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			panic(fmt.Sprintf("limit %s=%s: %v", key, value, err))
		}
		return &n
	}
	switch key {
	case "required":
		p.required = true
	case "path":
		p.path = true
	case "default":
		p.standard = value
	case "min":
		p.min = number()
	case "max":
		p.max = number()
	case "maxlen":
		p.maxLen = int(*number())
	case "enum":
		p.enum = strings.Split(value, "|")
	case "pattern":
		p.pattern = regexp.MustCompile(value)
	default:
		panic(fmt.Sprintf("no limit %q", key))
	}
}

// checkQuery returns an Invalid error for a query that a route does not take: one with a
// parameter that is not known, missing, given twice, or outside its limits.
func checkQuery(known []parameter, r *http.Request) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return badQuery("query: %w", err)
	}
	for name := range query {
		if !slices.ContainsFunc(known, func(p parameter) bool { return p.name == name }) {
			return badQuery("query parameter %q is not known here", clip(name))
		}
	}
	for _, p := range known {
		values := query[p.name]
		switch {
		case len(values) == 0 && p.required:
			return badQuery("query parameter %s is missing", p.name)
		case len(values) > 1 && !p.list:
			return badQuery("query parameter %s is given twice", p.name)
		case p.list && p.max != nil && float64(len(values)) > *p.max:
			return badQuery("query parameter %s is given %d times, allowed are %.0f", p.name, len(values), *p.max)
		}
		for _, value := range values {
			if err := p.check(value); err != nil {
				return err
			}
		}
	}
	return nil
}

func badQuery(format string, args ...any) error {
	return &api.Error{Kind: api.Invalid, Hint: "GET /v1/openapi.json describes every route", Err: fmt.Errorf(format, args...)}
}

// check refuses a value that the parameter cannot have.
func (p *parameter) check(value string) error {
	var n float64
	switch p.kind {
	case reflect.Bool:
		if value != "true" && value != "false" {
			return badQuery("query parameter %s is %q, allowed are true and false", p.name, clip(value))
		}
		return nil
	case reflect.String:
		return p.checkText(value)
	case reflect.Int:
		whole, err := strconv.ParseInt(value, 10, 64)
		if err != nil || value[0] == '+' {
			return badQuery("query parameter %s is %q, which is no whole number", p.name, clip(value))
		}
		n = float64(whole)
	default:
		var err error
		if n, err = strconv.ParseFloat(value, 64); err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			return badQuery("query parameter %s is %q, which is no number", p.name, clip(value))
		}
	}
	switch {
	case p.list:
	case p.min != nil && n < *p.min:
		return badQuery("query parameter %s is %s, it must be at least %.0f", p.name, clip(value), *p.min)
	case p.max != nil && n > *p.max:
		return badQuery("query parameter %s is %s, it must be at most %.0f", p.name, clip(value), *p.max)
	}
	return nil
}

func (p *parameter) checkText(value string) error {
	switch {
	case !utf8.ValidString(value):
		return badQuery("query parameter %s is not UTF-8", p.name)
	case p.maxLen > 0 && len(value) > p.maxLen:
		return badQuery("query parameter %s has %d bytes, allowed are %d", p.name, len(value), p.maxLen)
	case p.enum != nil && !slices.Contains(p.enum, value):
		return badQuery("query parameter %s is %q, allowed are %s", p.name, clip(value), strings.Join(p.enum, ", "))
	case p.pattern != nil && !p.pattern.MatchString(value):
		return badQuery("query parameter %s is %q, which does not match %s", p.name, clip(value), p.pattern)
	}
	return nil
}
