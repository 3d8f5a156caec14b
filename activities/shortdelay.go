package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"

	"waybill/webhook"
)

// Limits of the delays between attempts that pass inside a workflow task.
const (
	// shortDelay is the longest: a second and a tenth of jitter, because the workflow gets no signal while its task is open. With the two
	// attempts around it, it is far below the 8 s after which the task would be renewed, at the cost of a timer.
	shortDelay = 1100 * time.Millisecond
	// DefaultShortDelays is how many may pass at the same time in a process, because each keeps a workflow task open.
	DefaultShortDelays = 256
)

// retrySoon makes the next attempt of a delivery whose first failed, when it is due so soon that the workflow task may stay open
// until then. A timer and another task would cost Temporal more than the delivery itself. It returns the results of both, or that
// of the first, from which the workflow goes on.
func (a *Activities) retrySoon(ctx context.Context, in *AttemptInput, first *AttemptResult) *AttemptResult {
	if !isDueSoon(ctx, in, first) {
		return first
	}
	select {
	case a.shortDelays <- struct{}{}:
		defer func() { <-a.shortDelays }()
	default:
		return first
	}
	a.failpoint("short-delay")
	due := time.Now().Add(first.Delay)
	timer := time.NewTimer(first.Delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		first.Delay = max(time.Until(due), 0)
		return first
	}
	next := *in
	next.Number, next.Signaled = in.Number+1, false
	if in.Scheduled > 0 {
		next.Scheduled++
	}
	second, err := a.await(ctx, &next, a.begin(ctx, &next))
	if second, err = a.answer(ctx, "attempt", &next, second, err); err != nil || second.Spilled || second.FollowOn != "" {
		first.Delay = 0 // the workflow asks for the attempt, and joins it when it is under way
		return first
	}
	return first.then(second)
}

// isDueSoon reports whether a workflow task waits for the attempt, and may wait for the next. One of a wide event may not, because it would
// keep its place from other attempts of wide events.
func isDueSoon(ctx context.Context, in *AttemptInput, out *AttemptResult) bool {
	return in.Lane == LaneFast && !in.Wide && in.Queue == nil && !in.QueueRetries && !in.Manual &&
		out.Status == webhook.StatusRetrying && !out.Queued && out.Attempt != nil && len(out.Missing) == 0 &&
		out.Delay > 0 && out.Delay <= shortDelay &&
		activity.IsActivity(ctx) && activity.GetInfo(ctx).IsLocalActivity
}

// then returns the state after a later result, with the attempts of both.
func (r *AttemptResult) then(later *AttemptResult) *AttemptResult {
	both := *later
	both.Attempt = r.Attempt
	if later.Attempt != nil {
		both.Missing = append([]webhook.AttemptSummary{*later.Attempt}, later.Missing...)
	}
	return &both
}
