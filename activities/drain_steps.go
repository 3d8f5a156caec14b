package activities

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"

	"waybill/webhook"
)

// look reads what waits and moves on a recovery. It returns how long until something is due, negative when nothing waits, and whether
// the recovery moved something that is due now.
func (d *drain) look(ctx context.Context) (next time.Duration, moved bool, err error) {
	if err := d.readState(ctx); err != nil || d.state.Deleted || d.state.Disabled {
		return 0, false, err
	}
	if err := d.know(ctx); err != nil {
		return 0, false, err
	}
	next = -1
	if d.state.DueIn != nil {
		next = *d.state.DueIn
	}
	if !d.state.Recovering || d.a.recoveries == nil {
		return next, false, nil
	}
	sent, page, err := d.a.recoveries.AdvanceRecovery(ctx, d.in.Tenant, d.in.EndpointID, recoveryPage)
	if err != nil {
		return 0, false, fmt.Errorf("go on with a recovery: %w", err)
	}
	if page >= 0 && (next < 0 || page < next) {
		next = page
	}
	return next, sent > 0, nil
}

// learn says once in a run that has no time to look that the queue is awake. Otherwise the upkeep would wake it until it is done.
func (d *drain) learn(ctx context.Context) error {
	if d.known {
		return nil
	}
	if err := d.readState(ctx); err != nil || d.state.Deleted || d.state.Disabled {
		return err
	}
	return d.know(ctx)
}

// know says once that the queue knows of the endpoint's state, which was just read and lets it go on.
func (d *drain) know(ctx context.Context) error {
	if d.known {
		return nil
	}
	if err := d.woken(ctx); err != nil {
		return err
	}
	d.known = true
	return nil
}

func (d *drain) readState(ctx context.Context) (err error) {
	if d.state, err = d.a.queues.QueueState(ctx, d.in.Tenant, d.in.EndpointID, 1); err != nil {
		return fmt.Errorf("read the state of a queue: %w", err)
	}
	return nil
}

// woken says that the queue knows of the endpoint's state.
func (d *drain) woken(ctx context.Context) error {
	if err := d.a.queues.QueueWoken(ctx, d.in.Tenant, d.in.EndpointID, d.state.Version); err != nil {
		return fmt.Errorf("say that a queue is woken: %w", err)
	}
	return nil
}

// settle holds or cancels what waits for an endpoint that is disabled or deleted.
func (d *drain) settle(ctx context.Context) (*DrainResult, error) {
	if d.down != nil {
		return nil, d.down
	}
	if err := d.release(ctx); err != nil {
		return nil, err
	}
	if d.state.Deleted {
		return d.cancel(ctx)
	}
	for more := true; more; {
		var err error
		if more, err = d.a.queues.HoldQueued(ctx, d.in.Tenant, d.in.EndpointID, d.a.now(), holdPage); err != nil {
			return nil, fmt.Errorf("hold what waits: %w", err)
		}
	}
	if len(d.inFlight) > 0 || d.state.Leased {
		version := d.state.Version
		if err := d.readState(ctx); err != nil {
			return nil, err
		}
		switch {
		case d.state.Version != version:
			return d.result(ctx, "", 0, "") // enabled or deleted in the meantime
		case d.state.Leased:
			return d.result(ctx, "", settleAgain, "the endpoint is disabled, and attempts that are under way must end before their deliveries are held")
		}
	}
	if err := d.woken(ctx); err != nil {
		return nil, err
	}
	return d.result(ctx, QueueDisabled, 0, "")
}

// cancel cancels what waits for a deleted endpoint, in the database first, so that the log is right even if a workflow cannot be
// told. Then it tells the workflows, so that none waits for a retry of a canceled delivery.
func (d *drain) cancel(ctx context.Context) (*DrainResult, error) {
	for !d.isOver(ctx) {
		canceled, more, err := d.a.store.CancelDeliveriesOfDeleted(ctx, d.in.Tenant, d.in.EndpointID, reasonDeleted, d.a.now(), cancelPage)
		if err != nil {
			return nil, fmt.Errorf("cancel what waits for a deleted endpoint: %w", err)
		}
		if err := d.tell(ctx, newTellPage(canceled)); err != nil {
			return nil, err
		}
		switch {
		case !more:
			if err := d.woken(ctx); err != nil {
				return nil, err
			}
			return d.result(ctx, QueueDeleted, 0, "")
		case len(canceled) == 0:
			return d.result(ctx, "", settleAgain, "the endpoint was deleted, and an attempt that began before may still be recorded")
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return d.result(ctx, "", 0, "")
}

// tell tells the workflows of a page, which the heartbeats carry until all are told.
func (d *drain) tell(ctx context.Context, page *tellPage) error {
	if len(page.IDs) == 0 {
		return nil
	}
	d.beat.setPage(page)
	if activity.IsActivity(ctx) {
		activity.RecordHeartbeat(ctx, d.details()...)
	}
	if err := d.a.tellCanceled(ctx, d.in, page); err != nil {
		return err
	}
	d.beat.setPage(nil)
	return nil
}

// goOn tells the rest of the page that an earlier run of this activity began.
func (d *drain) goOn(ctx context.Context) error {
	if !activity.IsActivity(ctx) || !activity.HasHeartbeatDetails(ctx) {
		return nil
	}
	var before beatDetails
	if err := activity.GetHeartbeatDetails(ctx, &before); err != nil || before.Page == nil {
		return nil //nolint:nilerr // what cannot be read is of another version, and told when it is next attempted
	}
	return d.tell(ctx, before.Page)
}

// release gives back what was leased and not attempted.
func (d *drain) release(ctx context.Context) error {
	if len(d.unsent) > 0 {
		if err := d.a.queues.ReleaseQueued(ctx, d.holder, d.unsent); err != nil {
			return fmt.Errorf("release what was not attempted: %w", err)
		}
		d.unsent = nil
	}
	if len(d.faulty) > 0 {
		if err := d.a.queues.PostponeQueued(ctx, d.holder, d.faulty, leastFaultAgain, latestFaultAgain); err != nil {
			return fmt.Errorf("postpone what cannot be attempted: %w", err)
		}
		d.faulty = nil
	}
	return nil
}

// renew keeps the leases of attempts that take long. When it fails, the leases end, and the attempts may be made twice.
func (d *drain) renew(ctx context.Context) {
	var old []webhook.DeliveryID
	now := d.a.now()
	for r := range d.inFlight {
		if now.Sub(r.leased) >= drainLease/3 {
			old = append(old, r.delivery)
			r.leased = now
		}
	}
	if len(old) == 0 {
		return
	}
	if err := d.a.queues.RenewQueued(ctx, d.holder, old, drainLease); err != nil {
		d.a.log.Warn("leases of a queue could not be renewed", "tenant", d.in.Tenant, "endpoint_id", d.in.EndpointID, "error", err)
	}
}

// giveBack releases at the end of a run, and leaves their leases to the attempts that go on. When it fails, the leases end by
// themselves.
func (d *drain) giveBack(ctx context.Context) {
	d.takeEnded()
	if len(d.unsent)+len(d.faulty)+len(d.inFlight) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), maxReleaseTime)
	defer cancel()
	err := d.release(ctx)
	if len(d.inFlight) > 0 {
		var goOn []webhook.DeliveryID
		for r := range d.inFlight {
			goOn = append(goOn, r.delivery)
		}
		err = errors.Join(err, d.a.queues.RenewQueued(ctx, d.holder, goOn, lastLease))
	}
	if err != nil {
		d.a.log.Warn("leases of a queue could not be given back; they end by themselves", "tenant", d.in.Tenant, "endpoint_id", d.in.EndpointID, "error", err)
	}
}

// awaitRoom waits until so many attempts have ended that a claim is worth its statement.
func (d *drain) awaitRoom(ctx context.Context) {
	timer := time.NewTimer(roomWait)
	defer timer.Stop()
	for !d.isOver(ctx) && len(d.inFlight) > 0 && d.room() < max(1, d.window.size/2) {
		select {
		case r := <-d.ended:
			d.take(r)
		case <-timer.C:
			if d.room() > 0 {
				return
			}
			d.renew(ctx)
			timer.Reset(roomWait)
		case <-d.stop:
		case <-ctx.Done():
		}
	}
}

// await waits for a time, or until attempts attempts have ended where that is not 0.
func (d *drain) await(ctx context.Context, wait time.Duration, attempts int) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for n := 0; attempts == 0 || n < attempts; {
		select {
		case r := <-d.ended:
			d.take(r)
			n++
		case <-timer.C:
			return
		case <-d.stop:
			return
		case <-ctx.Done():
			return
		}
	}
}

// awaitAll waits until the attempts in flight have ended, for drainGrace at most and once in a run. The others are recorded without it.
func (d *drain) awaitAll(ctx context.Context) {
	if d.awaited {
		return
	}
	d.awaited = true
	timer := time.NewTimer(drainGrace)
	defer timer.Stop()
	for len(d.inFlight) > 0 {
		select {
		case r := <-d.ended:
			d.take(r)
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// takeEnded takes what has ended, and waits for nothing.
func (d *drain) takeEnded() {
	for {
		select {
		case r := <-d.ended:
			d.take(r)
		default:
			return
		}
	}
}

// result counts what waits, for people.
func (d *drain) result(ctx context.Context, end QueueEnd, next time.Duration, why string) (*DrainResult, error) {
	out := d.out
	out.Window, out.End, out.Next, out.Why = d.window.size, end, next, why
	if end != QueueEmpty {
		state, err := d.a.queues.QueueState(ctx, d.in.Tenant, d.in.EndpointID, mostWaiting)
		if err != nil {
			return nil, fmt.Errorf("count what waits: %w", err)
		}
		out.Waiting = state.Waiting
	}
	return &out, nil
}

// whyWait says for people what a queue waits for in which nothing is due.
func (d *drain) whyWait() string {
	if d.state.Recovering {
		return "the next page of the recovery, or the next retry, is due then"
	}
	return "the next attempt of what waits is due then"
}

// drainBeat is what the heartbeats of a drain carry.
type drainBeat struct {
	mu sync.Mutex
	beatDetails
}

// beatDetails is shown by the Web UI while the drain runs.
type beatDetails struct {
	Attempts  int `json:"attempts"`
	Delivered int `json:"delivered"`
	Window    int `json:"window"`
	// Page is the page of canceled deliveries whose workflows are being told.
	Page *tellPage `json:"page,omitempty"`
}

func (b *drainBeat) set(attempts, delivered, window int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.Attempts, b.Delivered, b.Window = attempts, delivered, window
}

func (b *drainBeat) setPage(page *tellPage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.Page = page
}

// details returns the heartbeat's details.
func (d *drain) details() []any {
	d.beat.mu.Lock()
	defer d.beat.mu.Unlock()
	return []any{d.beat.beatDetails}
}
