package api

import (
	"encoding/json"
	"time"

	"waybill/webhook"
)

// moment is a time in a request's body.
type moment time.Time

// UnmarshalJSON reads RFC 3339.
func (m *moment) UnmarshalJSON(b []byte) error {
	var text string
	_ = json.Unmarshal(b, &text) // a value that is not text fails below
	at, err := webhook.ParseMoment(text)
	*m = moment(at)
	return err
}

// MarshalJSON writes RFC 3339, so that two requests with different moments are told apart.
func (m moment) MarshalJSON() ([]byte, error) { return time.Time(m).MarshalJSON() }

// utc returns the moment with the precision of the database.
func (m moment) utc() time.Time { return time.Time(m).UTC().Truncate(time.Microsecond) }

// orNil is utc of a moment that may be left out.
func (m *moment) orNil() *time.Time {
	if m == nil {
		return nil
	}
	at := m.utc()
	return &at
}
