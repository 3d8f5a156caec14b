// Package postgres is all SQL of Waybill: one file per table or concern, the migration runner, and the caches that are
// safe only next to the SQL that keeps them true. Exported methods own their transaction; unexported functions are the
// statements in it.
//
// Errors: a missing row is CodeNotFound, a taken name CodeConflict, and whatever another try may cure (no connection, too
// many connections, a deadlock, a full disk, tables not migrated yet) CodeUnavailable with the cause for the log.
package postgres
