// Package schemas holds the shapes that cross a boundary, embedded: SQL migrations, dialects, the JSON Schema of a
// dialect and the OpenAPI description. It also checks JSON against a JSON Schema and says what is wrong in plain words.
package schemas
