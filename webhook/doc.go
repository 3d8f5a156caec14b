// Package webhook is the domain: tenants, endpoints, events, deliveries, attempts, dialects, retry policies and
// signatures, as plain values and pure functions. It uses the standard library only, reads no clock, draws no random
// number and does no I/O: whoever calls it brings the time, the ids and the bytes.
package webhook
