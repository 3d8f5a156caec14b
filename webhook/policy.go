package webhook

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"time"
)

// Limits of a retry policy. MaxRetries keeps the history of a workflow with 200 deliveries under Temporal's 51,200 events.
// MinRetryDelay keeps one delivery from flooding its receiver. Jitter and Retry-After only lengthen a delay.
const (
	MaxRetries    = 30
	MinRetryDelay = time.Second
	MaxRetryDelay = 7 * 24 * time.Hour
	// MaxPolicies is how many different retry policies the endpoints of a tenant may have. The workflow of an event that
	// goes to all of them carries each policy, and Temporal accepts an input of 2 MiB.
	MaxPolicies = 1000
)

// RetryPolicy says how long to wait between attempts. In a request exactly one of Policy, Schedule and Exponential is set.
type RetryPolicy struct {
	// Policy names a well-known policy: "exponential-5" or "table-5".
	Policy string `json:"policy,omitempty"`
	// Schedule lists the delays. Delay n is the time from the end of attempt n to the start of attempt n+1. Empty, but not
	// nil, means a single attempt.
	Schedule []Duration `json:"schedule,omitzero"`
	// Exponential computes the delays.
	Exponential *Exponential `json:"exponential,omitempty"`
	// Jitter lengthens each delay by a pseudo-random fraction of it, between 0 and Jitter (0 to 1), per delivery and
	// attempt.
	Jitter float64 `json:"jitter,omitempty"`
	// RetryAfterMax is how far a receiver's Retry-After may lengthen a delay; 0 ignores the header.
	RetryAfterMax Duration `json:"retry_after_max,omitempty"`
}

// Exponential is first, first*factor, first*factor^2, ... up to Retries delays, none above Cap (0: no cap).
type Exponential struct {
	First   Duration `json:"first"`
	Factor  float64  `json:"factor"`
	Retries int      `json:"retries"`
	Cap     Duration `json:"cap,omitempty"`
}

// Named policies for any tenant or endpoint (dialects.md, "What a dialect can say").
var namedPolicies = map[string][]Duration{
	"exponential-5": seconds(1, 2, 4, 8, 16),
	"table-5":       seconds(60, 300, 1800, 7200, 43200),
}

func seconds(n ...int) []Duration {
	out := make([]Duration, len(n))
	for i, s := range n {
		out[i] = Duration(time.Duration(s) * time.Second)
	}
	return out
}

// Resolve returns the same policy with Schedule filled in and without Policy and Exponential. Workflows carry this form, so
// that a changed default affects only new events. The policy must be valid.
func (p RetryPolicy) Resolve() RetryPolicy {
	out := RetryPolicy{Schedule: p.Schedule, Jitter: p.Jitter, RetryAfterMax: p.RetryAfterMax}
	switch {
	case p.Policy != "":
		out.Schedule = namedPolicies[p.Policy]
	case p.Exponential != nil:
		out.Schedule = p.Exponential.delays()
	}
	return out
}

// Key returns a text that is equal for two resolved policies exactly when they have the same effect.
func (p RetryPolicy) Key() string {
	key := make([]byte, 0, 8*(len(p.Schedule)+3))
	key = binary.BigEndian.AppendUint64(key, math.Float64bits(p.Jitter))
	key = binary.BigEndian.AppendUint64(key, uint64(p.RetryAfterMax))
	for _, d := range p.Schedule {
		key = binary.BigEndian.AppendUint64(key, uint64(d))
	}
	return string(key)
}

func (e Exponential) delays() []Duration {
	out := make([]Duration, 0, e.Retries)
	delay := float64(e.First)
	for range e.Retries {
		limit := float64(MaxRetryDelay)
		if e.Cap > 0 {
			limit = min(limit, float64(e.Cap))
		}
		delay = min(delay, limit)
		out = append(out, Duration(math.Round(delay)))
		delay *= e.Factor
	}
	return out
}

// Delay returns the wait after failed attempt n (from 1), and false when no retry is left. seed, such as a delivery id,
// makes the jitter repeatable without a random number. retryAfter is the delay that the receiver asked for; 0: none. It can
// lengthen a delay up to RetryAfterMax and never shortens it. The policy must be resolved.
func (p RetryPolicy) Delay(n int, seed string, retryAfter time.Duration) (time.Duration, bool) {
	if n < 1 || n > len(p.Schedule) {
		return 0, false
	}
	delay := p.Schedule[n-1].Std()
	if p.Jitter > 0 {
		// SHA-256 is used because a checksum gives nearly the same value for neighboring attempts.
		sum := sha256.Sum256(append([]byte(seed), byte(n)))
		fraction := float64(binary.BigEndian.Uint64(sum[:])>>11) / (1 << 53)
		delay += time.Duration(fraction * p.Jitter * float64(delay)).Round(time.Millisecond)
	}
	return max(delay, min(retryAfter, p.RetryAfterMax.Std())), true
}

// RetryPolicyOf returns the policy in force, resolved: the endpoint's, otherwise the tenant's, otherwise the dialect's.
// Only this function knows the order.
func RetryPolicyOf(endpoint, tenant *RetryPolicy, d *Dialect) RetryPolicy {
	switch {
	case endpoint != nil:
		return endpoint.Resolve()
	case tenant != nil:
		return tenant.Resolve()
	default:
		return d.Retry.Resolve()
	}
}

// validate adds an error for every wrong field below prefix to found.
func (p RetryPolicy) validate(prefix string, found *problems) {
	forms := 0
	if p.Policy != "" {
		forms++
		if _, ok := namedPolicies[p.Policy]; !ok {
			found.addf(prefix+".policy", `is %q; known policies are "exponential-5" and "table-5"`, p.Policy)
		}
	}
	if p.Schedule != nil {
		forms++
		p.validateSchedule(prefix+".schedule", found)
	}
	if p.Exponential != nil {
		forms++
		p.Exponential.validate(prefix+".exponential", found)
	}
	if forms != 1 {
		found.addf(prefix, `needs exactly one of "policy", "schedule" and "exponential"`)
	}
	if p.Jitter < 0 || p.Jitter > 1 || math.IsNaN(p.Jitter) {
		found.addf(prefix+".jitter", "is a fraction from 0 to 1, not %v", p.Jitter)
	}
	if p.RetryAfterMax < 0 || p.RetryAfterMax.Std() > MaxRetryDelay {
		found.addf(prefix+".retry_after_max", "is from 0s to 168h, not %s", p.RetryAfterMax)
	}
}

func (p RetryPolicy) validateSchedule(field string, found *problems) {
	if len(p.Schedule) > MaxRetries {
		found.addf(field, "has %d delays; at most %d fit", len(p.Schedule), MaxRetries)
	}
	for i, d := range p.Schedule {
		if d.Std() < MinRetryDelay || d.Std() > MaxRetryDelay {
			found.addf(indexed(field, i), "is from 1s to 168h, not %s", d)
		}
	}
}

func (e Exponential) validate(field string, found *problems) {
	if e.First.Std() < MinRetryDelay || e.First.Std() > MaxRetryDelay {
		found.addf(field+".first", "is from 1s to 168h, not %s", e.First)
	}
	if !(e.Factor >= 1 && e.Factor <= 10) {
		found.addf(field+".factor", "is from 1 to 10, not %v", e.Factor)
	}
	if e.Retries < 0 || e.Retries > MaxRetries {
		found.addf(field+".retries", "is from 0 to %d, not %d", MaxRetries, e.Retries)
	}
	if e.Cap != 0 && (e.Cap.Std() < MinRetryDelay || e.Cap.Std() > MaxRetryDelay) {
		found.addf(field+".cap", "is from 1s to 168h, or 0s for none, not %s", e.Cap)
	}
}
