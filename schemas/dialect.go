package schemas

import (
	_ "embed" // for go:embed below
	"fmt"
	"strings"
	"sync"
)

// DialectSchema is the JSON Schema (2020-12) of a dialect file.
//
//go:embed dialect.schema.json
var DialectSchema []byte

var dialectSchema = sync.OnceValues(func() (*Schema, error) { return Compile("dialect", DialectSchema) })

// CheckDialect checks a dialect file against DialectSchema. The error names file, "dialects/rheo.json", and every wrong
// field, such as "retry.schedule[2]". webhook.ParseDialect checks what a schema cannot express.
func CheckDialect(file string, data []byte) error {
	s, err := dialectSchema()
	if err != nil {
		return err
	}
	found, err := s.find(data)
	if err != nil {
		return fmt.Errorf("%s: is not JSON: %w", file, err)
	}
	if len(found) == 0 {
		return nil
	}
	texts := make([]string, len(found))
	for i, f := range found {
		texts[i] = fieldName(f.at) + ": " + f.detail
	}
	return fmt.Errorf("%s: %s", file, strings.Join(texts, "; "))
}

// fieldName writes a location as dialect authors know it: members with dots, items in brackets.
func fieldName(at []string) string {
	var b strings.Builder
	for _, step := range at {
		switch {
		case strings.Trim(step, "0123456789") == "" && step != "":
			b.WriteString("[" + step + "]")
		case b.Len() > 0:
			b.WriteString("." + step)
		default:
			b.WriteString(step)
		}
	}
	if b.Len() == 0 {
		return "the file"
	}
	return b.String()
}
