package webhook

import (
	"database/sql/driver"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// prefixed is implemented by the marker types that distinguish the ids of different entities.
type prefixed interface{ prefix() string }

type (
	eventMark    struct{}
	endpointMark struct{}
	deliveryMark struct{}
	attemptMark  struct{}
	keyMark      struct{}
	recoveryMark struct{}
	auditMark    struct{}
	sessionMark  struct{}
	linkMark     struct{}
)

func (eventMark) prefix() string    { return "evt_" }
func (endpointMark) prefix() string { return "ep_" }
func (deliveryMark) prefix() string { return "dlv_" }
func (attemptMark) prefix() string  { return "att_" }
func (keyMark) prefix() string      { return "key_" }
func (recoveryMark) prefix() string { return "rec_" }
func (auditMark) prefix() string    { return "aud_" }
func (sessionMark) prefix() string  { return "ses_" }
func (linkMark) prefix() string     { return "pln_" }

// ID is a UUIDv7 (time-ordered). Outside it is text with a prefix, "ep_" and 32 hex digits; in SQL it is a plain uuid.
type ID[P prefixed] struct{ uuid [16]byte }

// EventKey is the key of a stored event, "evt_" outside. Callers know the event by Event.ID, which they may choose.
type EventKey = ID[eventMark]

// EndpointID is an endpoint's id, "ep_" outside.
type EndpointID = ID[endpointMark]

// DeliveryID is a delivery's id, "dlv_" outside.
type DeliveryID = ID[deliveryMark]

// AttemptID is an attempt's id, "att_" outside.
type AttemptID = ID[attemptMark]

// KeyID is the id of an API key, "key_" outside; it is not the key.
type KeyID = ID[keyMark]

// RecoveryID is the id of a recovery, "rec_" outside.
type RecoveryID = ID[recoveryMark]

// AuditID is the id of an audit entry, "aud_" outside.
type AuditID = ID[auditMark]

// SessionID is the id of a session, "ses_" outside; it is not the session's token.
type SessionID = ID[sessionMark]

// LinkID is the id of a portal link or a sign-in link, "pln_" outside; it is not the link's token.
type LinkID = ID[linkMark]

// NewID returns the id of entity P with the given UUID.
func NewID[I ~struct{ uuid [16]byte }](uuid [16]byte) I { return I(struct{ uuid [16]byte }{uuid}) }

// NewIDAt is NewID with the time of the UUIDv7 replaced, to the millisecond, so that Time returns it.
func NewIDAt[I ~struct{ uuid [16]byte }](uuid [16]byte, at time.Time) I {
	ms := at.UnixMilli()
	for i := range 6 {
		uuid[i] = byte(ms >> (40 - 8*i))
	}
	return NewID[I](uuid)
}

// String returns prefix and 32 lower-case hex digits.
func (id ID[P]) String() string {
	var p P
	return p.prefix() + hex.EncodeToString(id.uuid[:])
}

// UUID returns the canonical form with dashes and without prefix.
func (id ID[P]) UUID() string {
	h := hex.EncodeToString(id.uuid[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// Time returns the time at which a UUIDv7 was made, in UTC to the millisecond (RFC 9562, section 5.7).
func (id ID[P]) Time() time.Time {
	var ms int64
	for _, b := range id.uuid[:6] {
		ms = ms<<8 | int64(b)
	}
	return time.UnixMilli(ms).UTC()
}

// IsZero reports whether the id was never set.
func (id ID[P]) IsZero() bool { return id.uuid == [16]byte{} }

// MarshalText writes the prefixed form.
func (id ID[P]) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the prefixed form.
func (id *ID[P]) UnmarshalText(text []byte) error {
	var p P
	digits, ok := strings.CutPrefix(string(text), p.prefix())
	if !ok || len(digits) != 32 {
		return fmt.Errorf("%q is not an id of the form %s and 32 hex digits", text, p.prefix())
	}
	if _, err := hex.Decode(id.uuid[:], []byte(digits)); err != nil {
		return fmt.Errorf("%q is not an id: %w", text, err)
	}
	return nil
}

// Value stores the id as a uuid.
func (id ID[P]) Value() (driver.Value, error) { return id.UUID(), nil }

// Scan reads a uuid column.
func (id *ID[P]) Scan(src any) error {
	var s string
	switch v := src.(type) {
	case []byte:
		s = string(v)
	case string:
		s = v
	default:
		return fmt.Errorf("cannot read an id from %T", src)
	}
	b, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil || len(b) != 16 {
		return fmt.Errorf("cannot read an id from %q", s)
	}
	copy(id.uuid[:], b)
	return nil
}
