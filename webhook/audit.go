package webhook

import (
	"encoding/json"
	"time"
)

// AuditEntry is one change, or one look at a secret: who did it, to what, when and from where (design, section 11). It has no
// secret, no header value, no credential and no payload.
type AuditEntry struct {
	ID AuditID `json:"id" db:"id"`
	// TenantID is "" for what belongs to no tenant.
	TenantID string    `json:"tenant,omitempty" db:"tenant_id"`
	At       time.Time `json:"at" db:"at"`
	// Actor is "admin" or "admin:<name>", the id of an API key, one of the By constants, or "waybill" for what it does by itself.
	Actor string `json:"actor" db:"actor"`
	// Address is where the request came from; "" where there was none.
	Address string `json:"address,omitempty" db:"address"`
	// RequestID is the id of the request; of a signal or an update, the id of its workflow.
	RequestID string `json:"request_id,omitempty" db:"request_id"`
	// Action is what was done, such as "endpoint.updated".
	Action string `json:"action" db:"action"`
	// Target is the id of what was changed.
	Target string `json:"target" db:"target"`
	// Before and After are the changed fields of an update; Before is nil for a creation, After for a deletion.
	Before json.RawMessage `json:"before,omitempty" db:"-"`
	After  json.RawMessage `json:"after,omitempty" db:"-"`
}
