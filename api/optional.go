package api

import (
	"reflect"

	"github.com/go-json-experiment/json/jsontext"
)

// optional is a member of a merge patch (RFC 7396): left out, null, or a value.
type optional[T any] struct {
	given bool
	value *T
}

// readJSON tells null from a member that was left out.
func (o *optional[T]) readJSON(d *decoder, path string) error {
	o.given = true
	if d.in.PeekKind() == jsontext.KindNull {
		return d.in.SkipValue()
	}
	o.value = new(T)
	return d.value(path, reflect.ValueOf(o.value).Elem())
}

// into sets the field when the member was given; null sets the zero value.
func (o optional[T]) into(field *T) {
	if !o.given {
		return
	}
	var value T
	if o.value != nil {
		value = *o.value
	}
	*field = value
}

// intoPointer is into for a field where nil means "not set".
func (o optional[T]) intoPointer(field **T) {
	if o.given {
		*field = o.value
	}
}
