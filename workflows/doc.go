// Package workflows holds all that a recorded history depends on: the workflows EventDelivery and EndpointQueue, their
// names, inputs, signals, updates and queries. Package engine is their client.
//
// A change that would replay an old history differently goes behind workflow.GetVersion. Its change id and reason are
// listed in versions.go, and histories recorded before and after it are kept under testdata/histories. The replay test runs
// them all; scripts/histories records them.
package workflows
