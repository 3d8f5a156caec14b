package postgres

import (
	"context"

	"waybill/store"
)

// selectWaiting counts in the order of an index each, and stops at $1.
const selectWaiting = `
	SELECT (` + countDispatches + `) AS events, (` + countSetAside + `) AS set_aside,
		(SELECT count(*) FROM (SELECT FROM outbox_quarantine ORDER BY position LIMIT $1) AS quarantined) AS quarantined,
		(SELECT e.created_at FROM (SELECT event_key FROM dispatches WHERE set_aside_at IS NULL ORDER BY event_key LIMIT 1) AS oldest
			JOIN events e ON e.id = oldest.event_key) AS oldest_at`

// CountWaiting implements store.Health.
func (s *Store) CountWaiting(ctx context.Context, most int) (*store.Waiting, error) {
	var out store.Waiting
	if err := s.get(ctx, &out, selectWaiting, most); err != nil {
		return nil, failed("count what waits", err)
	}
	return &out, nil
}
