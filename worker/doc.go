// Package worker binds the workflows and activities to their task queues. The dispatcher starts the workflows of accepted
// events right after the commit, the relay those that the dispatcher did not get to. The ingester accepts what producers
// published with SQL. The reconciler starts lost workflows anew. The upkeep does what must happen now and then.
package worker
