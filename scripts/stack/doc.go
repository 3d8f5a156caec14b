// Package stack brings up what Waybill runs on: Postgres, the official Temporal server, its Web UI and Waybill itself,
// as plain processes of this machine.
//
// It serves two programs. scripts/run keeps one stack per checkout, whose state in .waybill/ outlives it;
// scripts/test brings up another on free ports and throws it away. A stack ends everything it started and nothing
// else: each child is recorded with its start time, so that a run after a kill -9 can tell its own leftovers from a
// stranger that was given the same process id.
package stack
