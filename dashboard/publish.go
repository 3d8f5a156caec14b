package dashboard

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"waybill/webhook"
)

// publishForm is an event to publish.
type publishForm struct {
	form
	Types []eventType
	// Attributes are the names that the dialect knows.
	Attributes []string
}

// askPublish is GET /tenants/{tenant}/publish, with the example of the type that the person chose.
func askPublish(c *call) error {
	f := &publishForm{form: newForm(url.Values{"type": {c.Query("type")}})}
	if name := c.Query("type"); name != "" {
		t, err := c.findEventType(name)
		if err != nil {
			return err
		}
		if t.Example != nil {
			f.Values.Set("data", pretty(string(t.Example.Data)))
			f.Values.Set("attributes", writePairs(t.Example.Attributes))
		}
	}
	return c.showPublish(f)
}

func (c *call) showPublish(f *publishForm) (err error) {
	if f.Types, err = c.eventTypes(); err != nil {
		return err
	}
	f.Attributes = slices.Sorted(maps.Keys(c.Dialect.Attributes))
	return c.show("publish", view{Title: "Publish an event", Section: "events", Status: f.status(), Data: f})
}

// publishEvent is POST /tenants/{tenant}/publish.
func publishEvent(c *call) error {
	posted := c.posted()
	f := &publishForm{form: posted}
	in := map[string]any{"type": f.Value("type"), "data": json.RawMessage(f.Value("data"))}
	if !json.Valid([]byte(f.Value("data"))) {
		f.Problem = badField("data", "is not JSON: "+jsonFault(f.Value("data")))
		return c.showPublish(f)
	}
	if id := f.Value("id"); id != "" {
		in["id"] = id
	}
	if attributes := readPairs(f.Value("attributes")); len(attributes) > 0 {
		in["attributes"] = attributes
	}
	var receipt struct {
		ID         string            `json:"id"`
		Deliveries []json.RawMessage `json:"deliveries"`
	}
	err := c.postOnce(c.path("events"), f.Once, in, &receipt)
	if f.refusedBy(err) {
		return c.showPublish(f)
	}
	if err != nil {
		return err
	}
	endpoints := plural(len(receipt.Deliveries), "endpoint gets it")
	if len(receipt.Deliveries) != 1 {
		endpoints = count(len(receipt.Deliveries)) + " endpoints get it"
	}
	return c.done(c.Href("events", receipt.ID), "The event is published; %s.", endpoints)
}

// readPairs reads name=value a line.
func readPairs(text string) map[string]string {
	out := map[string]string{}
	for _, line := range lines(text) {
		name, value, _ := strings.Cut(line, "=")
		out[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return out
}

// writePairs writes name=value a line, by name.
func writePairs(values map[string]string) string {
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(values)) {
		out.WriteString(name + "=" + values[name] + "\n")
	}
	return out.String()
}

// badField is a problem like the API's, for what cannot be sent to it.
func badField(name, detail string) *problem {
	p := &problem{Status: http.StatusUnprocessableEntity, Title: "A field is not acceptable", Detail: name + " " + detail, Code: webhook.CodeInvalid}
	p.Fields = []webhook.FieldError{{Field: name, Detail: detail}}
	return p
}

// jsonFault says where a text stops being JSON.
func jsonFault(text string) string {
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		return err.Error()
	}
	return ""
}
