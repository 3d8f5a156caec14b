package workflows

import "go.temporal.io/sdk/workflow"

// Change ids. A workflow that began before a change keeps its behavior, so an id stays for as long as a history from before
// it may be replayed. The version is read where the two behaviors differ, and never on the happy path, where it would cost
// two history events; a wide event has so many that two more do not count.
const (
	changeStrictSignals    = "strict-signals"
	changeHeldRetry        = "held-retry"
	changeOneCommand       = "one-command"
	changeCanceledTimers   = "canceled-timers"
	changeStatusList       = "status-list"
	changeExhaustedFails   = "exhausted-fails"
	changeRejectsBadInput  = "rejects-bad-input"
	changePartsInWaves     = "parts-in-waves"
	changeFaultsWait       = "faults-wait"
	changeSignalsToPart    = "signals-to-part"
	changeEachEndpoint     = "each-endpoint"
	changeHeldToQueue      = "held-to-queue"
	changeFirstTogether    = "first-together"
	changeSignalsFirst     = "signals-first"
	changeCanceledTogether = "canceled-together"
	changePutOffFirst      = "put-off-first"
	changeCanceledShown    = "canceled-shown"
	changeCanceledInParts  = "canceled-in-parts"
)

// Change is a change of what a workflow does.
type Change struct {
	ID     string
	Reason string
}

// Changes lists every change since the first recorded histories, in order. Each has a history recorded after it.
func Changes() []Change {
	return []Change{
		{changeStrictSignals, "a signal without endpoint_id meant every endpoint, and one that was not an object silenced those after it"},
		{changeHeldRetry, "retry_now of a held delivery made an attempt that could only be held again, and began the hold anew"},
		{changeOneCommand, "a delivery that was to be held and to be retried did both, one after the other"},
		{changeCanceledTimers, "a timer that a command interrupted stayed open and was shown until it fired"},
		{changeStatusList, "WaybillStatus had one value, so that a query did not find an event that had two"},
		{changeExhaustedFails, "an event with an exhausted delivery ended as completed, which the Web UI shows in green"},
		{changeRejectsBadInput, "a forged input made the workflow panic without end"},
		{changePartsInWaves, "the first task started all parts of a large event, and its answer exceeded what Temporal takes"},
		{changeFaultsWait, "a delivery with a fault of ours kept the whole event from continuing as new, and forgot that its endpoint was enabled"},
		{changeSignalsToPart, "each signal to a large event went to all of its parts, so that some hundred of them exceeded its history"},
		{changeEachEndpoint, "a disable_endpoint or enable_endpoint of every endpoint ended at the first that failed"},
		{changeHeldToQueue, "each held delivery kept its workflow open, for days or for good; it belongs to its endpoint's queue now"},
		{changeFirstTogether, "the coroutines of the deliveries of a wide event took most of the processor during their first attempts"},
		{changeSignalsFirst, "a retry_now or cancel_delivery that had waited for the first task of a wide event came after its first attempts, and others before the end of one that took long"},
		{changeCanceledTogether, "a canceled workflow canceled its deliveries one after the other, which took 20 seconds for 200"},
		{changePutOffFirst, "the delay of a first attempt of a wide event that had no slot began when the slowest of them had ended"},
		{changeCanceledShown, "a canceled workflow was still shown, and found by WaybillStatus, as it stood before"},
		{changeCanceledInParts, "a large event that was canceled before all of its parts had started left their deliveries pending, and the reconciler sent them"},
	}
}

// changed reports whether this run has the behavior after a change.
func changed(ctx workflow.Context, id string) bool {
	return workflow.GetVersion(ctx, id, workflow.DefaultVersion, 1) != workflow.DefaultVersion
}
