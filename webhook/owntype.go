package webhook

import (
	"crypto/sha256"
	"encoding/json"
	"time"
)

// Limits of the event types that tenants add.
const (
	// MaxOwnTypes is how many a tenant may have.
	MaxOwnTypes = 1000
	// MaxExampleBytes bounds the data of an example.
	MaxExampleBytes = 64 << 10
)

// OwnType is an event type of a tenant's own catalogue, on top of its dialect's.
type OwnType struct {
	Type        string `db:"type"`
	Description string `db:"description"`
	// Schema is the JSON Schema (2020-12) of data; nil: data may be any JSON.
	Schema json.RawMessage `db:"-"`
	// SchemaSum is the SHA-256 of Schema.
	SchemaSum [sha256.Size]byte `db:"-"`
	// Example is an event as a producer would publish it; nil: none.
	Example *Example `db:"-"`
	// Deprecated types are published as any other; people are told not to use them for what is new.
	Deprecated bool      `db:"deprecated"`
	CreatedAt  time.Time `db:"created_at"`
	UpdatedAt  time.Time `db:"updated_at"`
}

// SetSchema sets Schema and SchemaSum.
func (o *OwnType) SetSchema(schema json.RawMessage) {
	o.Schema, o.SchemaSum = schema, sha256.Sum256(schema)
}

// Validate checks a type that a tenant adds, its schema and that its example is an event which could be published. The error is
// CodeConflict for a type of the dialect, otherwise CodeInvalid; it lists the wrong fields.
func (o *OwnType) Validate(t *Tenant, d *Dialect, s Schemas) error {
	var found problems
	if !IsEventType(o.Type) {
		found.addf("type", `is a dot-separated name such as "order.confirmed", of at most %d bytes, not %q`, MaxTypeBytes, o.Type)
		return found.err("event type")
	}
	if _, taken := d.EventType(o.Type); taken {
		return Errorf(CodeConflict, "%q is an event type of the dialect %s, which cannot be changed", o.Type, d.Name)
	}
	if t.gets(o.Type) {
		return Errorf(CodeConflict, "%q is an operational event, which cannot be changed", o.Type)
	}
	if !d.carries(o.Type) {
		found.addf("type", "%q is in no group that the envelope of the dialect %s has a place for", o.Type, d.Name)
	}
	if o.Description == "" || len(o.Description) > maxDescription || !isLines(o.Description) {
		found.addf("description", "is 1 to %d bytes long, without control characters other than line feeds and tabs", maxDescription)
	}
	if err := found.err("event type"); err != nil {
		return err
	}
	if o.Schema != nil {
		if err := s.CheckSchema(o.Schema); err != nil {
			return err
		}
	}
	return o.validateExample(t, d, s)
}

// validateExample checks the example as the publication that a test makes of it.
func (o *OwnType) validateExample(t *Tenant, d *Dialect, s Schemas) error {
	if o.Example == nil {
		return nil
	}
	var found problems
	if len(o.Example.Data) == 0 {
		found.addf("example.data", "is required")
	} else if len(o.Example.Data) > MaxExampleBytes {
		found.addf("example.data", "is %d bytes long; at most %d fit", len(o.Example.Data), MaxExampleBytes)
	}
	if err := found.err("event type"); err != nil {
		return err
	}
	e := Event{ID: IDFromIdempotencyKey(""), Type: o.Type, OccurredAt: time.Unix(0, 0), Attributes: o.Example.Attributes, Data: o.Example.Data}
	err := e.Validate(t, d, o)
	if err == nil {
		err = s.ValidateOwn(o, o.Example.Data)
	}
	return belowExample(err)
}

// belowExample returns an error about an event as one about the example of an event type.
func belowExample(err error) error {
	e, ok := err.(*Error) //nolint:errorlint // made a moment ago, by this package or by Schemas
	if !ok || len(e.Fields) == 0 {
		return err
	}
	fields := make([]FieldError, len(e.Fields))
	for i, f := range e.Fields {
		fields[i] = FieldError{Field: "example." + f.Field, Detail: f.Detail}
	}
	return NewInvalid("event type", fields...)
}
