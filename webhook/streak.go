package webhook

import (
	"fmt"
	"time"
)

// Change says who disables or enables an endpoint, why and when.
type Change struct {
	// By is who asked, in at most 200 bytes: the name of a key, or one of the By constants.
	By string
	// Reason is one line of at most 500 bytes; of an enabling it is "".
	Reason string
	// URL is the one that was called, where a receiver asks: its answer means nothing for another URL. "": whatever the URL is.
	URL string
	At  time.Time
}

// Who makes a change where no key does.
const (
	BySignal   = "signal"   // a person, by a signal or an update of a workflow
	ByReceiver = "receiver" // it answered 410 Gone
	ByFailures = "failures" // its attempts failed too often in a row
	ByWaybill  = "waybill"  // Waybill itself
	ByTemporal = "temporal" // in an audit entry what BySignal is elsewhere
)

// Limits of an automatic disabling.
const (
	MaxDisableFailures = 10_000
	MaxDisableSpan     = 30 * 24 * time.Hour
)

// Streak is the failed attempts of an endpoint in a row, over all its deliveries but tests.
type Streak struct {
	// Failures is 0 when the last attempt succeeded, or the endpoint was enabled since.
	Failures int `json:"failures"`
	// Since is when the first of them failed; nil while there is none.
	Since *time.Time `json:"since,omitempty"`
	// LastFailureAt is when the last attempt failed, of any streak.
	LastFailureAt *time.Time `json:"-"`
}

// Reached reports whether the streak disables the endpoint. A nil rule never does.
func (a *AutoDisable) Reached(s *Streak) bool {
	return a != nil && !a.Off && a.Failures > 0 && s != nil && s.Failures >= a.Failures &&
		s.Since != nil && s.LastFailureAt != nil && s.LastFailureAt.Sub(*s.Since) >= a.Span.Std()
}

// Reason says why the streak disables the endpoint.
func (s *Streak) Reason() string {
	return fmt.Sprintf("%d attempts in a row failed since %s", s.Failures, s.Since.UTC().Format(time.RFC3339))
}

// AutoDisableOf returns the rule in force, nil for none: the endpoint's, otherwise the dialect's.
func AutoDisableOf(endpoint *AutoDisable, d *Dialect) *AutoDisable {
	switch {
	case endpoint == nil:
		return d.AutoDisable
	case endpoint.Off:
		return nil
	default:
		return endpoint
	}
}

// validate adds an error for every wrong field below prefix to found.
func (a *AutoDisable) validate(prefix string, found *problems) {
	switch {
	case a.Off && (a.Failures != 0 || a.Span != 0):
		found.addf(prefix, `is either {"off": true} or has failures and span`)
	case a.Off:
	case a.Failures < 1 || a.Failures > MaxDisableFailures:
		found.addf(prefix+".failures", "is from 1 to %d, not %d", MaxDisableFailures, a.Failures)
	case a.Span < 0 || a.Span.Std() > MaxDisableSpan:
		found.addf(prefix+".span", "is from 0s to 720h, not %s", a.Span)
	}
}
