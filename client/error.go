package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Error is an answer of the API that says no. Get it with errors.As, and match Code, which is stable.
type Error struct {
	// Code is "" where the answer is not one of Waybill, such as a proxy's.
	Code ErrorCode
	// Status is the HTTP status.
	Status int
	// Detail is a sentence about this call.
	Detail string
	// Fields are what is wrong with the request, by field.
	Fields []FieldError
	// RequestID is what to quote to the operator.
	RequestID string
	// RetryAfter is how long to wait before the same call, a day at most; 0: the server did not say.
	RetryAfter time.Duration
}

// FieldError is about one field of a request.
type FieldError struct {
	// Field is a path such as "retry.schedule[2]".
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

// Error says what was wrong, and the request's id.
func (e *Error) Error() string {
	out := e.Detail
	if e.Code != "" {
		out = fmt.Sprintf("%s (%s, %d", out, e.Code, e.Status)
		if e.RequestID != "" {
			out += ", request " + e.RequestID
		}
		out += ")"
	}
	return out
}

// HasCode reports whether err is an Error with one of the codes.
func HasCode(err error, codes ...ErrorCode) bool {
	var answered *Error
	if !errors.As(err, &answered) {
		return false
	}
	for _, code := range codes {
		if answered.Code == code {
			return true
		}
	}
	return false
}

// err is nil of an answer that says yes.
func (a *answer) err() error {
	if a.status >= 200 && a.status < 300 {
		return nil
	}
	var p ProblemDetails
	if !a.is("application/problem+json") || json.Unmarshal(a.body, &p) != nil {
		return a.stranger()
	}
	out := newError(&p)
	out.Status, out.RetryAfter = a.status, retryAfter(a.header.Get("Retry-After"))
	return out
}

func newError(p *ProblemDetails) *Error {
	out := &Error{Code: p.Code, Status: p.Status, Detail: p.Detail, RequestID: p.RequestID}
	for _, e := range p.Errors {
		out.Fields = append(out.Fields, FieldError{e.Field, e.Detail})
	}
	return out
}

// stranger is the error of an answer that somebody else gave.
func (a *answer) stranger() *Error {
	detail := fmt.Sprintf("the server answered %d %s, and not as Waybill does", a.status, http.StatusText(a.status))
	if a.status >= 300 && a.status < 400 {
		detail = fmt.Sprintf("the server redirects to %q, which is not followed, so that the key goes nowhere else: is the address right?", cut(a.header.Get("Location")))
	}
	return &Error{Status: a.status, Detail: strings.TrimSpace(detail), RequestID: cut(a.header.Get("X-Request-Id")), RetryAfter: retryAfter(a.header.Get("Retry-After"))}
}

// cut bounds what a stranger wrote.
func cut(text string) string { return strings.ToValidUTF8(text[:min(len(text), 200)], "") }

// mostRetryAfter bounds what the header asks for. A date far ahead would be more than a Duration can add up.
const mostRetryAfter = 24 * time.Hour

// retryAfter reads the header, which has seconds or a date.
func retryAfter(text string) time.Duration {
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err == nil || errors.Is(err, strconv.ErrRange) { // then it is the nearest number that there is
		return time.Duration(min(max(seconds, 0), int64(mostRetryAfter/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(time.Until(at), 0), mostRetryAfter)
	}
	return 0
}
