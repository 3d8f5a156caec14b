// Package workflows holds all that a recorded history depends on: the workflows EventDelivery and EndpointRecovery,
// their names, inputs, signals and queries. Package engine starts and asks them.
//
// Change: a change that would replay an old history differently goes behind workflow.GetVersion, with its change id
// and reason in the list in versions.go, and with a history recorded before and after it under testdata/histories. The replay test runs them all; scripts/histories records them.
package workflows
