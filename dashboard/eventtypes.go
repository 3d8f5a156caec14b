package dashboard

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"waybill/webhook"
)

// fullType is an event type with its schema and example.
type fullType struct {
	eventType
	Schema  json.RawMessage  `json:"schema"`
	Example *webhook.Example `json:"example"`
	// UpdatedAt is "" where the tenant did not add the type.
	UpdatedAt string `json:"updated_at"`
}

// Own reports whether the tenant added the type, and may change it.
func (t *fullType) Own() bool { return t.Source == "tenant" }

// ExampleText is the example's data, to be read.
func (t *fullType) ExampleText() string {
	if t.Example == nil {
		return ""
	}
	return pretty(string(t.Example.Data))
}

// SchemaText is the schema, to be read.
func (t *fullType) SchemaText() string { return pretty(string(t.Schema)) }

// Rows are the schema as a table.
func (t *fullType) Rows() []schemaRow { return schemaTable(t.Schema) }

func (c *call) findEventType(name string) (*fullType, error) {
	var t fullType
	return &t, c.get(c.path("event-types", name), nil, &t)
}

// listEventTypes is GET /tenants/{tenant}/event-types.
func listEventTypes(c *call) error {
	types, err := c.eventTypes()
	if err != nil {
		return err
	}
	return c.show("event-types", view{Title: "Event types", Section: "event-types", Data: groupTypes(types)})
}

// showEventType is GET /tenants/{tenant}/event-types/{type}.
func showEventType(c *call) error {
	t, err := c.findEventType(c.part("type"))
	if err != nil {
		return err
	}
	return c.show("event-type", view{Title: t.Type, Section: "event-types", Data: t})
}

// typeForm is an event type of the tenant's own, new or changed.
type typeForm struct {
	form
	// Type is the name of the type that is changed; "" for a new one.
	Type string
}

// askEventType is GET /tenants/{tenant}/new-event-type.
func askEventType(c *call) error { return c.showTypeForm(&typeForm{form: form{Values: url.Values{}}}) }

// editEventType is GET .../event-types/{type}/edit.
func editEventType(c *call) error {
	t, err := c.findEventType(c.part("type"))
	if err != nil {
		return err
	}
	if !t.Own() {
		return notFound("This event type belongs to the dialect, which nobody changes here.")
	}
	values := url.Values{"type": {t.Type}, "description": {t.Description}, "example.data": {t.ExampleText()}, "known": {t.Type}, "updated_at": {t.UpdatedAt}}
	if len(t.Schema) > 0 {
		values.Set("schema", t.SchemaText())
	}
	if t.Example != nil {
		values.Set("example.attributes", writePairs(t.Example.Attributes))
	}
	if t.Deprecated {
		values.Set("deprecated", "true")
	}
	return c.showTypeForm(&typeForm{form: form{Values: values}, Type: t.Type})
}

func (c *call) showTypeForm(f *typeForm) error {
	title := "Add an event type"
	if f.Type != "" {
		title = "Edit " + f.Type
	}
	return c.show("event-type-form", view{Title: title, Section: "event-types", Status: f.status(), Data: f})
}

// saveEventType is POST /tenants/{tenant}/new-event-type.
func saveEventType(c *call) error {
	posted := c.posted()
	f := &typeForm{form: posted, Type: posted.Value("known")}
	in := map[string]any{"description": f.Value("description"), "deprecated": f.Has("deprecated", "true")}
	for _, field := range []struct{ name, text string }{{"schema", f.Value("schema")}, {"example.data", f.Value("example.data")}} {
		if strings.TrimSpace(field.text) == "" {
			continue
		}
		if !json.Valid([]byte(field.text)) {
			f.Problem = badField(field.name, "is not JSON: "+jsonFault(field.text))
			return c.showTypeForm(f)
		}
		if field.name == "schema" {
			in["schema"] = json.RawMessage(field.text)
		} else {
			in["example"] = map[string]any{"data": json.RawMessage(field.text), "attributes": readPairs(f.Value("example.attributes"))}
		}
	}
	if err := c.checkTypeForm(f); err != nil {
		return err
	}
	if f.Problem != nil {
		return c.showTypeForm(f)
	}
	err := c.send(http.MethodPut, c.path("event-types", f.Value("type")), in, nil)
	if f.refusedBy(err) {
		return c.showTypeForm(f)
	}
	if err != nil {
		return err
	}
	return c.done(c.Href("event-types", f.Value("type")), "The event type is saved.")
}

// checkTypeForm compares the form with what is stored: a new type replaces none, and a change nobody else's.
func (c *call) checkTypeForm(f *typeForm) error {
	stored, err := c.findEventType(f.Value("type"))
	switch {
	case isStatus(err, http.StatusNotFound):
		return nil
	case err != nil:
		return err
	case f.Type == "":
		f.Problem = badField("type", "is in the catalogue already; edit it there, or choose another name")
	case f.Value("updated_at") != stored.UpdatedAt:
		f.Values.Set("updated_at", stored.UpdatedAt)
		f.Problem = changedMeanwhile("this event type", "Compare it with the event type's page")
	}
	return nil
}

// askDeleteEventType is GET .../event-types/{type}/delete.
func askDeleteEventType(c *call) error {
	name := c.part("type")
	return c.confirm("event-types", confirmation{
		Title: "Delete the event type " + name + "?", Button: "Delete", Danger: true, Action: c.Href("event-types", name, "delete"), Back: c.Href("event-types", name),
		Effects: []string{"It is no longer in the catalogue. Events of this type are then refused, unless the tenant accepts types that the catalogue does not list. What was published stays."},
	})
}

// deleteEventType is POST .../event-types/{type}/delete.
func deleteEventType(c *call) error {
	if err := c.send(http.MethodDelete, c.path("event-types", c.part("type")), nil, nil); err != nil {
		return err
	}
	return c.done(c.Href("event-types"), "The event type is deleted.")
}
