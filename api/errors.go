package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"waybill/webhook"
)

// reply is the status and the title for a code.
type reply struct {
	status int
	title  string
}

// replies is the one table from codes to HTTP.
var replies = map[webhook.Code]reply{
	webhook.CodeMalformed:           {http.StatusBadRequest, "The request is malformed"},
	webhook.CodeUnauthorized:        {http.StatusUnauthorized, "A valid API key is needed"},
	webhook.CodeForbidden:           {http.StatusForbidden, "The API key may not do this"},
	webhook.CodeNotFound:            {http.StatusNotFound, "Not found"},
	webhook.CodeMethodNotAllowed:    {http.StatusMethodNotAllowed, "Method not allowed"},
	webhook.CodeConflict:            {http.StatusConflict, "The present state forbids this"},
	webhook.CodeEventIDConflict:     {http.StatusConflict, "The event id is taken"},
	webhook.CodeIdempotencyConflict: {http.StatusConflict, "The idempotency key is taken"},
	webhook.CodeRecipientLimit:      {http.StatusConflict, "The event has too many recipients"},
	webhook.CodePreconditionFailed:  {http.StatusPreconditionFailed, "It was changed since"},
	webhook.CodeTooLarge:            {http.StatusRequestEntityTooLarge, "The request is too large"},
	webhook.CodeUnsupportedMedia:    {http.StatusUnsupportedMediaType, "The request body must be JSON"},
	webhook.CodeInvalid:             {http.StatusUnprocessableEntity, "A field is not acceptable"},
	webhook.CodeUnknownEventType:    {http.StatusUnprocessableEntity, "The event type is unknown"},
	webhook.CodeSchemaViolation:     {http.StatusUnprocessableEntity, "The data breaks its schema"},
	webhook.CodeBacklogFull:         {http.StatusTooManyRequests, "Too many events wait to be dispatched"},
	webhook.CodeRateLimited:         {http.StatusTooManyRequests, "Too many requests"},
	webhook.CodeOverloaded:          {http.StatusTooManyRequests, "Too many requests at once"},
	webhook.CodeInternal:            {http.StatusInternalServerError, "Internal error"},
	webhook.CodeUnavailable:         {http.StatusServiceUnavailable, "Temporarily unavailable"},
}

// problem is an RFC 9457 problem document.
type problem struct {
	Type      string               `json:"type"`
	Title     string               `json:"title"`
	Status    int                  `json:"status"`
	Detail    string               `json:"detail"`
	Code      webhook.Code         `json:"code"`
	RequestID string               `json:"request_id"`
	Errors    []webhook.FieldError `json:"errors,omitempty"`
}

const internalDetail = "Something went wrong on our side; the log has it under the request id."

// Error logs what the operator must know of err and answers with its problem document.
func (s *Server) Error(w http.ResponseWriter, r *http.Request, err error) {
	p := s.problem(r, err)
	switch p.Status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="waybill"`)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		if w.Header().Get("Retry-After") == "" {
			w.Header().Set("Retry-After", retryAfter(p.Code))
		}
	}
	writeBody(w, p.Status, "application/problem+json", mustMarshal(p))
}

// retryAfter returns the seconds for the Retry-After header. A full backlog takes longer to shrink than a database to
// restart.
func retryAfter(code webhook.Code) string {
	if code == webhook.CodeBacklogFull {
		return "5"
	}
	return "1"
}

// problem converts err to a problem document, and counts and logs it. The text of an internal error and of every cause goes
// only to the log.
func (s *Server) problem(r *http.Request, err error) problem {
	e := asError(r.Context(), err)
	known, ok := replies[e.Code]
	if !ok {
		e, known = internalError(err), replies[webhook.CodeInternal]
	}
	s.metrics.problem(e.Code)
	s.logError(r, e.Code, err)
	e = e.Bounded()
	return problem{
		Type:      "urn:waybill:problem:" + string(e.Code),
		Title:     known.title,
		Status:    known.status,
		Detail:    e.Message,
		Code:      e.Code,
		RequestID: infoOf(r).id,
		Errors:    e.Fields,
	}
}

// asError finds the Error in err's chain. Any other error is internal, unless it is a timeout or the caller has gone.
func asError(ctx context.Context, err error) *webhook.Error {
	var e *webhook.Error
	switch {
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return webhook.Errorf(webhook.CodeUnavailable, "the request was canceled").WithCause(err)
	case errors.Is(err, context.DeadlineExceeded):
		return webhook.Errorf(webhook.CodeUnavailable, "a service that Waybill needs did not answer in time").WithCause(err)
	case !errors.As(err, &e) || e.Code == webhook.CodeInternal:
		return internalError(err)
	default:
		return e
	}
}

func internalError(cause error) *webhook.Error {
	return webhook.Errorf(webhook.CodeInternal, internalDetail).WithCause(cause)
}

func (s *Server) logError(r *http.Request, code webhook.Code, err error) {
	level := slog.LevelDebug
	switch {
	case r.Context().Err() != nil: // the caller has gone, which is no failure
	case code == webhook.CodeInternal:
		level = slog.LevelError
	case code == webhook.CodeUnavailable:
		level = slog.LevelWarn
	}
	s.log.LogAttrs(r.Context(), level, "request failed", slog.String("request_id", infoOf(r).id),
		slog.String("method", r.Method), slog.String("route", infoOf(r).route),
		slog.String("code", string(code)), slog.String("error", err.Error()))
}

// invalid returns a CodeInvalid error about fields, nil when there are none.
func invalid(what string, fields ...webhook.FieldError) error {
	if len(fields) == 0 {
		return nil
	}
	return webhook.NewInvalid(what, fields...)
}
