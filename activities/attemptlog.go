package activities

import (
	"context"
	"log/slog"

	"waybill/store"
	"waybill/webhook"
)

// logAttempt writes a line when an attempt settled its delivery badly, and at debug for each other failed attempt. The texts of errors
// have no path or query of a URL, and nothing of a payload.
func (a *Activities) logAttempt(ctx context.Context, in *AttemptInput, r *store.Record, after *store.Recorded) {
	made := &r.Attempt.AttemptSummary
	if made.Outcome == webhook.OutcomeDelivered {
		return
	}
	level, says := slog.LevelDebug, "an attempt failed"
	if after.Settled && !after.Test {
		level, says = slog.LevelWarn, "a delivery is "+string(after.Status)
	}
	if !a.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("tenant", in.Tenant), slog.String("event_id", after.EventID), slog.String("event_type", after.EventType),
		slog.String("delivery_id", in.DeliveryID.String()), slog.String("endpoint_id", in.EndpointID.String()),
		slog.Int("attempt", made.Number), slog.Int("status_code", made.StatusCode), slog.String("error_class", string(made.ErrorClass)),
		slog.String("error", made.Error), slog.Int64("duration_ms", made.DurationMS),
	}
	if after.NextAttemptAt != nil {
		attrs = append(attrs, slog.Time("next_attempt_at", *after.NextAttemptAt))
	}
	a.log.LogAttrs(ctx, level, says, attrs...)
}
