package activities

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/activity"

	"waybill/store"
	"waybill/webhook"
)

// Defaults of Options, and limits of a drain.
const (
	// DefaultDrainTime is how long a drain begins attempts. One that has more to do is followed by another.
	DefaultDrainTime = time.Minute
	// DefaultDrainPoll is how often a drain that waits for its attempts, or for less than that, looks for what has become due.
	DefaultDrainPoll = time.Second

	// drainLease is how long what a process that dies has claimed waits for another. It is renewed while an attempt is under way,
	// when a third of it is over.
	drainLease = 30 * time.Second
	// lastLease is for attempts that outlive their drain, and are renewed no more. It is longer than the longest attempt, with the time
	// to read and to record.
	lastLease = webhook.MaxTimeout + time.Minute
	// drainGrace is how long a drain whose time is over waits for its attempts. Slower ones end without it, so that one receiver
	// that hangs does not stop the queue.
	drainGrace = 5 * time.Second
	// settleAgain is when a queue looks again that has to wait for what others have in flight.
	settleAgain = 2 * time.Second

	// mostWaiting is how far what waits is counted for people, once a drain.
	mostWaiting = 100_000

	cancelPage       = 500
	holdPage         = 1000
	recoveryPage     = 256
	roomWait         = 20 * time.Millisecond
	minDrainWait     = 50 * time.Millisecond
	maxReleaseTime   = 2 * time.Second
	faultsInRow      = 8
	firstFaultPause  = time.Second
	maxFaultPause    = 30 * time.Second
	leastFaultAgain  = 10 * time.Second
	latestFaultAgain = time.Hour
)

// Drain makes the attempts that are due in an endpoint's queue, oldest first, and returns when nothing is due, the endpoint is
// disabled or deleted, or its time is over. What waits for a disabled endpoint is then held, and what waits for a deleted one
// canceled. CodeNotFound: the tenant never had the endpoint.
func (a *Activities) Drain(ctx context.Context, in DrainInput) (*DrainResult, error) {
	ctx, span := a.tracer.Drain(ctx, in.Tenant, in.EndpointID)
	d := a.newDrain(ctx, &in)
	if activity.IsActivity(ctx) {
		defer a.beat(ctx, d.details)()
	}
	var out *DrainResult
	err := safely(func() (err error) {
		out, err = d.run(ctx)
		return err
	})
	span.End(err)
	return out, a.translate(ctx, "drain", err)
}

// drain is one run of Drain. One goroutine uses it, except for beat.
type drain struct {
	a  *Activities
	in *DrainInput
	// holder is who the leases of this run belong to.
	holder string
	until  time.Time
	// stop is closed when the worker stops; nil outside of an activity.
	stop   <-chan struct{}
	window window
	out    DrainResult
	beat   drainBeat

	// inFlight are the attempts whose end was not taken. A delivery can have two: the next one may be due before the end of the one before
	// is taken, and a lease may end while its attempt is under way.
	inFlight map[*drained]struct{}
	ended    chan *drained
	// awaited says that awaitAll has waited. Nothing begins any more then.
	awaited bool
	// unsent are leased deliveries that were not attempted, and faulty those that cannot be for a fault of ours.
	unsent, faulty []webhook.DeliveryID
	// faults counts those in a row. Nothing is claimed before resume.
	faults int
	resume time.Time
	// down is the error of a database that does not answer, which ends the run.
	down error
	// state is the queue's when it was last looked at; known says that QueueWoken was called.
	state *store.QueueState
	known bool
}

// drained is an attempt of the queue, and how it ended.
type drained struct {
	attemptKey
	leased     time.Time // when its lease began, or was renewed
	out        *AttemptResult
	err        error
	generation int
	scheduled  bool
}

func (a *Activities) newDrain(ctx context.Context, in *DrainInput) *drain {
	most := a.bulkhead.limits[LaneIsolated].slots
	d := &drain{
		a: a, in: in, holder: uuid.UUID(a.newUUID()).String(), until: a.now().Add(a.drainTime),
		window: newWindow(in.Window, most), inFlight: map[*drained]struct{}{}, ended: make(chan *drained, most),
	}
	if activity.IsActivity(ctx) {
		d.stop = activity.GetWorkerStopChannel(ctx)
	}
	return d
}

func (d *drain) run(ctx context.Context) (*DrainResult, error) {
	defer d.giveBack(ctx)
	out, err := d.work(ctx)
	if err != nil {
		d.awaitAll(ctx) // the same fault may end attempts before their requests, which are due again then
	}
	return out, err
}

func (d *drain) work(ctx context.Context) (*DrainResult, error) {
	if err := d.goOn(ctx); err != nil {
		return nil, err
	}
	for !d.isOver(ctx) {
		full, err := d.fill(ctx)
		if err != nil {
			return nil, err
		}
		if full {
			if err := d.learn(ctx); err != nil {
				return nil, err
			}
			d.awaitRoom(ctx)
			continue
		}
		next, moved, err := d.look(ctx)
		if err != nil {
			return nil, err
		}
		switch {
		case moved:
		case d.state.Deleted || d.state.Disabled:
			d.awaitAll(ctx)
			return d.settle(ctx)
		case len(d.inFlight) > 0:
			d.await(ctx, min(max(next, minDrainWait), d.a.drainPoll), len(d.inFlight))
		case next < 0:
			return d.result(ctx, QueueEmpty, 0, "")
		case next <= d.a.drainPoll:
			d.await(ctx, max(next, minDrainWait), 0)
		default:
			return d.result(ctx, "", next, d.whyWait())
		}
	}
	d.awaitAll(ctx)
	if err := cmp.Or(ctx.Err(), d.down); err != nil {
		return nil, err
	}
	return d.result(ctx, "", 0, "")
}

// isOver reports whether no further attempt may begin in this run.
func (d *drain) isOver(ctx context.Context) bool {
	select {
	case <-d.stop:
		return true
	default:
		return ctx.Err() != nil || d.down != nil || !d.a.now().Before(d.until)
	}
}

// fill begins as many attempts as there is room for. It reports whether there is none any more, so that others may be due.
func (d *drain) fill(ctx context.Context) (full bool, err error) {
	if err := d.release(ctx); err != nil {
		return false, err
	}
	d.renew(ctx)
	if left := d.resume.Sub(d.a.now()); left > 0 {
		d.await(ctx, min(left, d.a.drainPoll), 0)
		return true, nil
	}
	room := d.room()
	if room <= 0 {
		return true, nil
	}
	since := d.a.now()
	rows, err := d.a.queues.ClaimQueued(ctx, d.in.Tenant, d.in.EndpointID, d.holder, drainLease, room)
	if err != nil {
		return false, fmt.Errorf("claim what is due: %w", err)
	}
	for i := range rows {
		d.begin(ctx, &rows[i], since)
	}
	return len(rows) == room, nil
}

// room is how many attempts may begin.
func (d *drain) room() int { return d.window.size - len(d.inFlight) }

// begin begins the next attempt of a delivery that was leased at a time.
func (d *drain) begin(ctx context.Context, row *store.Queued, since time.Time) {
	in := AttemptInput{
		Tenant: d.in.Tenant, EventKey: row.EventKey, DeliveryID: row.ID, EndpointID: d.in.EndpointID, Number: row.Attempts + 1,
		Lane: LaneIsolated, Manual: row.Asked, Queue: &QueuedAttempt{Uncounted: row.Uncounted, Holder: d.holder},
	}
	at := d.a.begin(ctx, &in)
	r := &drained{attemptKey: keyOf(&in), leased: since, generation: d.window.generation, scheduled: row.Scheduled}
	d.inFlight[r] = struct{}{}
	go func() {
		<-at.done
		r.out, r.err = at.out, at.err
		d.ended <- r
	}()
}

// take learns from an attempt that has ended.
func (d *drain) take(r *drained) {
	delete(d.inFlight, r)
	full := (*fullError)(nil)
	switch {
	case r.err == nil && r.out.Attempt != nil:
		d.made(r)
	case r.err == nil && r.out.Status.Settled(): // by somebody else
	case r.err == nil:
		d.notSent(r)
	case errors.As(r.err, &full):
		d.a.metrics.busy.Inc()
		d.notSent(r)
		d.pause(max(full.retryAfter, d.a.drainPoll))
	case webhook.ErrorCode(r.err) == webhook.CodeUnavailable:
		d.notSent(r)
		d.down = r.err
	default:
		d.fault(r)
	}
}

// notSent has the lease of an attempt released that was not made.
func (d *drain) notSent(r *drained) {
	if !d.isFollowed(r) {
		d.unsent = append(d.unsent, r.delivery)
	}
}

// isFollowed reports whether the delivery was claimed again since. The lease belongs to that attempt then.
func (d *drain) isFollowed(r *drained) bool {
	for other := range d.inFlight {
		if other.delivery == r.delivery && other.number >= r.number {
			return true
		}
	}
	return false
}

func (d *drain) made(r *drained) {
	d.faults = 0
	d.out.Attempts++
	if r.out.Status == webhook.StatusDelivered {
		d.out.Delivered++
	} else if r.out.Host != "" {
		d.out.Host = r.out.Host
	}
	if r.out.holder != d.holder && !r.out.Status.Settled() {
		d.notSent(r) // it was under way, or recorded, before this lease began, which is still to be used
	}
	if r.scheduled {
		d.pause(d.window.takeScheduled(r.out.Attempt))
	} else {
		d.pause(d.window.take(r.generation, r.out.Attempt))
	}
	d.beat.set(d.out.Attempts, d.out.Delivered, d.window.size)
}

// fault gives a delivery back that cannot be attempted for a fault of ours, such as a secret that no key opens. Its pause grows with
// every try. Where one follows the other, all of the queue pauses.
func (d *drain) fault(r *drained) {
	d.a.log.Error("the queue cannot attempt a delivery; trying again later", "tenant", d.in.Tenant, "endpoint_id", d.in.EndpointID,
		"delivery_id", r.delivery, "error", r.err)
	if !d.isFollowed(r) {
		d.faulty = append(d.faulty, r.delivery)
	}
	if d.faults++; d.faults >= faultsInRow {
		d.pause(min(firstFaultPause<<min(d.faults-faultsInRow, 10), maxFaultPause))
	}
}

// pause lets nothing be claimed for a time.
func (d *drain) pause(wait time.Duration) {
	if until := d.a.now().Add(wait); wait > 0 && until.After(d.resume) {
		d.resume = until
	}
}
