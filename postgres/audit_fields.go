package postgres

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"waybill/webhook"
)

const (
	// maxAuditBytes bounds each side of an audit entry, and maxAuditField what is shown of a field where the whole is larger.
	maxAuditBytes = 32 << 10
	maxAuditField = 1 << 10
)

// auditFields are the fields of what an audit entry is about, by the names that the API has for them. They are taken before the
// change, because a change may write into what it is given.
type auditFields map[string]auditField

// auditField is one value: what is shown of it, and what tells it from another.
type auditField struct{ shown, is json.RawMessage }

// add adds a field that is shown as it is.
func (f auditFields) add(name string, value any) {
	text := mustJSON(value)
	f[name] = auditField{text, text}
}

// addHidden adds a field of which only a part may be shown. The whole value only tells that it has changed.
func (f auditFields) addHidden(name string, shown, value any) {
	sum := sha256.Sum256(mustJSON(value))
	f[name] = auditField{mustJSON(shown), sum[:]}
}

// all returns the fields that have a value, as a creation or a deletion shows them.
func (f auditFields) all() map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	for name, field := range f {
		if !isEmptyJSON(field.shown) {
			out[name] = field.shown
		}
	}
	return out
}

// changedTo returns the fields that differ, as they were and as they are. A field that one side has not is null there.
func (f auditFields) changedTo(to auditFields) (before, after map[string]json.RawMessage) {
	before, after = map[string]json.RawMessage{}, map[string]json.RawMessage{}
	names := maps.Clone(f)
	maps.Copy(names, to)
	for name := range names {
		from, to := f[name], to[name]
		if bytes.Equal(from.is, to.is) || isEmptyJSON(from.shown) && isEmptyJSON(to.shown) {
			continue
		}
		before[name], after[name] = orNullJSON(from.shown), orNullJSON(to.shown)
	}
	return before, after
}

func isEmptyJSON(text json.RawMessage) bool {
	switch string(text) {
	case "", "null", `""`, "false", "0", "[]", "{}":
		return true
	}
	return false
}

func orNullJSON(text json.RawMessage) json.RawMessage {
	if text == nil {
		return json.RawMessage("null")
	}
	return text
}

// auditJSON returns one side of an entry. Of fields that are too large together, the large ones are replaced by their sizes.
func auditJSON(fields any) json.RawMessage {
	if fields == nil {
		return nil
	}
	text := mustJSON(fields)
	if len(text) <= maxAuditBytes {
		return text
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(text, &members) == nil {
		for name, value := range members {
			if len(value) > maxAuditField {
				members[name] = mustJSON(sizeText(value))
			}
		}
		if short := mustJSON(members); len(short) <= maxAuditBytes {
			return short
		}
	}
	return mustJSON(map[string]string{"too_large": sizeText(text)})
}

func sizeText(value []byte) string { return fmt.Sprintf("[%d bytes]", len(value)) }

func tenantFields(t *webhook.Tenant) auditFields {
	f := auditFields{}
	f.add("name", t.Name)
	f.add("dialect", t.Dialect)
	f.add("contact_email", t.ContactEmail)
	f.add("url", t.URL)
	f.add("allow_unknown_types", t.AllowUnknownTypes)
	f.add("express", t.Express)
	f.add("verify_endpoints", t.VerifyEndpoints)
	f.add("retry", t.Retry)
	f.add("retention", t.Retention)
	f.add("limits", t.Limits)
	f.add("branding", t.Branding)
	f.add("metadata", t.Metadata)
	return f
}

// endpointFields has the names of the headers, because their values often are keys, and of the credentials the type.
func endpointFields(e *webhook.Endpoint) auditFields {
	f := auditFields{}
	f.add("url", e.URL)
	f.add("event_types", e.EventTypes)
	f.add("filter", e.Filter)
	f.add("description", e.Description)
	f.addHidden("headers", slices.Sorted(maps.Keys(e.Headers)), e.Headers)
	if e.Auth != nil {
		f.addHidden("auth", e.Auth, e.Auth.Reveal())
	}
	f.add("retry", e.Retry)
	f.add("timeout", e.Timeout)
	f.add("auto_disable", e.AutoDisable)
	f.add("signing", e.Signing)
	f.add("also_sign_as", e.AlsoSignAs)
	f.add("verification", e.Verification)
	f.add("unverified", e.Unverified)
	f.add("metadata", e.Metadata)
	return f
}

func keyFields(k *webhook.APIKey) auditFields {
	f := auditFields{}
	f.add("name", k.Name)
	f.add("scopes", k.Scopes)
	f.add("expires_at", k.ExpiresAt)
	f.add("allow_cidrs", k.AllowCIDRs)
	return f
}

func sessionFields(session *webhook.Session) auditFields {
	f := auditFields{}
	f.add("expires_at", session.ExpiresAt)
	if !session.LinkID.IsZero() {
		f.add("link", session.LinkID)
	}
	return f
}

func linkFields(l *webhook.Link) auditFields {
	f := auditFields{}
	f.add("scopes", l.Scopes)
	f.add("filter", l.Confinement)
	f.add("expires_at", l.ExpiresAt)
	return f
}

// typeFields has only the sizes of schema and example: they can be large, and an example looks like a payload.
func typeFields(own *webhook.OwnType) auditFields {
	f := auditFields{}
	f.add("description", own.Description)
	f.addHidden("schema", sizeOf(own.Schema, own.Schema != nil), own.Schema)
	f.addHidden("example", sizeOf(own.Example, own.Example != nil), own.Example)
	f.add("deprecated", own.Deprecated)
	return f
}

func sizeOf(value any, given bool) any {
	if !given {
		return nil
	}
	return sizeText(mustJSON(value))
}

func recoveryFields(r *webhook.Recovery) auditFields {
	f := auditFields{}
	f.add("endpoint_id", r.EndpointID)
	f.add("since", r.Since)
	f.add("until", r.Until)
	f.add("statuses", r.Statuses)
	f.add("event_types", r.EventTypes)
	f.add("missed", r.Missed)
	f.add("rate", r.Rate)
	f.add("matched", r.Matched)
	f.add("reason", r.Reason)
	return f
}
