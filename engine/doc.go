// Package engine is the typed client of the workflows: it starts, signals, queries and reconciles them, and it is the one place
// where an endpoint is disabled or enabled, in the database first and in the running workflows then.
package engine
