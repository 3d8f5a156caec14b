package webhook

import (
	"regexp"
	"strings"
	"time"
)

// ByVerification is who disabled an endpoint whose receiver has not proven yet that it wants the deliveries.
const ByVerification = "verification"

// VerificationMethod is how a receiver proves that it wants what is sent to it.
type VerificationMethod string

// The methods of verification.
const (
	// VerifyToken: a POST has a random token, which the answer repeats.
	VerifyToken VerificationMethod = "token"
	// VerifyCloudEvents: the answer to OPTIONS allows the origin (CloudEvents, "HTTP 1.1 Web Hooks for Event Delivery", section 4).
	VerifyCloudEvents VerificationMethod = "cloudevents"
)

// HeaderRequestOrigin is sent in the handshake of CloudEvents, and after it with each delivery.
const HeaderRequestOrigin = "WebHook-Request-Origin"

// Verification is what an endpoint asks of its receiver before anything is sent to it.
type Verification struct {
	Method VerificationMethod `json:"method"`
	// Origin is the DNS name of the sender, for VerifyCloudEvents.
	Origin string `json:"origin,omitempty"`
	// Credentials says that the challenge has the endpoint's credentials and custom headers. Without it a URL that nobody has proven
	// yet gets neither; with it the receiver may stand behind a gateway that lets nobody through who has none.
	Credentials bool `json:"credentials,omitempty"`
}

// Challenged returns the endpoint as its receiver is challenged, and whether something of it is withheld: custom headers and credentials,
// unless its verification asks for them. A client certificate stays: whoever sees it can do nothing with it, and a receiver that demands
// one answers nobody else.
func (e *Endpoint) Challenged() (as *Endpoint, withheld bool) {
	if VerificationOf(e.Verification).Credentials || len(e.Headers) == 0 && !e.Auth.SetsAuthorization() {
		return e, false
	}
	bare := *e
	bare.Headers = nil
	if bare.Auth.SetsAuthorization() {
		bare.Auth = nil
	}
	return &bare, true
}

// VerificationOf returns what an endpoint's receiver is asked: the endpoint's choice, or a token.
func VerificationOf(v *Verification) Verification {
	if v == nil {
		return Verification{Method: VerifyToken}
	}
	return *v
}

// originOf returns the origin that each delivery has to name; "": none.
func (v *Verification) originOf() string {
	if v == nil || v.Method != VerifyCloudEvents {
		return ""
	}
	return v.Origin
}

// WithOrigin adds the header that the receiver of an endpoint was asked for, if it was.
func (v *Verification) WithOrigin(headers []Header) []Header {
	if origin := v.originOf(); origin != "" {
		return append(headers, Header{Name: HeaderRequestOrigin, Value: origin})
	}
	return headers
}

// originPattern is a DNS name of two labels or more.
var originPattern = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

const maxOriginBytes = 253

func (v *Verification) validate(field string, found *problems) {
	switch {
	case v.Method != VerifyToken && v.Method != VerifyCloudEvents:
		found.addf(field+".method", "is %s or %s, not %q", VerifyToken, VerifyCloudEvents, v.Method)
	case v.Method == VerifyToken && v.Origin != "":
		found.addf(field+".origin", "belongs to the method %s", VerifyCloudEvents)
	case v.Method == VerifyCloudEvents && (len(v.Origin) > maxOriginBytes || !originPattern.MatchString(v.Origin)):
		found.addf(field+".origin", `is the DNS name of the sender in lower case, such as "events.example.com", at most %d bytes long`, maxOriginBytes)
	}
}

// Proof is the outcome of a challenge to the receiver of an endpoint.
type Proof struct {
	// Version is that of the endpoint which was challenged.
	Version int64
	Method  VerificationMethod
	// Refused says why the receiver has proven nothing; "": it has.
	Refused string
	// AllowedRate is how many requests a minute the receiver allows; 0: it did not say, or it has no limit.
	AllowedRate int
	At          time.Time
}

// BoundRate returns the rate of a recovery, in deliveries a second, that keeps to what the endpoint's receiver allows. The least is one a second.
// 0 means no bound.
func (e *Endpoint) BoundRate(rate int) int {
	if e.AllowedRate == 0 {
		return rate
	}
	allowed := max(e.AllowedRate/60, 1)
	if rate == 0 {
		return min(allowed, MaxRecoveryRate)
	}
	return min(rate, allowed)
}

// AllowsOrigin reports whether the value of WebHook-Allowed-Origin allows the origin.
func AllowsOrigin(allowed, origin string) bool {
	allowed = strings.TrimSpace(allowed)
	return allowed == "*" || strings.EqualFold(allowed, origin)
}
