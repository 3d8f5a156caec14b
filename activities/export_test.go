package activities

// What tests of this package's surface need from inside.
var (
	ParseRetryAfter = parseRetryAfter
	Clean           = clean
)

// Limits that tests check against.
const (
	MaxErrorBytes      = maxErrorBytes
	MaxRecordedHeaders = maxRecordedHeaders
	MaxRecordedBytes   = maxRecordedBytes
)
