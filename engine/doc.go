// Package engine is the typed client of the workflows: it starts, signals, updates, queries and lists them. It is also the
// one place where an endpoint is disabled, enabled or deleted: first in the database, then in the running workflows.
package engine
