package dashboard

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"waybill/webhook"
)

// form is what a person fills in. Its fields have the names of the API's, so that what the API refuses stands beside the field.
type form struct {
	Values url.Values
	// Problem is why the API refused it; nil: it did not.
	Problem *problem
}

// Value is what a field holds.
func (f *form) Value(name string) string { return f.Values.Get(name) }

// Has reports whether a box is ticked, or a choice is made.
func (f *form) Has(name, value string) bool { return slices.Contains(f.Values[name], value) }

// Errors says what is wrong with a field of the API.
func (f *form) Errors(field string) []webhook.FieldError {
	if f.Problem == nil {
		return nil
	}
	var found []webhook.FieldError
	for _, e := range f.Problem.Fields {
		if rest, ok := strings.CutPrefix(e.Field, field); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			found = append(found, e)
		}
	}
	return found
}

// status is that of a page with the form.
func (f *form) status() int { return f.Problem.status() }

// posted reads the form of the request.
func (c *call) posted() (form, error) {
	if err := c.r.ParseForm(); err != nil {
		return form{}, unreadable(err)
	}
	return form{Values: c.r.PostForm}, nil
}

// unreadable is what cannot be read of a form. One that is too large has an answer of its own.
func unreadable(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return err
	}
	return &problem{
		Status: http.StatusBadRequest, Title: "The form cannot be read", Code: webhook.CodeMalformed,
		Detail: "The browser sent something that is no form. Go back and try again.",
	}
}
