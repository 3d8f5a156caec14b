package activities

// These export internals for the tests in package activities_test.
var ParseRetryAfter = parseRetryAfter

// Limits that tests check against.
const (
	MaxErrorBytes      = maxErrorBytes
	MaxRecordedHeaders = maxRecordedHeaders
	MaxRecordedBytes   = maxRecordedBytes
	LeastCut           = leastCut
)
