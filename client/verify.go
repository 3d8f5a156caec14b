package client

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Dialects that Verify knows, which are those that come with Waybill.
const (
	DialectStandard          = "standard"
	DialectRheo              = "rheo"
	DialectTradly            = "tradly"
	DialectTradevine         = "tradevine"
	DialectAuctionExcellence = "auction-excellence"
)

// Tolerance is how far a signed timestamp may be from the receiver's clock, as in the libraries of Standard Webhooks.
const Tolerance = 5 * time.Minute

// Why a request does not verify; errors.Is tells which. Only ErrUnknownDialect and ErrBadSecret are faults of the receiver.
var (
	ErrMissingHeader  = errors.New("a header is missing")
	ErrMalformed      = errors.New("a header cannot be read")
	ErrWrongSignature = errors.New("no signature is right")
	ErrTooOld         = errors.New("the timestamp is too old")
	ErrTooNew         = errors.New("the timestamp is ahead of the clock")
	ErrUnknownDialect = errors.New("the dialect is not known")
	ErrBadSecret      = errors.New("the secret cannot be read")
)

// VerifyError says why a request does not verify. It never has a secret or a signature that would be right.
type VerifyError struct {
	// Reason is one of the errors above.
	Reason error
	// Header is the one that Reason is about; "": it is about none.
	Header string
	// Detail says more, in plain words.
	Detail string
}

// Error says which header is wrong, and how.
func (e *VerifyError) Error() string {
	if e.Header == "" {
		return fmt.Sprintf("webhook: %s: %s", e.Reason, e.Detail)
	}
	return fmt.Sprintf("webhook: %s: %s: %s", e.Header, e.Reason, e.Detail)
}

// Unwrap returns the reason.
func (e *VerifyError) Unwrap() error { return e.Reason }

// VerifyOption changes how Verify works.
type VerifyOption func(*verification)

// OrSecret accepts a further secret, while a rotation lasts.
func OrSecret(secret string) VerifyOption {
	return func(v *verification) { v.secrets = append(v.secrets, secret) }
}

// WithClock sets the clock; time.Now without it.
func WithClock(now func() time.Time) VerifyOption { return func(v *verification) { v.now = now } }

// WithTolerance sets how far a signed timestamp may be from the clock; Tolerance without it.
func WithTolerance(d time.Duration) VerifyOption { return func(v *verification) { v.tolerance = d } }

// verification is the check of one request.
type verification struct {
	header    http.Header
	body      []byte
	secrets   []string
	now       func() time.Time
	tolerance time.Duration
}

// Verify returns nil when a request was signed with the secret by a Waybill that speaks the dialect, and a *VerifyError otherwise.
//
// body is the raw body, as it was received: JSON that was parsed and written again has other bytes. secret is the endpoint's or, in the
// dialect tradevine, the tenant's, as Waybill shows it; where the endpoint signs with Ed25519 it is its public key (whpk_...). Signatures
// are compared in constant time. All signature headers of the dialect must be there and right.
//
// Where the signature covers a timestamp (standard, tradly), it may be no further from the clock than the tolerance. The others sign the
// body alone: keep the ids of events that you have seen, and ignore one that comes again. Do so in any case, since a delivery can come
// twice.
func Verify(dialect, secret string, header http.Header, body []byte, options ...VerifyOption) error {
	signatures, ok := dialects[dialect]
	if !ok {
		return &VerifyError{Reason: ErrUnknownDialect, Detail: fmt.Sprintf("%q; known are standard, rheo, tradly, tradevine and auction-excellence", dialect)}
	}
	v := &verification{header: header, body: body, secrets: []string{secret}, now: time.Now, tolerance: Tolerance}
	for _, option := range options {
		option(v)
	}
	for i := range signatures {
		if err := v.verify(&signatures[i]); err != nil {
			return err
		}
	}
	return nil
}

// verify checks one header of signatures.
func (v *verification) verify(s *scheme) error {
	given, err := v.given(s)
	if err != nil {
		return err
	}
	message, at, err := v.message(s)
	if err != nil {
		return err
	}
	keys, err := s.keys(v.secrets)
	if err != nil {
		return err
	}
	right := false
	for _, text := range given {
		for i := range keys {
			// Each is compared, so that time tells nothing of which one is right.
			right = keys[i].signed(s, message, text) || right
		}
	}
	if !right {
		return &VerifyError{Reason: ErrWrongSignature, Header: s.header, Detail: s.advice()}
	}
	return v.age(s, at)
}

// one returns a header that is there once.
func (v *verification) one(name string) (string, error) {
	var given []string
	for key, values := range v.header {
		// A header that was not read by net/http may be written in any way.
		if strings.EqualFold(key, name) {
			given = append(given, values...)
		}
	}
	switch {
	case len(given) == 0 || len(given) == 1 && strings.TrimSpace(given[0]) == "":
		return "", &VerifyError{Reason: ErrMissingHeader, Header: name, Detail: "the request has none: is it from Waybill, in this dialect, and does a proxy let the header through?"}
	case len(given) > 1:
		return "", &VerifyError{Reason: ErrMalformed, Header: name, Detail: "it is there more than once"}
	}
	return strings.TrimSpace(given[0]), nil
}

// message is the text that is signed, and the timestamp in it where there is one.
func (v *verification) message(s *scheme) (message []byte, at time.Time, err error) {
	if s.signs == signsBody {
		return v.body, at, nil
	}
	id, err := v.one("webhook-id")
	if err != nil || s.signs == signsID {
		return []byte(id), at, err
	}
	stamp, err := v.one("webhook-timestamp")
	if err != nil {
		return nil, at, err
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	switch {
	case err != nil:
		return nil, at, &VerifyError{Reason: ErrMalformed, Header: "webhook-timestamp", Detail: "it is not a number of seconds"}
	case seconds > 100_000_000_000:
		return nil, at, &VerifyError{Reason: ErrMalformed, Header: "webhook-timestamp", Detail: "it is in milliseconds where seconds are expected"}
	}
	message = make([]byte, 0, len(id)+len(stamp)+2+len(v.body))
	message = append(append(append(message, id+"."...), stamp+"."...), v.body...)
	return message, time.Unix(seconds, 0), nil
}

// age checks the timestamp of a signature that is right.
func (v *verification) age(s *scheme, at time.Time) error {
	if s.signs != signsAll {
		return nil
	}
	age := v.now().Truncate(time.Second).Sub(at)
	detail := fmt.Sprintf("the signature is right; the difference is %s, and %s are allowed", age.Abs(), v.tolerance)
	switch {
	case age > v.tolerance:
		return &VerifyError{Reason: ErrTooOld, Header: "webhook-timestamp", Detail: detail}
	case -age > v.tolerance:
		return &VerifyError{Reason: ErrTooNew, Header: "webhook-timestamp", Detail: detail}
	}
	return nil
}
