// Package worker binds the workflows and activities to their task queues and starts the workflows of accepted events:
// the dispatcher right after the commit, the relay for whatever the dispatcher did not get to. The ingester accepts what
// producers published with SQL. The reconciler starts anew the workflows that were lost afterwards.
package worker
