// Package tracing starts the spans of Waybill, by OpenTelemetry's API alone: cmd decides whether and where they go. It is a package of its
// own because the API, the dispatcher, the activities and the database begin spans of one trace, which must agree on how an event carries
// it, and on what a span may say: ids and codes, and never a payload, a secret, a header or a URL.
package tracing
