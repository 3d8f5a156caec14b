package worker

import (
	"context"
	"log/slog"
	"time"
)

// Rhythm of the upkeep.
const (
	recoveryInterval  = time.Second
	recoveryLimit     = 100
	partitionInterval = time.Hour
)

// Upkeep does what must happen now and then in one process at least, and may happen in several.
type Upkeep struct {
	store   Maintained
	starter RecoveryStarter
	log     *slog.Logger
}

// NewUpkeep returns an Upkeep.
func NewUpkeep(m Maintained, starter RecoveryStarter, log *slog.Logger) *Upkeep {
	return &Upkeep{store: m, starter: starter, log: log}
}

// Run works until the context is done.
func (u *Upkeep) Run(ctx context.Context) {
	go every(ctx, partitionInterval, reporting(ctx, u.log, "partitions could not be created; trying on", u.store.EnsurePartitions))
	every(ctx, recoveryInterval, reporting(ctx, u.log, "recoveries could not be started; trying on", u.startRecoveries))
}

// startRecoveries starts what enabling an endpoint could not: the process died, or Temporal was down.
func (u *Upkeep) startRecoveries(ctx context.Context) error {
	due, err := u.store.EndpointsToRecover(ctx, recoveryLimit)
	if err != nil {
		return err
	}
	for _, e := range due {
		ctx, cancel := context.WithTimeout(ctx, startTimeout)
		err := u.starter.StartRecovery(ctx, e.TenantID, e.ID)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}
