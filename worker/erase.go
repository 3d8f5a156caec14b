package worker

import (
	"context"
	"errors"
	"time"

	"waybill/webhook"
)

const (
	eraseInterval = 30 * time.Second
	erasePage     = 500
	// erasedFor is how long an attempt that was under way when its event was erased may take to be recorded.
	erasedFor = webhook.MaxTimeout + 4*time.Minute
)

// erase goes on with what an erasure could not do at once, and starts the workflows of tenants' erasures that were lost.
func (u *Upkeep) erase(ctx context.Context) error {
	err := untilDone(ctx, func() (more bool, err error) { return u.opts.Store.FinishErasedEvents(ctx, erasedFor, erasePage) })
	tenants, listed := u.opts.Store.OpenErasures(ctx, erasePage)
	err = errors.Join(err, listed)
	var down outage
	for _, tenant := range tenants {
		started := u.opts.Teller.StartErasure(ctx, tenant)
		if err = errors.Join(err, started); down.ends(started) {
			break
		}
	}
	return err
}
