// Package api is Waybill's HTTP API: the routes, one file per resource, the one table that turns error codes into statuses,
// authentication, and metrics. A handler reads its input, makes one call and writes the answer; every failure is the same
// line, return err. The package declares the interfaces that it needs of the store and of the engine, and uses neither SQL
// nor Temporal.
package api
