package main_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// example is the catalogue's example of an event type, as the API shows it.
type example struct {
	Data       json.RawMessage   `json:"data"`
	Attributes map[string]string `json:"attributes"`
}

// examples asks the API for the examples of a dialect, and expects them for exactly the types that the platform's
// document lists.
func examples(t *testing.T, c *caller, dialect string, types []string) map[string]example {
	t.Helper()
	var d struct {
		EventTypes []struct {
			Type    string  `json:"type"`
			Example example `json:"example"`
		} `json:"event_types"`
	}
	c.call(t, "GET", "/v1/dialects/"+dialect, nil).is(t, 200, &d)
	found, names := map[string]example{}, []string{}
	for _, known := range d.EventTypes {
		found[known.Type] = known.Example
		names = append(names, known.Type)
	}
	require.ElementsMatch(t, types, names)
	return found
}

// event is the publication of an example.
func (e example) event(eventType string) fields {
	event := fields{"type": eventType, "data": e.Data}
	if e.Attributes != nil {
		event["attributes"] = e.Attributes
	}
	return event
}
