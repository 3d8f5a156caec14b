package activities

import (
	"context"
	"fmt"
	"time"

	"waybill/store"
	"waybill/tracing"
	"waybill/webhook"
)

// Waits between the tries of persist.
const (
	firstRecordPause = 50 * time.Millisecond
	maxRecordPause   = 2 * time.Second
)

// nobody has no lease: what the queue has leased meanwhile, because the attempt took long, stays as it is.
const nobody = "00000000-0000-0000-0000-000000000000"

// sent is a request, and how it was answered.
type sent struct {
	request Request
	signed  webhook.Request
	answer  Response
	// started is when the request began, by the clock of attempts, in UTC and in the precision of the database.
	started time.Time
}

// send makes the attempt, judges the answer and records both.
func (a *Activities) send(ctx context.Context, in *AttemptInput, s *store.Sending, taken *slot) (out *AttemptResult, err error) {
	ctx, span := a.trace(ctx, in, s)
	defer func() { span.End(err) }()
	d, ok := a.dialects[s.Tenant.Dialect]
	if !ok {
		return nil, webhook.Errorf(webhook.CodeInternal, "the dialect %q is not loaded", s.Tenant.Dialect)
	}
	made, err := a.post(ctx, in, s, d, span.Traceparent(), taken)
	if err != nil {
		return nil, err
	}
	plan := planOf(in, s, d)
	verdict := d.Judge(plan.policy, in.DeliveryID, plan.position, made.answer.reply())
	a.metrics.attempt(in.Lane, in.Queue != nil, &made.answer, verdict)
	span.Answered(made.answer.StatusCode, verdict.ErrorClass, verdict.Status)
	a.failpoint("after-response")
	r := a.recordOf(in, s, made, verdict, plan)
	r.Attempt.SignedWith = d.SignedWith(&made.signed)
	after, err := a.record(ctx, r)
	if err != nil {
		return nil, err
	}
	taken.rest() // what is told to Temporal now keeps no record of others waiting
	a.failpoint("after-record")
	a.logAttempt(ctx, in, r, after)
	switch {
	case verdict.Gone:
		a.disable(ctx, in, s.Endpoint.URL)
	case plan.autoDisable.Reached(after.Streak):
		a.failpoint("before-auto-disable")
		a.disableFailing(ctx, in, plan.autoDisable)
	}
	out = a.resultOf(&after.Delivery)
	out.Attempt, out.holder = &r.Attempt.AttemptSummary, r.Holder
	if out.Queued && r.NextAttemptAt != nil {
		out.Delay = r.NextAttemptAt.Sub(r.At) // the database's clock may be another
	}
	if out.Status != webhook.StatusDelivered {
		out.Host = s.Endpoint.Host()
	}
	return out, nil
}

// post signs the request and makes it. Whatever the receiver does is an answer; an error is a fault of our own.
func (a *Activities) post(
	ctx context.Context, in *AttemptInput, s *store.Sending, d *webhook.Dialect, traceparent webhook.Traceparent, taken *slot,
) (*sent, error) {
	began, clock := a.now(), time.Now()
	made := new(sent)
	made.signed = webhook.Request{
		EventID: s.Delivery.EventID, EventType: s.Delivery.EventType, DeliveryID: in.DeliveryID, Body: s.Body.For(in.DeliveryID),
		At: began.UTC(), Keys: s.Keys, Custom: s.Endpoint.Headers, URL: s.Endpoint.URL, Traceparent: traceparent,
	}
	headers, err := a.sign(&made.signed, s.Endpoint, d)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	made.request = Request{
		Tenant: in.Tenant, URL: s.Endpoint.URL, Headers: s.Endpoint.Verification.WithOrigin(headers), Body: made.signed.Body,
		Timeout: s.Endpoint.RequestTimeout(d), HeadersSuffice: d.Response == webhook.ResponseHeaders,
	}
	taken.sending()
	taken.rest()
	a.failpoint("before-post")
	made.answer = a.deliver(ctx, s.Endpoint, &made.request)
	if fault := made.answer.Fault; fault != nil {
		return nil, webhook.Errorf(webhook.CodeUnavailable, "%s", fault).WithCause(fault)
	}
	taken.answered(&made.answer)
	taken.end(a.wideEnds)
	// On a busy machine the request may begin much later than its signature. The next delay counts from the end of the request.
	made.started = began.Add(max(made.answer.Started.Sub(clock), 0)).UTC().Truncate(time.Microsecond)
	return made, nil
}

// trace starts the span of an attempt, where its event is in a trace.
func (a *Activities) trace(ctx context.Context, in *AttemptInput, s *store.Sending) (context.Context, tracing.Span) {
	return a.tracer.Attempt(ctx, s.Traceparent, tracing.Attempt{
		Event:    tracing.Event{Tenant: in.Tenant, ID: s.Delivery.EventID, Type: s.Delivery.EventType},
		Delivery: in.DeliveryID, Endpoint: in.EndpointID, Number: in.Number, URL: s.Endpoint.URL,
	})
}

func (a *Activities) record(ctx context.Context, r *store.Record) (after *store.Recorded, err error) {
	ctx, span := a.tracer.Record(ctx)
	defer func() { span.End(err) }()
	after, err = persist(ctx, a.recordTimeout, func(ctx context.Context) (*store.Recorded, error) {
		return a.store.RecordAttempt(ctx, r)
	})
	if err != nil {
		return nil, fmt.Errorf("record an attempt: %w", err)
	}
	return after, nil
}

// sign returns the headers of the request, with the signatures that its endpoint chose.
func (a *Activities) sign(r *webhook.Request, e *webhook.Endpoint, d *webhook.Dialect) ([]webhook.Header, error) {
	_, r.MessageSignatures = webhook.SigningOf(e.Signing, d)
	var err error
	if r.Also, err = e.AlsoSignAs.AlsoIn(a.dialects, r.At); err != nil {
		return nil, err
	}
	return d.RequestHeaders(*r)
}

// reply returns what the verdict depends on. An answer that broke off does not count as an answer.
func (r *Response) reply() webhook.Reply {
	if r.ErrorClass != "" {
		return webhook.Reply{ErrorClass: r.ErrorClass, Error: r.Error}
	}
	return webhook.Reply{StatusCode: r.StatusCode, RetryAfter: r.RetryAfter}
}

// recordOf returns what the log keeps of the attempt, and what follows from it.
func (a *Activities) recordOf(in *AttemptInput, s *store.Sending, made *sent, v webhook.Verdict, plan plan) *store.Record {
	answer, end := &made.answer, made.started.Add(made.answer.Duration)
	r := &store.Record{
		TenantID: in.Tenant,
		Attempt: webhook.Attempt{
			// The log looks for an attempt in the month of its end, and the ids of a process are ahead of its clock once that was set back.
			ID:         webhook.NewIDAt[webhook.AttemptID](a.newUUID(), end),
			DeliveryID: in.DeliveryID,
			AttemptSummary: webhook.AttemptSummary{
				Number: in.Number, StartedAt: made.started, DurationMS: answer.Duration.Milliseconds(), StatusCode: answer.StatusCode,
				Outcome: v.Outcome, ErrorClass: v.ErrorClass, Error: webhook.CleanLine(v.Error, maxErrorBytes), Manual: in.Manual,
			},
			URL:               s.Endpoint.URL,
			RequestHeaders:    recordedRequest(made.request.Headers, s.Endpoint),
			ResponseHeaders:   recordedResponse(answer.Headers),
			ResponseBody:      answer.Body,
			ResponseTruncated: answer.Truncated,
		},
		Status:      v.Status,
		At:          end,
		Queued:      in.Queue != nil || in.QueueRetries && v.Status == webhook.StatusRetrying,
		Uncounted:   plan.uncounted,
		AutoDisable: plan.autoDisable,
	}
	if v.Status == webhook.StatusRetrying {
		next := end.Add(v.Delay)
		r.NextAttemptAt = &next
	}
	if plan.uncounted {
		leaveSchedule(r, v, s.Delivery.NextAttemptAt)
	}
	switch {
	case in.Queue != nil:
		r.Holder = in.Queue.Holder
	case r.Queued:
		r.Holder = nobody
	}
	return r
}

// leaveSchedule undoes the effect of a failed manual attempt on the schedule: the next attempt is due when it was due
// before, or at once if that time has passed. A receiver that is gone still ends the delivery.
func leaveSchedule(r *store.Record, v webhook.Verdict, due *time.Time) {
	if v.Outcome != webhook.OutcomeRetryable {
		return
	}
	next := r.At
	if due != nil && due.After(next) {
		next = *due
	}
	r.Status, r.NextAttemptAt = webhook.StatusRetrying, &next
}

// disable disables an endpoint whose receiver, at the URL, is gone. When it fails, the receiver's answer to the next delivery repeats
// it.
func (a *Activities) disable(ctx context.Context, in *AttemptInput, url string) {
	const reason = "the receiver answered 410 Gone"
	ctx = store.WithActor(ctx, store.Actor{Name: webhook.ByReceiver})
	_, err := persist(ctx, a.recordTimeout, func(ctx context.Context) (*webhook.Endpoint, error) {
		return a.engine.DisableEndpoint(ctx, in.Tenant, in.EndpointID, webhook.Change{By: webhook.ByReceiver, Reason: reason, URL: url, At: a.now()})
	})
	if err != nil {
		a.log.Warn("an endpoint that is gone could not be disabled", "tenant", in.Tenant, "endpoint_id", in.EndpointID, "error", err)
	}
}

// disableFailing disables an endpoint whose streak has reached its rule. When it fails, the next failure repeats it, or the
// reconciler does.
func (a *Activities) disableFailing(ctx context.Context, in *AttemptInput, rule *webhook.AutoDisable) {
	_, err := persist(ctx, a.recordTimeout, func(ctx context.Context) (*webhook.Endpoint, error) {
		return a.engine.DisableFailing(ctx, in.Tenant, in.EndpointID, rule, a.now())
	})
	if err != nil {
		a.log.Warn("an endpoint that keeps failing could not be disabled", "tenant", in.Tenant, "endpoint_id", in.EndpointID, "error", err)
	}
}

// persist writes what has already happened. It waits for a database that is down for a moment, because a retry of the
// activity would send the request again.
func persist[T any](ctx context.Context, timeout time.Duration, write func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	for pause := firstRecordPause; ; pause = min(2*pause, maxRecordPause) {
		out, err := write(ctx)
		if webhook.ErrorCode(err) != webhook.CodeUnavailable {
			return out, err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return out, err
		}
	}
}
