package dashboard

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"waybill/webhook"
)

// endpointValues are the fields of the form of a stored endpoint.
func (c *call) endpointValues(e *endpoint) url.Values {
	v := url.Values{
		"url": {e.URL}, "description": {e.Description}, "event_types": slices.Clone(e.EventTypes), "metadata": {joinPairs(e.Metadata)}, "auth": {choiceNone},
	}
	if e.Auth != nil {
		v.Set("auth", choiceKeep)
	}
	if e.Timeout != nil {
		v.Set("timeout", e.Timeout.String())
	}
	c.filterValues(v, e.Filter)
	if c.Dialect.Endpoints.MaxHeaders == 1 && len(e.Headers) <= 1 {
		for name, value := range e.Headers {
			v.Set("header.name", name)
			v.Set("header.value", value)
		}
	} else {
		v.Set("headers", joinPairs(e.Headers))
	}
	retryValues(v, e.Retry)
	if rule := e.AutoDisable; rule != nil && rule.Off {
		v.Set("auto_disable", choiceOff)
	} else if rule != nil {
		v.Set("auto_disable", choiceOwn)
		v.Set("auto_disable.failures", strconv.Itoa(rule.Failures))
		v.Set("auto_disable.span", rule.Span.String())
	}
	if chosen := e.SigningInForce.MessageSignatures; chosen != nil && *chosen != c.Dialect.MessageSignatures {
		v.Set("signing.message_signatures", map[bool]string{true: "on", false: choiceOff}[*chosen])
	}
	if also := e.AlsoSignAs; also != nil {
		v.Set("also_sign_as.dialect", also.Dialect)
		v.Set("also_sign_as.until", also.Until.UTC().Format("2006-01-02T15:04:05"))
	}
	if e.Verification != nil {
		v.Set("verification.method", string(e.Verification.Method))
		v.Set("verification.origin", e.Verification.Origin)
		v.Set("verification.credentials", strconv.FormatBool(e.Verification.Credentials))
	}
	return v
}

// filterValues gives each attribute that has a field of its own its values, a line each, and the others lines with their names.
func (c *call) filterValues(v url.Values, filter map[string][]string) {
	var others strings.Builder
	for _, name := range slices.Sorted(maps.Keys(filter)) {
		_, known := c.Dialect.Attributes[name]
		switch {
		case c.Session.Filter[name] != nil:
			v["filter."+name] = slices.Clone(filter[name])
		case known:
			v.Set("filter."+name, strings.Join(filter[name], "\n"))
		default:
			for _, value := range filter[name] {
				others.WriteString(name + ": " + value + "\n")
			}
		}
	}
	v.Set("other_filter", others.String())
}

func retryValues(v url.Values, p *webhook.RetryPolicy) {
	if p == nil {
		return
	}
	switch {
	case p.Policy != "":
		v.Set("retry", p.Policy)
	case p.Exponential != nil:
		v.Set("retry", choiceGrowing)
		v.Set("retry.exponential.first", p.Exponential.First.String())
		v.Set("retry.exponential.factor", strconv.FormatFloat(p.Exponential.Factor, 'f', -1, 64))
		v.Set("retry.exponential.retries", strconv.Itoa(p.Exponential.Retries))
		if p.Exponential.Cap != 0 {
			v.Set("retry.exponential.cap", p.Exponential.Cap.String())
		}
	default:
		v.Set("retry", choiceSchedule)
		delays := make([]string, len(p.Schedule))
		for i, d := range p.Schedule {
			delays[i] = d.String()
		}
		v.Set("retry.schedule", strings.Join(delays, ", "))
	}
	if p.Jitter != 0 {
		v.Set("retry.jitter", strconv.FormatFloat(p.Jitter, 'f', -1, 64))
	}
	if p.RetryAfterMax != 0 {
		v.Set("retry.retry_after_max", p.RetryAfterMax.String())
	}
}
