// Package worker binds the workflows and activities to their task queues. The dispatcher starts the workflows of accepted
// events right after the commit. The relay starts those that the dispatcher did not. The ingester accepts what producers
// published with SQL. The reconciler restarts lost workflows. The upkeep does periodic work: partitions, recoveries, the
// quarantine.
package worker
