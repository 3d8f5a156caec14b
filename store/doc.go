// Package store says what the other packages need of a database: the interfaces, with each contract written once, and the
// values that they exchange. Package postgres implements all of them, and fakes in tests some. A consumer declares an
// interface with the methods that it needs.
//
// Every method may answer webhook.CodeUnavailable: the database does not answer, and the same call may succeed later. A
// method that takes an id answers webhook.CodeNotFound when the tenant has nothing with that id. Times are UTC. Leases and
// delays are measured by the database's clock.
package store
