package dashboard

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"waybill/webhook"
)

// endpointForm is the form of an endpoint: to add one, or to edit Endpoint.
type endpointForm struct {
	form
	C        *call
	Endpoint *endpoint
	Groups   []typeGroup
	// ETag makes that nobody overwrites what somebody else changed since.
	ETag string
}

// Exactly says what is wrong with some fields of the API, and not with what is below them.
func (f *endpointForm) Exactly(fields ...string) []webhook.FieldError {
	if f.Problem == nil {
		return nil
	}
	var found []webhook.FieldError
	for _, e := range f.Problem.Fields {
		if slices.Contains(fields, e.Field) {
			found = append(found, e)
		}
	}
	return found
}

// Open reports whether a part that is folded away is to be shown at once: one of its fields is wrong.
func (f *endpointForm) Open(fields ...string) bool {
	return slices.ContainsFunc(fields, func(field string) bool { return len(f.Errors(field)) > 0 })
}

// OneType reports whether the endpoint names one exact event type.
func (f *endpointForm) OneType() bool { return onlyType(f.C.Dialect) }

// OtherTypes reports whether types that have no box can be written: where the catalogue does not say all, or the endpoint has one.
func (f *endpointForm) OtherTypes() bool {
	return !f.OneType() && (!f.C.Dialect.HasCatalogue() || f.C.Tenant.AllowUnknownTypes || f.Value("other_types") != "") ||
		len(f.Groups) == 0
}

// Chose reports whether any event type is chosen.
func (f *endpointForm) Chose() bool { return len(f.subscriptions()) > 0 }

// OneHeader reports whether the endpoint may have a single custom header.
func (f *endpointForm) OneHeader() bool { return f.C.Dialect.Endpoints.MaxHeaders == 1 }

// OwnSecret reports whether the endpoint has a secret of its own.
func (f *endpointForm) OwnSecret() bool { return f.C.Dialect.Secret.Scope == webhook.SecretOfEndpoint }

// Inherited is the retry policy of an endpoint that has none of its own.
func (f *endpointForm) Inherited() policyLine {
	return newPolicyLine(webhook.RetryPolicyOf(nil, f.C.Tenant.Retry, f.C.Dialect))
}

// InheritedRule is the dialect's rule of automatic disabling; nil: it has none.
func (f *endpointForm) InheritedRule() *webhook.AutoDisable { return f.C.Dialect.AutoDisable }

// Algorithms can be chosen when an endpoint is added.
func (f *endpointForm) Algorithms() []webhook.Algorithm { return f.C.Dialect.Algorithms() }

// LockedFilter are the attributes that a portal session is limited to.
func (f *endpointForm) LockedFilter() map[string][]string { return f.C.Session.Filter }

// Attributes are those of the dialect that the session is not limited to.
func (f *endpointForm) Attributes() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(f.C.Dialect.Attributes)) {
		if f.C.Session.Filter[name] == nil {
			names = append(names, name)
		}
	}
	return names
}

// AnyAttribute reports whether a filter may name attributes that no list has.
func (f *endpointForm) AnyAttribute() bool { return len(f.C.Dialect.Attributes) == 0 }

// secretFields are not shown again when a form comes back, as in no page.
var secretFields = []string{"auth.password", "auth.token", "auth.client_secret", "auth.key", "secret"}

// show shows the form, again where the API refused it.
func (f *endpointForm) show() error {
	types, err := f.C.eventTypes()
	if err != nil {
		return err
	}
	f.Groups = groupTypes(types)
	f.placeTypes(types)
	v := view{Title: "Add an endpoint", Section: "endpoints", Status: f.status(), Data: f}
	if f.Endpoint != nil {
		v.Title = "Edit an endpoint"
	}
	if f.Problem != nil {
		for _, name := range secretFields {
			f.Values.Del(name)
		}
	}
	return f.C.show("endpoint-form", v)
}

// placeTypes moves subscriptions that have no box into the field of other types, and back.
func (f *endpointForm) placeTypes(types []eventType) {
	boxes := []string{"*"}
	for _, g := range f.Groups {
		boxes = append(boxes, g.Pattern())
	}
	for _, t := range types {
		boxes = append(boxes, t.Type)
	}
	var ticked, others []string
	for _, name := range f.subscriptions() {
		if slices.Contains(boxes, name) {
			ticked = append(ticked, name)
		} else {
			others = append(others, name)
		}
	}
	f.Values["event_types"] = ticked
	f.Values.Set("other_types", strings.Join(others, " "))
}

// showNewEndpoint is GET .../new-endpoint.
func showNewEndpoint(c *call) error {
	if !c.Manages() {
		return notFound("This session may look, and not add endpoints.")
	}
	f := &endpointForm{C: c, form: newForm(url.Values{})}
	for name, values := range c.Session.Filter {
		f.Values["filter."+name] = values
	}
	if url := c.Query("url"); url != "" {
		f.Values.Set("url", url)
	}
	if types := c.r.URL.Query()["event_type"]; len(types) > 0 {
		f.Values["event_types"] = types
	}
	return f.show()
}

// createEndpoint is POST .../new-endpoint.
func createEndpoint(c *call) error {
	f := &endpointForm{C: c, form: c.posted()}
	var e endpoint
	err := c.postOnce(c.path("endpoints"), f.Once, f.body(), &e)
	if f.refusedBy(err) {
		return f.show()
	}
	if err != nil {
		return err
	}
	return c.show("endpoint-made", view{Title: "The endpoint is added", Section: "endpoints", Status: http.StatusCreated, Data: &e})
}

// showEditEndpoint is GET .../endpoints/{endpoint}/edit.
func showEditEndpoint(c *call) error {
	e, etag, err := c.findTaggedEndpoint()
	if err != nil {
		return err
	}
	if !c.Manages() {
		return notFound("This session may look, and not change endpoints.")
	}
	f := &endpointForm{C: c, Endpoint: e, form: newForm(c.endpointValues(e)), ETag: etag}
	return f.show()
}

// editEndpoint is POST .../endpoints/{endpoint}/edit. It sends what differs from what is stored.
func editEndpoint(c *call) error {
	e, etag, err := c.findTaggedEndpoint()
	if err != nil {
		return err
	}
	f := &endpointForm{C: c, Endpoint: e, form: c.posted(), ETag: c.r.PostForm.Get("etag")}
	if f.ETag != etag && f.ETag != "" {
		f.ETag = etag
		f.Problem = changedMeanwhile("this endpoint", "Compare it with the endpoint's page")
		return f.show()
	}
	patch := f.changes()
	if len(patch) == 0 {
		return c.done(c.Href("endpoints", e.ID.String()), "Nothing was changed.")
	}
	err = c.sendWith(http.MethodPatch, c.path("endpoints", e.ID.String()), http.Header{"If-Match": {etag}}, patch, nil)
	if f.refusedBy(err) {
		return f.show()
	}
	if err != nil {
		return err
	}
	return c.done(c.Href("endpoints", e.ID.String()), "The endpoint is saved.")
}
