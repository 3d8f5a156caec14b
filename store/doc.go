// Package store is what the other packages ask of a database: the values that cross that border, and the interfaces, with
// each contract written once. Package postgres implements them all, fakes in tests some. A consumer declares the part that
// it needs as an interface of its own, in the words that stand here.
//
// Every method may answer webhook.CodeUnavailable: the database does not answer, and the same call may succeed later. A method
// that names a thing answers webhook.CodeNotFound when the tenant has none such. Times are UTC; leases, and what is late, are
// measured by the database's clock.
package store
