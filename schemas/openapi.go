package schemas

import _ "embed" // for go:embed below

// OpenAPI is the description of the HTTP API, OpenAPI 3.1, as it is served at /openapi.yaml.
//
//go:embed openapi.yaml
var OpenAPI []byte
