// Package webhook is the domain: tenants, endpoints, events, deliveries, attempts, dialects, retry policies and signatures,
// as plain values and pure functions. It uses only the standard library, reads no clock, draws no random numbers and does
// no I/O. Callers pass in the time, the ids and the bytes.
package webhook
