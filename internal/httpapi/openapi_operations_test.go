package httpapi

import (
	"cmp"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/pyro-sandbox/pyro/api"
)

const typeJSON = "application/json"

// operations makes the paths of the document out of routes.
type operations struct {
	schemas *schemas
	words   *words // of this package
}

func (o *operations) paths(routes []route) map[string]map[string]*oaOperation {
	paths := make(map[string]map[string]*oaOperation)
	for _, r := range routes {
		if paths[r.path] == nil {
			paths[r.path] = make(map[string]*oaOperation)
		}
		paths[r.path][strings.ToLower(r.method)] = o.operation(r)
	}
	return paths
}

func (o *operations) operation(r route) *oaOperation {
	op := &oaOperation{
		OperationID: r.id, Tags: []string{r.tag}, Summary: r.summary, Description: strings.TrimSpace(about[r.id] + " " + framesAbout(r)),
		Parameters: append(pathParameters(r), o.queryParameters(r)...), RequestBody: o.body(r), Responses: o.failures(r),
	}
	if r.frames {
		op.Responses["101"] = &oaResponse{Description: "From here on both sides speak " + api.Frames + "."}
		op.Frames = o.frames(r)
	}
	if r.answer != nil {
		t := reflect.TypeOf(r.answer)
		op.Responses["200"] = &oaResponse{
			Description: cmp.Or(o.schemas.words.about(t), "It is done."),
			Content:     map[string]oaMedia{typeJSON: {Schema: o.schemas.ref(t, answered), Examples: examples(answerExamples[r.id])}},
			Links:       links[r.id],
		}
	}
	for code, response := range opened[r.id] {
		op.Responses[code] = response
	}
	return op
}

var wildcard = regexp.MustCompile(`\{([a-z]+)\}`)

// pathParameters are those between braces. How one is called says what it may be.
func pathParameters(r route) []oaParameter {
	forms := map[string]struct{ pattern, about, example string }{
		"id":       {idPattern, "The workspace.", "3f9c2a7b10de"},
		"shell":    {idPattern, "The shell.", "90ab12cd34ef"},
		"service":  {keyPattern, "The name of the service.", "web"},
		"secret":   {wordPattern, "The name of the secret.", "API_TOKEN"},
		"snapshot": {keyPattern, "The name of the snapshot.", "before-migration"},
	}
	var list []oaParameter
	for _, found := range wildcard.FindAllStringSubmatch(r.path, -1) {
		form := forms[found[1]]
		if r.tag == tagVM {
			form.about = "The VM."
		}
		list = append(list, oaParameter{
			Name: found[1], In: "path", Description: form.about, Required: true, Example: form.example,
			Schema: &jsonschema.Schema{Type: "string", Pattern: form.pattern},
		})
	}
	return list
}

func (o *operations) queryParameters(r route) []oaParameter {
	var list []oaParameter
	for _, p := range parametersOf(r.query) {
		text := o.words.fields[reflect.TypeOf(r.query).Name()][p.field]
		list = append(list, oaParameter{
			Name: p.name, In: "query", Description: text, Required: p.required, Schema: schemaOf(p),
		})
	}
	return list
}

func schemaOf(p parameter) *jsonschema.Schema {
	s := &jsonschema.Schema{Minimum: p.min, Maximum: p.max}
	switch p.kind {
	case reflect.Bool:
		s.Type = "boolean"
	case reflect.Int:
		s.Type, s.Format = "integer", "int64"
	case reflect.Float64:
		s.Type = "number"
	default:
		s.Type = "string"
	}
	if p.path {
		s.MaxLength = jsonschema.Ptr(api.MaxGuestPath)
	}
	if p.path && p.required {
		s.MinLength = jsonschema.Ptr(1)
	}
	if p.maxLen > 0 {
		s.MaxLength = &p.maxLen
	}
	for _, value := range p.enum {
		s.Enum = append(s.Enum, value)
	}
	if p.pattern != nil {
		s.Pattern = p.pattern.String()
	}
	if p.standard != "" {
		s.Default = []byte(p.standard)
		if s.Type == "string" {
			s.Default = []byte(strconv.Quote(p.standard))
		}
	}
	if p.list {
		s.Minimum, s.Maximum = nil, nil
		return &jsonschema.Schema{Type: "array", Items: s, MaxItems: jsonschema.Ptr(int(*p.max))}
	}
	return s
}

func (o *operations) body(r route) *oaBody {
	if r.body == nil && r.stream == "" {
		return opaque[r.id]
	}
	body := &oaBody{Required: true, Content: make(map[string]oaMedia)}
	if r.body != nil {
		t := reflect.TypeOf(r.body)
		body.Description = o.schemas.words.about(t)
		body.Content[typeJSON] = oaMedia{Schema: o.schemas.ref(t, asked), Examples: examples(requestExamples[r.id])}
	}
	switch r.stream {
	case "":
	case typeMultipart:
		body.Content[typeMultipart] = o.multipart(r)
	default:
		body.Description = streamAbout[r.id]
		body.Required = r.id != "writeFile" // whose file may be empty
		body.Content[r.stream] = oaMedia{Schema: &jsonschema.Schema{Format: "binary"}}
	}
	return body
}

// multipart is a request with a tree behind it.
func (o *operations) multipart(r route) oaMedia {
	return oaMedia{
		Schema: &jsonschema.Schema{
			Type: "object", Required: []string{"request", "seed"},
			Properties: map[string]*jsonschema.Schema{
				"request": o.schemas.ref(reflect.TypeOf(r.body), asked),
				"seed":    {Description: "What is put into /workspace: a tar archive, plain or compressed with gzip, bzip2, xz or zstd, of any size. It is unpacked while it comes."},
				"skipped": {Type: "integer", Minimum: jsonschema.Ptr(0.0), Description: "How many special files the client left out of the archive, which the answer is to tell."},
			},
			PropertyOrder: []string{"request", "seed", "skipped"},
		},
		Encoding: map[string]oaEncoding{"request": {typeJSON}, "seed": {typeTar}, "skipped": {"text/plain"}},
	}
}

// failures are the statuses of errors that an operation can have.
func (o *operations) failures(r route) map[string]*oaResponse {
	codes := []int{
		http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests,
		http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusServiceUnavailable,
	}
	if r.body != nil || r.stream != "" {
		codes = append(codes, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	if r.id != "hello" && !r.open {
		codes = append(codes, http.StatusNotFound, http.StatusConflict, http.StatusNotImplemented, http.StatusGatewayTimeout)
	}
	if strings.Contains(r.path, "{id}") {
		codes = append(codes, http.StatusGone, http.StatusBadGateway)
	}
	if r.frames {
		codes = append(codes, http.StatusUpgradeRequired)
	}
	failed := make(map[string]*oaResponse)
	if r.query != nil {
		failed["431"] = &oaResponse{Ref: "#/components/responses/HeadersTooLarge"}
	}
	for _, code := range codes {
		failed[strconv.Itoa(code)] = &oaResponse{Ref: "#/components/responses/" + errorAnswers[code].name}
	}
	return failed
}

// errorAnswer is a status that says that something failed.
type errorAnswer struct{ name, kind, about string }

var errorAnswers = map[int]errorAnswer{
	http.StatusBadRequest:            {"Invalid", "invalid", "An argument is outside its limits; the same call will fail again."},
	http.StatusUnauthorized:          {"Unauthorized", "denied", "There is no token, or a wrong one."},
	http.StatusForbidden:             {"Denied", "denied", "Policy or permissions refuse it."},
	http.StatusNotFound:              {"NotFound", "not_found", "There is no such workspace, file or environment."},
	http.StatusRequestTimeout:        {"Slow", "timeout", "The request did not come in time."},
	http.StatusConflict:              {"Conflict", "conflict", "The name is taken (kind exists), or the thing is in another state, or busy (kind conflict)."},
	http.StatusGone:                  {"Gone", "expired", "The workspace reached the end of its time."},
	http.StatusRequestEntityTooLarge: {"TooLarge", "invalid", "The body is longer than the server takes."},
	http.StatusUnsupportedMediaType:  {"UnsupportedMediaType", "invalid", "The body is of another content type than those that are described."},
	http.StatusUpgradeRequired:       {"UpgradeRequired", "invalid", "The answer comes as frames, and the request does not ask for that."},
	http.StatusTooManyRequests:       {"TooManyRequests", "unavailable", "There are more requests than the server takes at once."},
	http.StatusInternalServerError:   {"Internal", "internal", "A fault of pyro itself."},
	http.StatusNotImplemented:        {"Unsupported", "unsupported", "This machine, engine or version cannot do it."},
	http.StatusBadGateway:            {"BadGateway", "unavailable", "What runs the workspace went away before it had answered."},
	http.StatusServiceUnavailable:    {"Unavailable", "unavailable", "The other side is gone, does not answer, or there is no room."},
	http.StatusGatewayTimeout:        {"Timeout", "timeout", "It took longer than was allowed."},
}

func (o *operations) responses() map[string]*oaResponse {
	made := map[string]*oaResponse{"HeadersTooLarge": {
		Description: "Address and headers of the request are longer than 64 KiB. It is told in plain text: nothing of the request was read.",
		Content:     map[string]oaMedia{"text/plain": {Schema: &jsonschema.Schema{Type: "string"}}},
	}}
	for code, e := range errorAnswers {
		response := &oaResponse{
			Description: fmt.Sprintf("%s Its kind is %s.", e.about, e.kind),
			Content:     map[string]oaMedia{typeJSON: {Schema: o.schemas.ref(reflect.TypeFor[api.ErrorReply](), answered)}},
		}
		text := &jsonschema.Schema{Type: "string"}
		switch code {
		case http.StatusUnauthorized:
			response.Headers = map[string]oaHeader{"WWW-Authenticate": {"Bearer", true, text}}
		case http.StatusTooManyRequests:
			response.Headers = map[string]oaHeader{"Retry-After": {"Seconds until it is worth another try.", true, &jsonschema.Schema{Type: "integer"}}}
		case http.StatusUpgradeRequired:
			response.Headers = map[string]oaHeader{"Upgrade": {"The protocol to ask for.", true, text}}
		}
		made[e.name] = response
	}
	return made
}
