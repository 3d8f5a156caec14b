// Package postgres holds all SQL of Waybill, in one file per table or concern, the migration runner, and the caches, which
// are correct only together with the SQL that checks their versions. Exported methods own their transaction; unexported
// functions are the statements in it.
//
// Errors: a missing row is CodeNotFound and a taken name CodeConflict. CodeUnavailable, with the cause for the log, is
// everything that another try may cure: no connection, too many connections, a deadlock, a full disk, tables that are not
// migrated yet.
package postgres
