package httpapi

import "github.com/google/jsonschema-go/jsonschema"

// What follows is as much of the OpenAPI Specification 3.1.1 as the description uses, in the
// order in which it is printed.

type oaDocument struct {
	OpenAPI    string                             `json:"openapi"`
	Info       oaInfo                             `json:"info"`
	Servers    []oaServer                         `json:"servers"`
	Security   []map[string][]string              `json:"security"`
	Tags       []oaTag                            `json:"tags"`
	Paths      map[string]map[string]*oaOperation `json:"paths"`
	Components oaComponents                       `json:"components"`
}

type oaInfo struct {
	Title       string `json:"title"`
	Summary     string `json:"summary"`
	Description string `json:"description"`
	Version     string `json:"version"`
	License     struct {
		Name       string `json:"name"`
		Identifier string `json:"identifier"`
	} `json:"license"`
}

type oaServer struct {
	URL         string                      `json:"url"`
	Description string                      `json:"description"`
	Variables   map[string]oaServerVariable `json:"variables,omitempty"`
}

type oaServerVariable struct {
	Default     string `json:"default"`
	Description string `json:"description"`
}

type oaTag struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

type oaOperation struct {
	OperationID string                 `json:"operationId"`
	Tags        []string               `json:"tags"`
	Summary     string                 `json:"summary"`
	Description string                 `json:"description,omitempty"`
	Parameters  []oaParameter          `json:"parameters,omitempty"`
	RequestBody *oaBody                `json:"requestBody,omitempty"`
	Responses   map[string]*oaResponse `json:"responses"`
	Frames      *oaFrames              `json:"x-pyro-frames,omitempty"`
}

type oaParameter struct {
	Name        string             `json:"name"`
	In          string             `json:"in"`
	Description string             `json:"description"`
	Required    bool               `json:"required,omitempty"`
	Schema      *jsonschema.Schema `json:"schema"`
	Example     any                `json:"example,omitempty"`
}

type oaBody struct {
	Description string             `json:"description,omitempty"`
	Required    bool               `json:"required"`
	Content     map[string]oaMedia `json:"content"`
}

type oaMedia struct {
	Schema   *jsonschema.Schema    `json:"schema,omitempty"`
	Examples map[string]oaExample  `json:"examples,omitempty"`
	Encoding map[string]oaEncoding `json:"encoding,omitempty"`
}

type oaExample struct {
	Summary string `json:"summary"`
	Value   any    `json:"value"`
}

type oaEncoding struct {
	ContentType string `json:"contentType"`
}

// oaResponse is a response, or the reference to one.
type oaResponse struct {
	Ref         string              `json:"$ref,omitempty"`
	Description string              `json:"description,omitempty"`
	Headers     map[string]oaHeader `json:"headers,omitempty"`
	Content     map[string]oaMedia  `json:"content,omitempty"`
	Links       map[string]oaLink   `json:"links,omitempty"`
}

type oaHeader struct {
	Description string             `json:"description"`
	Required    bool               `json:"required,omitempty"`
	Schema      *jsonschema.Schema `json:"schema"`
}

type oaLink struct {
	OperationID string            `json:"operationId"`
	Parameters  map[string]string `json:"parameters"`
	Description string            `json:"description"`
}

type oaComponents struct {
	Schemas         map[string]*jsonschema.Schema `json:"schemas"`
	Responses       map[string]*oaResponse        `json:"responses"`
	SecuritySchemes map[string]oaSecurity         `json:"securitySchemes"`
}

type oaSecurity struct {
	Type        string `json:"type"`
	Scheme      string `json:"scheme"`
	Description string `json:"description"`
}
