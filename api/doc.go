// Package api is Waybill's HTTP API: the routes, one file per resource, the one table that turns error codes into
// statuses, authentication and the measurements. A handler reads its input, makes one call and writes the answer; every
// failure leaves it as the same line, return err. The package declares what it needs of the store and of the engine and
// knows neither SQL nor Temporal.
package api
