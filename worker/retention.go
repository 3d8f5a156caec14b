package worker

import (
	"context"
	"time"
)

const (
	// retainInterval is short, so that a partition that somebody keeps goes soon after. A round that finds nothing only reads the catalog
	// and some indexes.
	retainInterval = 15 * time.Minute
	// retainTime bounds a round; the next one goes on.
	retainTime = 10 * time.Minute
)

// retain removes what is older than it is kept.
func (u *Upkeep) retain(ctx context.Context) error {
	if u.opts.Retention.Keep == 0 {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, retainTime)
	defer cancel()
	gone, err := u.opts.Store.Retain(limited, u.opts.Retention)
	for _, g := range gone {
		if g.Bytes > 0 {
			u.dropped.Inc()
		}
		u.opts.Logger.Info("data older than it is kept was removed", "what", g.What, "rows", g.Rows, "kept", g.Kept, "bytes", g.Bytes)
	}
	u.stays.Set(0)
	if err != nil {
		u.stays.Set(1)
	}
	return err
}
