package webhook

import "time"

// Status is the state of a delivery.
type Status string

// The statuses. Delivered, exhausted and canceled are settled: no attempt follows unless a person asks for one.
const (
	StatusPending   Status = "pending"   // no attempt yet
	StatusRetrying  Status = "retrying"  // failed, another attempt is scheduled
	StatusHeld      Status = "held"      // the endpoint is disabled; continues when it is enabled
	StatusDelivered Status = "delivered" // the receiver acknowledged
	StatusExhausted Status = "exhausted" // the last attempt failed, or the receiver said never to try again
	StatusCanceled  Status = "canceled"  // a person gave up, the hold time passed, or the endpoint was deleted
)

// Statuses lists every status.
var Statuses = []Status{StatusPending, StatusRetrying, StatusHeld, StatusDelivered, StatusExhausted, StatusCanceled}

// Settled reports whether no attempt follows by itself.
func (s Status) Settled() bool {
	return s == StatusDelivered || s == StatusExhausted || s == StatusCanceled
}

// SettledText says why a settled delivery does not do what a person asks, and what helps.
func (s Status) SettledText() string {
	return "the delivery is " + string(s) + " already, and no attempt follows by itself; to send it again, POST .../deliveries/{delivery}/retry"
}

// Outcome is how one attempt ended.
type Outcome string

// The outcomes.
const (
	OutcomeDelivered Outcome = "delivered" // 2xx within the timeout
	OutcomeRetryable Outcome = "retryable" // failed; trying again may help
	OutcomeRejected  Outcome = "rejected"  // failed; a retry cannot help
)

// ErrorClass is the kind of a failure. The set is closed, so it can label a metric.
type ErrorClass string

// The error classes. "" means no error.
const (
	ErrorHTTPStatus ErrorClass = "http_status" // an answer that is neither 2xx nor 3xx
	ErrorRedirect   ErrorClass = "redirect"    // 3xx: never followed
	ErrorTimeout    ErrorClass = "timeout"     // no complete answer in time
	ErrorDNS        ErrorClass = "dns"         // the host name does not resolve to an address that Waybill may call
	ErrorConnect    ErrorClass = "connect"     // refused, unreachable or reset while dialing, by the receiver or by the proxy on the way to it
	ErrorTLS        ErrorClass = "tls"         // handshake or certificate
	ErrorBlocked    ErrorClass = "blocked"     // an address or a port that Waybill must not call; nothing was sent
	ErrorProtocol   ErrorClass = "protocol"    // the answer broke off or is not HTTP
	ErrorAuth       ErrorClass = "auth"        // the endpoint's token server gave no token; nothing was sent
)

// ErrorClasses lists every class of a failed attempt.
var ErrorClasses = []ErrorClass{
	ErrorHTTPStatus, ErrorRedirect, ErrorTimeout, ErrorDNS, ErrorConnect, ErrorTLS, ErrorBlocked, ErrorProtocol, ErrorAuth,
}

// Delivery is one event to one endpoint, until settled.
type Delivery struct {
	ID         DeliveryID `json:"id" db:"id"`
	EventID    string     `json:"event_id" db:"event_id"`
	EventType  string     `json:"event_type" db:"event_type"`
	EndpointID EndpointID `json:"endpoint_id" db:"endpoint_id"`
	Status     Status     `json:"status" db:"status"`
	// Attempts is how many attempts were recorded.
	Attempts int `json:"attempts" db:"attempts"`
	// NextAttemptAt is when the next attempt is due while retrying. While pending it is set once the delivery was released
	// or found stalled, and says since when the attempt is due.
	NextAttemptAt *time.Time `json:"next_attempt_at,omitempty" db:"next_attempt_at"`
	// HeldUntil is when a held delivery is canceled; nil while it is not held, or held without limit.
	HeldUntil *time.Time `json:"held_until,omitempty" db:"-"`
	// Test says that a person tested the endpoint with it: one attempt is made, even while the endpoint is disabled.
	Test bool `json:"test" db:"test"`
	// Reason says why the delivery is held or canceled.
	Reason string `json:"reason,omitempty" db:"reason"`
	// LastAttempt is nil before the first attempt.
	LastAttempt *LastAttempt `json:"last_attempt,omitempty" db:"-"`
	CreatedAt   time.Time    `json:"created_at" db:"created_at"`
	UpdatedAt   time.Time    `json:"updated_at" db:"updated_at"`

	// HeldAt is set while the delivery is held.
	HeldAt *time.Time `json:"-" db:"held_at"`
	// Queued says that the endpoint's queue owns the delivery, not the event's workflow.
	Queued bool `json:"-" db:"queued"`
}

// LastAttempt is what a line of the log tells of a delivery's latest attempt.
type LastAttempt struct {
	Number     int        `json:"number"`
	StartedAt  time.Time  `json:"started_at"`
	DurationMS int64      `json:"duration_ms"`
	StatusCode int        `json:"status_code,omitempty"`
	ErrorClass ErrorClass `json:"error_class,omitempty"`
	Error      string     `json:"error,omitempty"`
}

// AttemptSummary is an attempt as shown in a history.
type AttemptSummary struct {
	// Number counts from 1 within the delivery.
	Number int `json:"number" db:"number"`
	// Manual says that a person asked for the attempt; the retry policy does not count it.
	Manual     bool       `json:"manual,omitempty" db:"manual"`
	StartedAt  time.Time  `json:"started_at" db:"started_at"`
	DurationMS int64      `json:"duration_ms" db:"duration_ms"`
	StatusCode int        `json:"status_code,omitempty" db:"status_code"`
	Outcome    Outcome    `json:"outcome" db:"outcome"`
	ErrorClass ErrorClass `json:"error_class,omitempty" db:"error_class"`
	Error      string     `json:"error,omitempty" db:"error"`
}

// Attempt is one HTTP request of a delivery, as recorded.
type Attempt struct {
	ID         AttemptID  `json:"id" db:"id"`
	DeliveryID DeliveryID `json:"delivery_id" db:"delivery_id"`
	AttemptSummary
	// URL is where it was sent; "" where an earlier version recorded it.
	URL string `json:"url" db:"url"`
	// SignedWith are the fingerprints of the secrets that signed, the current one's first; empty where an earlier version recorded it.
	SignedWith []string `json:"signed_with,omitempty" db:"-"`
	// RequestHeaders and ResponseHeaders are redacted where they carry secrets. A signature is none.
	RequestHeaders  map[string]string `json:"request_headers" db:"-"`
	ResponseHeaders map[string]string `json:"response_headers" db:"-"`
	// ResponseBody is the first 16 KiB of the answer.
	ResponseBody []byte `json:"response_body" db:"response_body"`
	// ResponseTruncated says that the answer was longer, or broke off.
	ResponseTruncated bool `json:"response_truncated,omitempty" db:"response_truncated"`
}

// DeliveryHistory is one delivery with its attempts.
type DeliveryHistory struct {
	ID            DeliveryID       `json:"id"`
	EndpointID    EndpointID       `json:"endpoint_id"`
	Status        Status           `json:"status"`
	Reason        string           `json:"reason,omitempty"`
	NextAttemptAt *time.Time       `json:"next_attempt_at,omitempty"`
	Attempts      []AttemptSummary `json:"attempts"`
}

// History is an event's deliveries: what the workflow's query delivery_history and the API answer.
type History struct {
	EventID    string            `json:"event_id"`
	Deliveries []DeliveryHistory `json:"deliveries"`
}
