package webhook

import (
	"errors"
	"fmt"
	"slices"
)

// Code is a stable, machine-readable reason for a failure. Callers of the HTTP API match on it, so a code never
// changes its meaning.
type Code string

// The codes. Each maps to one HTTP status in the api package.
const (
	CodeMalformed           Code = "malformed"            // the request is not the JSON it should be
	CodeInvalid             Code = "invalid"              // the request is well-formed, but a field's value is not acceptable
	CodeUnauthorized        Code = "unauthorized"         // no key, or a key that is unknown or revoked
	CodeForbidden           Code = "forbidden"            // the key is valid but lacks the scope
	CodeNotFound            Code = "not_found"            // it does not exist, or belongs to another tenant
	CodeConflict            Code = "conflict"             // it exists already, or its state forbids the request
	CodeEventIDConflict     Code = "event_id_conflict"    // an event with this id but another body was published before
	CodeIdempotencyConflict Code = "idempotency_conflict" // the Idempotency-Key was used for another request
	CodeRecipientLimit      Code = "recipient_limit"      // more endpoints subscribe to the event than the limit for one event
	CodeUnknownEventType    Code = "unknown_event_type"   // the dialect's catalogue does not list the type
	CodeSchemaViolation     Code = "schema_violation"     // data breaks the JSON Schema of its event type
	CodePreconditionFailed  Code = "precondition_failed"  // the resource is not, or no longer, what If-Match names
	CodeTooLarge            Code = "payload_too_large"    // the request body exceeds the limit
	CodeUnsupportedMedia    Code = "unsupported_media"    // the request body is not declared as JSON, or is compressed
	CodeMethodNotAllowed    Code = "method_not_allowed"   // the path exists, but not with this method
	CodeBacklogFull         Code = "backlog_full"         // too many events wait to be dispatched; nothing was stored; try again later
	CodeRateLimited         Code = "rate_limited"         // the API key, or the tenant, asks for too much in a time; Retry-After says when to try again
	CodeOverloaded          Code = "overloaded"           // too many bytes of requests are held; this one was not read; try again
	CodeUnavailable         Code = "unavailable"          // a service that Waybill needs is down; try again
	CodeInternal            Code = "internal"             // an internal fault; the text stays in the log
)

// Bounds of an error, so that no request causes an answer that is far larger than itself. A client that sends a thousand
// wrong items learns enough from the first ones. Texts are cut at this many bytes.
const (
	MaxFieldErrors  = 20
	MaxMessageBytes = 500
	maxFieldBytes   = 128
	maxDetailBytes  = 300
)

// FieldError says what is wrong with one field of a request. Field is a path such as "retry.schedule[2]" or
// "data/salePrice".
type FieldError struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

// Error is the error type that crosses package boundaries. Message and Fields are for the caller and may be shown. The
// wrapped cause is only for the log.
type Error struct {
	Code    Code
	Message string
	Fields  []FieldError
	Cause   error
}

// Error returns code, message and cause, for logs.
func (e *Error) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.Cause)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Message)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Errorf returns an Error with a code and a message for the caller.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// WithCause returns a copy of e that carries cause for the log.
func (e *Error) WithCause(cause error) *Error {
	c := *e
	c.Cause = cause
	return &c
}

// ErrClosed says that no workflow of an event is running any more, so its log is complete.
var ErrClosed = Errorf(CodeNotFound, "nothing of the event is under way any more")

// ErrorCode returns the code of the first Error in err's chain; CodeInternal for any other error; "" for nil.
func ErrorCode(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}

// Bounded returns e if it is within the bounds, otherwise a copy that is.
func (e *Error) Bounded() *Error {
	fields := make([]FieldError, min(len(e.Fields), MaxFieldErrors))
	for i := range fields {
		fields[i] = FieldError{Field: Cut(e.Fields[i].Field, maxFieldBytes), Detail: Cut(e.Fields[i].Detail, maxDetailBytes)}
	}
	message := Cut(e.Message, MaxMessageBytes)
	if message == e.Message && slices.Equal(fields, e.Fields) {
		return e
	}
	c := *e
	c.Message, c.Fields = message, fields
	return &c
}

// NewInvalid returns a CodeInvalid error about the fields of what, for example an event. fields must not be empty.
func NewInvalid(what string, fields ...FieldError) *Error {
	e := Errorf(CodeInvalid, "%s: %s %s", what, fields[0].Field, fields[0].Detail)
	e.Fields = fields
	return e.Bounded()
}

// problems gathers field errors while a value is checked, at most MaxFieldErrors.
type problems []FieldError

func (p *problems) addf(field, format string, args ...any) {
	if len(*p) < MaxFieldErrors {
		*p = append(*p, FieldError{Field: field, Detail: fmt.Sprintf(format, args...)})
	}
}

// err returns nil when there are no problems, otherwise one CodeInvalid error that lists them all.
func (p problems) err(what string) error {
	if len(p) == 0 {
		return nil
	}
	return NewInvalid(what, p...)
}
