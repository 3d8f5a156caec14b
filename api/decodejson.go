package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"waybill/webhook"
)

// lax allows repeated names and invalid surrogates, which the decoder below checks where it must. The field data may be any
// JSON, and jsontext can allow these only for the whole text. This is also why its Unmarshal cannot be used.
var lax = jsontext.AllowDuplicateNames(true)

// laxText requires that the whole text was checked to be UTF-8.
var laxText = jsontext.AllowInvalidUTF8(true)

// decodeObject reads JSON text that must be one object into the struct that v points to. What names it in errors.
func decodeObject(what string, text []byte, v any) error {
	if at := badUTF8(text); at >= 0 {
		return malformedAt(text, at, "a byte that is not UTF-8")
	}
	d := decoder{text: text, in: jsontext.NewDecoder(bytes.NewBuffer(text), lax, laxText)}
	if err := d.whole(what, reflect.ValueOf(v).Elem()); err != nil {
		return err
	}
	return invalid(what, d.problems...)
}

// decoder reads JSON text into Go values and gathers the field errors. Unlike encoding/json it matches names exactly,
// refuses a name that is unknown or given twice, and says for every problem which field it is about. Null counts as left
// out, except for a type that reads itself. Raw values share the memory of text. Its methods return an error only where the
// text is not JSON.
type decoder struct {
	text     []byte
	in       *jsontext.Decoder
	problems []webhook.FieldError
}

// selfReader is a type that decodes its own JSON.
type selfReader interface {
	readJSON(d *decoder, path string) error
}

func (d *decoder) addf(path, format string, args ...any) {
	if len(d.problems) < webhook.MaxFieldErrors {
		d.problems = append(d.problems, webhook.FieldError{Field: path, Detail: fmt.Sprintf(format, args...)})
	}
}

// whole reads one object and nothing after it.
func (d *decoder) whole(what string, v reflect.Value) error {
	kind := d.in.PeekKind()
	var err error
	if kind == jsontext.KindBeginObject {
		err = d.object("", v)
	} else {
		err = d.in.SkipValue()
	}
	if err != nil {
		return malformed(d.text, err)
	}
	rest := bytes.TrimLeft(d.text[d.in.InputOffset():], jsonSpace)
	switch {
	case len(rest) > 0:
		return malformedAt(d.text, len(d.text)-len(rest), "text after the end of the value")
	case kind != jsontext.KindBeginObject:
		return webhook.Errorf(webhook.CodeMalformed, "the %s is %s; send a JSON object", what, kindNames[kind])
	default:
		return nil
	}
}

// raw returns the next value as written in the text.
func (d *decoder) raw() ([]byte, error) {
	value, err := d.in.ReadValue()
	end := int(d.in.InputOffset())
	return d.text[end-len(value) : end : end], err
}

func (d *decoder) value(path string, v reflect.Value) error {
	switch target := v.Addr().Interface().(type) {
	case selfReader:
		return target.readJSON(d, path)
	case *json.RawMessage:
		text, err := d.raw()
		*target = text
		return err
	}
	if d.in.PeekKind() == jsontext.KindNull {
		return d.in.SkipValue()
	}
	if target, ok := v.Addr().Interface().(json.Unmarshaler); ok {
		text, err := d.raw()
		if err != nil {
			return err
		}
		if err := target.UnmarshalJSON(text); err != nil {
			d.addf(path, "%s", err)
		}
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return d.value(path, v.Elem())
	case reflect.Struct:
		return d.object(path, v)
	case reflect.Map:
		return d.mapping(path, v)
	case reflect.Slice:
		return d.list(path, v)
	default:
		return d.scalar(path, v)
	}
}

// members reads an object and asks read for the value of each name.
func (d *decoder) members(path string, read func(name string) error) error {
	if ok, err := d.expect(path, jsontext.KindBeginObject); !ok {
		return err
	}
	if _, err := d.in.ReadToken(); err != nil {
		return err
	}
	for d.in.PeekKind() != jsontext.KindEndObject {
		name, err := d.in.ReadToken()
		if err != nil {
			return err
		}
		if err := read(name.String()); err != nil {
			return err
		}
	}
	_, err := d.in.ReadToken()
	return err
}

func (d *decoder) object(path string, v reflect.Value) error {
	seen := make(map[string]bool, v.NumField())
	return d.members(path, func(name string) error {
		field := fieldNamed(v, name)
		switch {
		case !field.IsValid():
			d.addf(join(path, name), "is not a known field; %s", knownNames(fieldNames(v.Type())))
			return d.in.SkipValue()
		case seen[name]:
			d.addf(join(path, name), "is given twice")
			return d.in.SkipValue()
		}
		seen[name] = true
		return d.value(join(path, name), field)
	})
}

func (d *decoder) mapping(path string, v reflect.Value) error {
	v.Set(reflect.MakeMap(v.Type()))
	return d.members(path, func(name string) error {
		key := reflect.ValueOf(name)
		switch {
		case v.MapIndex(key).IsValid():
			d.addf(join(path, name), "is given twice")
			return d.in.SkipValue()
		case strings.ContainsRune(name, 0):
			d.addf(path, "has a name with a NUL character")
			return d.in.SkipValue()
		}
		d.refuseNull(join(path, name), v.Type().Elem())
		element := reflect.New(v.Type().Elem()).Elem()
		err := d.value(join(path, name), element)
		v.SetMapIndex(key, element)
		return err
	})
}

// maxItems bounds the lists that are read: more than any may have, and few enough that a body of a batch's size, with an item every
// other byte, does not become a hundred times as large in memory.
const maxItems = 10_000

func (d *decoder) list(path string, v reflect.Value) error {
	if ok, err := d.expect(path, jsontext.KindBeginArray); !ok {
		return err
	}
	if _, err := d.in.ReadToken(); err != nil {
		return err
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, 4))
	element := reflect.New(v.Type().Elem()).Elem()
	for i := 0; d.in.PeekKind() != jsontext.KindEndArray; i++ {
		if i >= maxItems {
			if i == maxItems {
				d.addf(path, "has more than %d items", maxItems)
			}
			if err := d.in.SkipValue(); err != nil {
				return err
			}
			continue
		}
		at := path + "[" + strconv.Itoa(i) + "]"
		d.refuseNull(at, element.Type())
		element.SetZero()
		if err := d.value(at, element); err != nil {
			return err
		}
		v.Set(reflect.Append(v, element))
	}
	_, err := d.in.ReadToken()
	return err
}

// refuseNull refuses a null where it could not count as left out: in a list, or as the value of a name that was chosen freely.
func (d *decoder) refuseNull(path string, t reflect.Type) {
	if d.in.PeekKind() == jsontext.KindNull && t != reflect.TypeFor[json.RawMessage]() {
		d.addf(path, "is null")
	}
}

// goKinds says which JSON a Go kind is read from.
var goKinds = map[reflect.Kind]jsontext.Kind{
	reflect.String: jsontext.KindString, reflect.Bool: jsontext.KindTrue,
	reflect.Int: jsontext.KindNumber, reflect.Int64: jsontext.KindNumber, reflect.Float64: jsontext.KindNumber,
}

func (d *decoder) scalar(path string, v reflect.Value) error {
	if ok, err := d.expect(path, goKinds[v.Kind()]); !ok {
		return err
	}
	text, err := d.raw()
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, v.Addr().Interface()); err != nil {
		d.addf(path, "does not take %s", text)
	}
	if v.Kind() == reflect.String && strings.ContainsRune(v.String(), 0) {
		d.addf(path, "has a NUL character")
	}
	return nil
}

// expect reports whether the next value is of the kind. A value of another kind is skipped and reported.
func (d *decoder) expect(path string, want jsontext.Kind) (bool, error) {
	got := d.in.PeekKind()
	if got == want || want == jsontext.KindTrue && got == jsontext.KindFalse {
		return true, nil
	}
	if err := d.in.SkipValue(); err != nil {
		return false, err
	}
	d.addf(path, "is %s, not %s", kindNames[want], kindNames[got])
	return false, nil
}

// kindNames names the kinds of JSON values in errors.
var kindNames = map[jsontext.Kind]string{
	jsontext.KindBeginObject: "an object", jsontext.KindBeginArray: "a list", jsontext.KindString: "text",
	jsontext.KindTrue: "true or false", jsontext.KindFalse: "true or false", jsontext.KindNull: "null", jsontext.KindNumber: "a number",
}

func fieldNamed(v reflect.Value, name string) reflect.Value {
	for i := range v.NumField() {
		if jsonName(v.Type().Field(i)) == name {
			return v.Field(i)
		}
	}
	return reflect.Value{}
}

func fieldNames(t reflect.Type) []string {
	names := make([]string, t.NumField())
	for i := range names {
		names[i] = jsonName(t.Field(i))
	}
	return names
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// badUTF8 returns the first byte that is not UTF-8; -1: none.
func badUTF8(text []byte) int {
	if utf8.Valid(text) {
		return -1
	}
	at := 0
	for {
		r, size := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
}

// malformed returns the error for text that is not JSON, with the position.
func malformed(text []byte, err error) error {
	var syntax *jsontext.SyntacticError
	if !errors.As(err, &syntax) {
		return webhook.Errorf(webhook.CodeMalformed, "the request body is not JSON").WithCause(err)
	}
	return malformedAt(text, int(syntax.ByteOffset), syntax.Err.Error())
}

func malformedAt(text []byte, offset int, what string) error {
	before := text[:min(offset, len(text))]
	line := 1 + bytes.Count(before, []byte("\n"))
	column := len(before) - bytes.LastIndexByte(before, '\n')
	return webhook.Errorf(webhook.CodeMalformed, "the request body is not JSON: %s, at line %d, column %d (byte %d)",
		what, line, column, offset)
}
