package dashboard

import (
	"cmp"
	"errors"
	"mime"
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
	// Once makes that a form which is sent twice does once what it asks.
	Once string
}

// newForm is a form that nobody has sent yet.
func newForm(values url.Values) form { return form{Values: values, Once: newOnce()} }

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

// refusedBy keeps why the API refused the form, and reports whether the person can mend it. What was sent before under the same key and
// said something else is done: the form gets a new key, so that it can be sent again.
func (f *form) refusedBy(err error) bool {
	f.Problem = mendable(err)
	if f.Problem == nil {
		return false
	}
	taken := f.Problem.Code == webhook.CodeIdempotencyConflict || f.Problem.Code == webhook.CodeEventIDConflict && f.Value("id") == ""
	if taken {
		f.Once = newOnce()
		f.Problem.Title, f.Problem.Detail = "This form was sent before", "What it said then is done, and now it says something else. Send it again to do that too."
	}
	return true
}

// changedMeanwhile is the problem of a form that is older than what it changes.
func changedMeanwhile(what, compare string) *problem {
	return &problem{
		Status: http.StatusPreconditionFailed, Title: "Somebody else changed " + what + " while you did", Code: webhook.CodePreconditionFailed,
		Detail: "The form has what you wrote. " + compare + ", then save again: it replaces what the other one wrote.",
	}
}

// posted is the form of the request.
func (c *call) posted() form {
	return form{Values: c.r.PostForm, Once: cmp.Or(c.r.PostForm.Get("once"), newOnce())}
}

// readForm reads what a browser sends, so that no page acts on a part of it or on nothing.
func (c *call) readForm() error {
	if c.r.Method != http.MethodPost {
		return nil
	}
	unreadable := &problem{
		Status: http.StatusBadRequest, Title: "The form cannot be read", Code: webhook.CodeMalformed,
		Detail: "The browser sent something that is no form. Go back and try again.",
	}
	kind, _, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type")) // what is no type is no form
	if kind != "application/x-www-form-urlencoded" && c.r.ContentLength != 0 {
		return unreadable
	}
	var tooLarge *http.MaxBytesError
	switch err := c.r.ParseForm(); {
	case errors.As(err, &tooLarge):
		return err
	case err != nil:
		return unreadable
	default:
		return nil
	}
}
