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

// A dialect is shown with what is in force: when it disables an endpoint, whom it tells, its words for people and the form of its ids.
func TestDialects_InForce(t *testing.T) {
	t.Parallel()
	var list struct{ Data []fields }
	shared(t).admin().call(t, "GET", "/v1/dialects", nil).is(t, 200, &list)
	words := map[string]any{"rheo": map[string]any{"exhausted": "failed"}, "auction-excellence": map[string]any{"delivered": "success", "exhausted": "failed"}}
	patterns := map[string]any{"rheo": "^evt_"}
	// Design, section 10, and facts V9, A10 and T7. What the documents do not speak of is left out.
	disables := map[string]any{
		"tradevine": map[string]any{"failures": 10.0}, "auction-excellence": map[string]any{"failures": 10.0, "span": "10m"},
		"standard": map[string]any{"failures": 20.0, "span": "120h"},
	}
	alerts := map[string]any{"tradly": map[string]any{
		"on": []any{"exhausted", "disabled"}, "subject": "Tradly webhook delivery issues for {tenant_url}", "min_interval": "1h",
	}}
	require.Len(t, list.Data, 5)
	for _, d := range list.Data {
		name := d["name"].(string)
		require.Equal(t, disables[name], d["auto_disable"], name)
		require.Equal(t, alerts[name], d["alerts"], name)
		require.Equal(t, words[name], d["status_words"], name)
		require.Equal(t, patterns[name], d["event_id_pattern"], name)
	}
}

// event is the publication of an example.
func (e example) event(eventType string) fields {
	event := fields{"type": eventType, "data": e.Data}
	if e.Attributes != nil {
		event["attributes"] = e.Attributes
	}
	return event
}
