package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"unicode/utf8"

	"waybill/webhook"
)

// decode reads the request's body, one JSON object of at most limit bytes, into the struct that v points to. The error
// is CodeTooLarge, CodeUnsupportedMedia, CodeMalformed (not JSON) or CodeInvalid (a member that v does not have, has
// another type for, or sees twice).
func decode(w http.ResponseWriter, r *http.Request, limit int64, v any) error {
	body, err := readBody(w, r, limit)
	if err != nil {
		return err
	}
	if blank(body) {
		return webhook.Errorf(webhook.CodeMalformed, "the request body is empty; send a JSON object")
	}
	if err := checkMedia(r); err != nil {
		return err
	}
	if err := checkJSON(body); err != nil {
		return err
	}
	return decodeObject("request", body, v)
}

// decodeOptional is decode, except that an empty body leaves v as it is.
func decodeOptional(w http.ResponseWriter, r *http.Request, limit int64, v any) error {
	if r.ContentLength == 0 {
		return nil
	}
	body, err := readBody(w, r, limit)
	if err != nil || blank(body) {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return decode(w, r, limit, v)
}

func blank(text []byte) bool { return len(bytes.Trim(text, jsonSpace)) == 0 }

func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	tooLarge := webhook.Errorf(webhook.CodeTooLarge, "the request body exceeds %d bytes", limit)
	if r.ContentLength > limit {
		w.Header().Set("Connection", "close") // rather than read what nobody wants
		return nil, tooLarge
	}
	var buf bytes.Buffer
	buf.Grow(int(max(r.ContentLength, 0)) + bytes.MinRead)
	_, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, limit))
	var exceeded *http.MaxBytesError
	switch {
	case errors.As(err, &exceeded):
		return nil, tooLarge
	case err != nil:
		return nil, webhook.Errorf(webhook.CodeMalformed, "the request body broke off").WithCause(err)
	}
	return buf.Bytes(), nil
}

// checkMedia wants JSON in UTF-8, plain.
func checkMedia(r *http.Request) error {
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return webhook.Errorf(webhook.CodeUnsupportedMedia, "send the body as it is, without Content-Encoding: %s", encoding)
	}
	given := r.Header.Get("Content-Type")
	media, params, err := mime.ParseMediaType(given)
	charset := params["charset"]
	switch {
	case err != nil || media != "application/json" && !strings.HasSuffix(media, "+json"):
		return webhook.Errorf(webhook.CodeUnsupportedMedia, "send Content-Type: application/json, not %q", given)
	case charset != "" && !strings.EqualFold(charset, "utf-8"):
		return webhook.Errorf(webhook.CodeUnsupportedMedia, "JSON is UTF-8, not %q", charset)
	}
	return nil
}

// checkJSON finds what keeps the text from being one JSON value, and says where.
func checkJSON(text []byte) error {
	if !utf8.Valid(text) {
		at := 0
		for at < len(text) {
			r, size := utf8.DecodeRune(text[at:])
			if r == utf8.RuneError && size == 1 {
				break
			}
			at += size
		}
		return malformedAt(text, at, "a byte that is not UTF-8")
	}
	if json.Valid(text) {
		return nil
	}
	var whole json.RawMessage
	err := json.Unmarshal(text, &whole)
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return webhook.Errorf(webhook.CodeMalformed, "the request body is not JSON").WithCause(err)
	}
	return malformedAt(text, int(max(syntax.Offset-1, 0)), syntax.Error())
}

func malformedAt(text []byte, offset int, what string) error {
	before := text[:min(offset, len(text))]
	line := 1 + bytes.Count(before, []byte("\n"))
	column := len(before) - bytes.LastIndexByte(before, '\n')
	return webhook.Errorf(webhook.CodeMalformed, "the request body is not JSON: %s, at line %d, column %d (byte %d)",
		what, line, column, offset)
}

// decodeObject reads valid JSON text that must be an object into the struct that v points to. What names it in errors.
func decodeObject(what string, text []byte, v any) error {
	text = bytes.Trim(text, jsonSpace)
	if text[0] != '{' {
		return webhook.Errorf(webhook.CodeMalformed, "the %s is %s; send a JSON object", what, kindOf(text))
	}
	var d decoder
	d.value("", text, reflect.ValueOf(v).Elem())
	return invalid(what, d.problems...)
}

// decoder reads valid JSON text into Go values and gathers what does not fit. Unlike encoding/json it matches names
// exactly, refuses a name that is unknown or given twice, and says for every problem which field it is about. Null
// counts as left out, except for a type that reads itself.
type decoder struct{ problems []webhook.FieldError }

// Bounds on what a problem document says about a hopeless request.
const (
	maxProblems  = 20
	maxPathBytes = 200
)

func (d *decoder) addf(path, format string, args ...any) {
	if len(d.problems) == maxProblems {
		return
	}
	if len(path) > maxPathBytes {
		path = strings.ToValidUTF8(path[:maxPathBytes], "") + "..."
	}
	d.problems = append(d.problems, webhook.FieldError{Field: path, Detail: fmt.Sprintf(format, args...)})
}

// selfReader is a type that reads its own JSON.
type selfReader interface {
	readJSON(d *decoder, path string, text []byte)
}

func (d *decoder) value(path string, text []byte, v reflect.Value) {
	switch target := v.Addr().Interface().(type) {
	case selfReader:
		target.readJSON(d, path, text)
		return
	case *json.RawMessage:
		*target = text
		return
	}
	if string(text) == "null" {
		return
	}
	if target, ok := v.Addr().Interface().(json.Unmarshaler); ok {
		if err := target.UnmarshalJSON(text); err != nil {
			d.addf(path, "%s", unmarshalDetail(target, err))
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(path, text, v.Elem())
	case reflect.Struct:
		d.object(path, text, v)
	case reflect.Map:
		d.mapping(path, text, v)
	case reflect.Slice:
		d.list(path, text, v)
	default:
		d.scalar(path, text, v)
	}
}

func (d *decoder) object(path string, text []byte, v reflect.Value) {
	if !d.expect(path, text, '{', "an object") {
		return
	}
	seen := map[string]bool{}
	for name, value := range members(text) {
		field := fieldNamed(v, name)
		switch {
		case !field.IsValid():
			d.addf(join(path, name), "is not a known field; known are %s", strings.Join(fieldNames(v.Type()), ", "))
		case seen[name]:
			d.addf(join(path, name), "is given twice")
		default:
			d.value(join(path, name), value, field)
		}
		seen[name] = true
	}
}

func (d *decoder) mapping(path string, text []byte, v reflect.Value) {
	if !d.expect(path, text, '{', "an object") {
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for name, value := range members(text) {
		key := reflect.ValueOf(name)
		switch {
		case v.MapIndex(key).IsValid():
			d.addf(join(path, name), "is given twice")
		case strings.ContainsRune(name, 0):
			d.addf(path, "has a name with a NUL character")
		default:
			element := reflect.New(v.Type().Elem()).Elem()
			d.value(join(path, name), value, element)
			v.SetMapIndex(key, element)
		}
	}
}

func (d *decoder) list(path string, text []byte, v reflect.Value) {
	if !d.expect(path, text, '[', "a list") {
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, 4))
	i := 0
	for value := range elements(text) {
		element := reflect.New(v.Type().Elem()).Elem()
		at := fmt.Sprintf("%s[%d]", path, i)
		if string(value) == "null" && element.Type() != rawType {
			d.addf(at, "is null")
		}
		d.value(at, value, element)
		v.Set(reflect.Append(v, element))
		i++
	}
}

func (d *decoder) scalar(path string, text []byte, v reflect.Value) {
	if err := json.Unmarshal(text, v.Addr().Interface()); err != nil {
		if kind := kindOf(text); kind == kindNames[v.Kind()] {
			d.addf(path, "does not take %s", text)
		} else {
			d.addf(path, "is %s, not %s", kindNames[v.Kind()], kind)
		}
		return
	}
	if v.Kind() == reflect.String && strings.ContainsRune(v.String(), 0) {
		d.addf(path, "has a NUL character")
	}
}

func (d *decoder) expect(path string, text []byte, first byte, kind string) bool {
	if text[0] != first {
		d.addf(path, "is %s, not %s", kind, kindOf(text))
	}
	return text[0] == first
}
