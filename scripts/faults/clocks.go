package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// clockScenarios have servers whose clock disagrees with that of the database, of Temporal and of the receivers.
func clockScenarios() []scenario {
	wrong := func(skew time.Duration) []string { return []string{"WAYBILL_FAILPOINTS=clock=" + skew.String()} }
	const ahead, behind = time.Hour, -time.Hour
	return []scenario{
		{
			name: "clock-ahead", what: "the clock of `serve` is an hour ahead of the database's; it is killed four times", endpoints: usual,
			skews: []time.Duration{ahead}, env: wrong(ahead), faults: killServe(4),
		},
		{
			name: "clock-behind", what: "the clock of `serve` is an hour behind the database's; it is killed four times", endpoints: usual,
			skews: []time.Duration{behind}, env: wrong(behind), faults: killServe(4),
		},
		{
			name: "clocks-apart", what: "of two `serve` one is an hour ahead and one an hour behind; each is killed three times", endpoints: usual,
			skews: []time.Duration{ahead, behind}, env: wrong(ahead),
			faults: func(ctx context.Context, r *run) error {
				second, err := r.startServer(ctx, "serve", wrong(behind)...)
				if err != nil {
					return err
				}
				for range 3 {
					if err := errors.Join(r.crash(ctx, r.server, wrong(ahead)...), r.crash(ctx, second, wrong(behind)...)); err != nil {
						return err
					}
				}
				return calm(time.Second)(ctx, r)
			},
		},
	}
}

// clockSlack is how long after it was first sent an event may get its id: it was asked for again.
const clockSlack = 10 * time.Minute

// moment is the time in a UUIDv7.
const moment = `to_timestamp(('x' || substr(replace(%[1]s.id::text, '-', ''), 1, 12))::bit(48)::bigint / 1000.0)`

// checkClocks makes sure that every id has the time of one of the servers' clocks, each of which is seen.
func (r *run) checkClocks(ctx context.Context, v *verdict, sentAt map[string]time.Time) error {
	rows, err := r.db.QueryContext(ctx, `SELECT e.event_id, `+fmt.Sprintf(moment, "e")+` FROM `+r.table("events")+` e WHERE e.tenant_id = $1`, r.tenant)
	if err != nil {
		return fmt.Errorf("read the ids: %w", err)
	}
	defer func() { _ = rows.Close() }()
	skews := r.scenario.skews
	if len(skews) == 0 {
		skews = []time.Duration{0}
	}
	seen := map[time.Duration]int{}
	for rows.Next() {
		var event string
		var at time.Time
		if err := rows.Scan(&event, &at); err != nil {
			return fmt.Errorf("read the ids: %w", err)
		}
		skew, ok := nearest(skews, at.Sub(sentAt[event]))
		if !ok {
			v.wrong("%s was sent at %s and has an id of %s", event, sentAt[event], at)
		}
		seen[skew]++
	}
	for _, skew := range skews {
		if seen[skew] == 0 && len(r.scenario.skews) > 0 {
			v.wrong("no event was accepted by a clock that is wrong by %s", skew)
		}
	}
	return rows.Err()
}

// nearest returns the skew that explains a difference, if one does.
func nearest(skews []time.Duration, difference time.Duration) (time.Duration, bool) {
	for _, skew := range skews {
		if late := difference - skew; late > -time.Second && late < clockSlack {
			return skew, true
		}
	}
	return 0, false
}

// checkPartitions makes sure that what an id's time has a partition for is in that partition.
func (r *run) checkPartitions(ctx context.Context, v *verdict) error {
	for parent, whose := range map[string]string{
		"events": `t.tenant_id = $1`, "deliveries": `t.tenant_id = $1`,
		"attempts": `t.delivery_id IN (SELECT d.id FROM ` + r.table("deliveries") + ` d WHERE d.tenant_id = $1)`,
	} {
		var astray int
		err := r.db.QueryRowContext(ctx, `SELECT count(*) FROM `+r.table(parent)+` t,
			to_regclass(format('%I.%I', $2::text, $3::text || to_char(`+fmt.Sprintf(moment, "t")+` AT TIME ZONE 'UTC', '_YYYY_MM'))) AS its
			WHERE `+whose+` AND t.tableoid <> its`, r.tenant, r.schema, parent).Scan(&astray)
		if err != nil {
			return fmt.Errorf("look for the partitions: %w", err)
		}
		if astray > 0 {
			v.wrong("%d of the %s are not in the partition of their time", astray, parent)
		}
	}
	return nil
}
