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
