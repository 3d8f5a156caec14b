package worker

import (
	"context"
	"time"
)

const (
	statsInterval = 30 * time.Second
	// statsKeep is a day longer than the longest window that is shown.
	statsKeep = 8 * 24 * time.Hour
	statsPage = 5000
)

// compactStats adds up the statistics that are complete.
func (u *Upkeep) compactStats(ctx context.Context) error {
	for more := true; more; {
		var err error
		if more, err = u.opts.Store.CompactStats(ctx, statsKeep, statsPage); err != nil {
			return err
		}
	}
	return nil
}
