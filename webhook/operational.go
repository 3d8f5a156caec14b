package webhook

import "slices"

// The operational events, which tell the operator's tenant of endpoints in trouble (design, section 10).
const (
	TypeEndpointFailing  = "endpoint.failing" // half of the failures that disable it
	TypeEndpointDisabled = "endpoint.disabled"
	TypeEndpointEnabled  = "endpoint.enabled"
	// TypeCertificateExpiring tells of the end of an endpoint's client certificate before it comes.
	TypeCertificateExpiring = "endpoint.certificate_expiring"
	TypeDeliveryExhausted   = "delivery.exhausted"
	TypeRecoveryCompleted   = "recovery.completed" // or canceled
)

// OperationalTypes lists them.
var OperationalTypes = []string{
	TypeEndpointFailing, TypeEndpointDisabled, TypeEndpointEnabled, TypeCertificateExpiring, TypeDeliveryExhausted, TypeRecoveryCompleted,
}

// Operational stands for a dialect's name where Schemas are asked for the schema of an operational event. No dialect has it.
const Operational = ""

// gets reports whether the tenant gets operational events of the type, which no catalogue of a dialect has to list.
func (t *Tenant) gets(eventType string) bool {
	return t.Operator && slices.Contains(OperationalTypes, eventType)
}

// getsSome reports whether a pattern covers an operational event that a tenant gets.
func (l *Limits) getsSome(pattern string) bool {
	return l.Operator && slices.ContainsFunc(OperationalTypes, func(t string) bool { return matchType(pattern, t) })
}
