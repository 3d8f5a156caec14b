package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"waybill/schemas"
	"waybill/webhook"
)

// catalogue holds the dialects, the operational events, and the JSON Schemas of all their event types.
type catalogue struct {
	dialects    map[string]*webhook.Dialect
	operational []webhook.EventType
	schemas     map[typeOf]*schemas.Schema
	own         *schemas.Own
}

// typeOf names an event type of a dialect.
type typeOf struct{ dialect, eventType string }

// loadCatalogue reads the dialects that come with Waybill and then those of dir, "" for none: a file there adds a
// dialect or replaces the one of the same name. Every error names file and field.
func loadCatalogue(dir string) (*catalogue, error) {
	c := &catalogue{dialects: map[string]*webhook.Dialect{}, schemas: map[typeOf]*schemas.Schema{}, own: schemas.NewOwn()}
	if err := c.load(schemas.Dialects(), "dialects"); err != nil {
		return nil, err
	}
	if err := c.loadOperational(); err != nil {
		return nil, err
	}
	if dir == "" {
		return c, nil
	}
	if err := c.load(os.DirFS(dir), dir); err != nil {
		return nil, fmt.Errorf("WAYBILL_DIALECTS_DIR: %w", err)
	}
	return c, nil
}

func (c *catalogue) load(files fs.FS, where string) error {
	names, err := fs.Glob(files, "*.json")
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return fmt.Errorf("%s has no *.json file", where)
	}
	var errs []error
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err == nil {
			err = c.add(path.Join(where, name), data)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (c *catalogue) add(file string, data []byte) error {
	if err := schemas.CheckDialect(file, data); err != nil {
		return err
	}
	d, err := webhook.ParseDialect(data)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if base := strings.TrimSuffix(path.Base(file), ".json"); d.Name != base {
		return fmt.Errorf("%s: name: is %q; a dialect has the name of its file, %q", file, d.Name, base)
	}
	c.dialects[d.Name] = d
	return c.compile(file, d.Name, d.EventTypes)
}

// compile reads the schemas of event types and checks their examples.
func (c *catalogue) compile(file, dialect string, types []webhook.EventType) error {
	for _, t := range types {
		s, err := schemas.Compile(dialect+"/"+t.Type, t.Schema)
		if err != nil {
			return fmt.Errorf("%s: event_types: schema of %s: %w", file, t.Type, err)
		}
		if wrong := s.Check(t.Example.Data); len(wrong) > 0 {
			return fmt.Errorf("%s: event_types: the example of %s breaks its schema: %s %s", file, t.Type, wrong[0].Path, wrong[0].Detail)
		}
		c.schemas[typeOf{dialect, t.Type}] = s
	}
	return nil
}

func (c *catalogue) loadOperational() error {
	const file = "operational.json"
	if err := json.Unmarshal(schemas.Operational, &c.operational); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for i := range c.operational {
		example := &c.operational[i].Example
		var compact bytes.Buffer // as in a body on the wire
		if err := json.Compact(&compact, example.Data); err != nil {
			return fmt.Errorf("%s: example of %s: %w", file, c.operational[i].Type, err)
		}
		example.Data = compact.Bytes()
	}
	return c.compile(file, webhook.Operational, c.operational)
}

// Validate checks data against the schema of its event type; dialect may be webhook.Operational. CodeSchemaViolation names every field; a type without a schema
// accepts anything.
func (c *catalogue) Validate(dialect, eventType string, data []byte) error {
	s, ok := c.schemas[typeOf{dialect, eventType}]
	if !ok {
		return nil
	}
	return broken(eventType, s.Check(data))
}

// ValidateOwn is Validate for a tenant's own type.
func (c *catalogue) ValidateOwn(own *webhook.OwnType, data []byte) error {
	if own.Schema == nil {
		return nil
	}
	return broken(own.Type, c.own.Check(own.SchemaSum, own.Schema, data))
}

// CheckSchema checks a schema that a tenant wrote.
func (c *catalogue) CheckSchema(schema []byte) error {
	_, wrong := schemas.CompileOwn(schema)
	if len(wrong) == 0 {
		return nil
	}
	return webhook.NewInvalid("event type", fieldsOf(wrong)...)
}

// broken returns the error for data that breaks its schema; nil when nothing is wrong.
func broken(eventType string, wrong []schemas.Violation) error {
	if len(wrong) == 0 {
		return nil
	}
	err := webhook.Errorf(webhook.CodeSchemaViolation, "data of %s breaks its schema: %s %s", eventType, wrong[0].Path, wrong[0].Detail)
	err.Fields = fieldsOf(wrong)
	return err
}

func fieldsOf(wrong []schemas.Violation) []webhook.FieldError {
	fields := make([]webhook.FieldError, len(wrong))
	for i, w := range wrong {
		fields[i] = webhook.FieldError{Field: w.Path, Detail: w.Detail}
	}
	return fields
}
