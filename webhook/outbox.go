package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// OutboxRow is an event as a producer's transaction wrote it into the outbox, unchecked.
type OutboxRow struct {
	Key      EventKey `db:"event_key"`
	TenantID string   `db:"tenant_id"`
	// EventID is the id that the producer chose; nil: the event gets the Key's text.
	EventID *string `db:"event_id"`
	Type    string  `db:"event_type"`
	// Data and Attributes are JSON text as written; nil: not given.
	Data       json.RawMessage `db:"-"`
	Attributes json.RawMessage `db:"-"`
	// OccurredAt is when the event happened; nil: CreatedAt counts.
	OccurredAt *time.Time `db:"occurred_at"`
	// CreatedAt is when the producer's transaction began.
	CreatedAt time.Time `db:"created_at"`
	// Trace is the traceparent that the producer's transaction set, unchecked; nil: none.
	Trace *string `db:"traceparent"`
}

// Publication checks the row as the API checks a request, and makes its publication. own is as in Event.Validate. now is the time of
// ingestion. The
// error is CodeInvalid, CodeUnknownEventType or CodeSchemaViolation.
func (r *OutboxRow) Publication(t *Tenant, d *Dialect, own *OwnType, s Schemas, now time.Time) (*Publication, error) {
	e := &Event{Key: r.Key, TenantID: r.TenantID, ID: r.Key.String(), Type: r.Type, OccurredAt: r.CreatedAt.UTC(), Data: r.Data}
	if r.EventID != nil {
		e.ID = *r.EventID
	}
	if r.OccurredAt != nil {
		e.OccurredAt = r.OccurredAt.UTC()
	}
	var found problems
	if len(r.Data) > 0 && !json.Valid(r.Data) {
		found.addf("data", "is not JSON, or is nested too deep") // Postgres accepts some JSON that Go does not
	}
	var err error
	if e.Attributes, err = readAttributes(r.Attributes); err != nil {
		found.addf("attributes", "%s", err)
	}
	if err := found.err("event"); err != nil {
		return nil, err
	}
	p, err := NewPublication(e, t, d, own, s, r.OccurredAt, now)
	if err != nil {
		return nil, err
	}
	// A generated id may be used already, because the producer knows it before the event is stored.
	p.CallerID = true
	if r.Trace != nil {
		p.Traceparent = ParseTraceparent(*r.Trace)
	}
	return p, nil
}

// readAttributes reads a JSON object of strings. null is the same as left out.
func readAttributes(text json.RawMessage) (map[string]string, error) {
	text = bytes.TrimSpace(text)
	if len(text) == 0 || string(text) == "null" {
		return nil, nil
	}
	if text[0] != '{' {
		return nil, errors.New("is not an object")
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	out := map[string]string{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, err
		}
		value, err := dec.Token()
		if err != nil {
			return nil, err
		}
		if err := addAttribute(out, name.(string), value); err != nil { // an object's names are strings
			return nil, err
		}
	}
	return out, nil
}

func addAttribute(to map[string]string, name string, value json.Token) error {
	text, isText := value.(string)
	_, twice := to[name]
	switch {
	case value == nil:
		return nil
	case !isText:
		return errors.New("has a member that is not text")
	case twice:
		return errors.New("has a member that is given twice")
	case strings.ContainsRune(name+text, 0):
		return errors.New("has a NUL character")
	}
	to[name] = text
	return nil
}
