// Package activities is what touches the world for a workflow: it sends attempts through the guarded transport, records
// them, sets the status of deliveries and wakes held ones. Its inputs and results are part of recorded histories. They
// carry ids and retry policies, never bodies, secrets or URLs.
package activities
