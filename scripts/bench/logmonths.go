package main

import (
	"context"
	"fmt"
)

// filledPrefix is of the tables that take the months before this one: partitioned as the log's, and without an index. Rows for which no
// index is kept are written some ten times as fast, and an index is built of them in one go.
const filledPrefix = "filled_"

// eachMonth runs a statement for each month before this one and each table of the log. In it %1$I is the table, %2$I the partition, %3$L
// and %4$L its bounds, and %5$s its storage parameters.
func (r *rig) eachMonth(ctx context.Context, statement string) error {
	for ago := 1; ago < r.opts.logMonths; ago++ {
		_, err := r.db.ExecContext(ctx, fmt.Sprintf(`
			DO $do$
			DECLARE
				month  timestamp := date_trunc('month', now() AT TIME ZONE 'UTC') - interval '%d months';
				parent text;
			BEGIN
				SET LOCAL maintenance_work_mem = '256MB';
				FOREACH parent IN ARRAY ARRAY['events', 'deliveries', 'attempts'] LOOP
					EXECUTE format($each$%s$each$, parent, parent || to_char(month, '_YYYY_MM'), uuid_floor(month AT TIME ZONE 'UTC'),
						uuid_floor((month + interval '1 month') AT TIME ZONE 'UTC'), CASE parent WHEN 'deliveries' THEN ' WITH (fillfactor = 80)' ELSE '' END);
				END LOOP;
			END
			$do$`, ago, statement))
		if err != nil {
			return fmt.Errorf("%d months ago: %w", ago, err)
		}
	}
	return nil
}

// createMonths makes the partitions that Waybill would have made in the months before this one, apart from its tables.
func (r *rig) createMonths(ctx context.Context) error {
	for _, table := range []string{"events", "deliveries", "attempts"} {
		_, err := r.db.ExecContext(ctx, fmt.Sprintf(`
			CREATE TABLE %[2]s%[1]s (LIKE %[1]s INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE) PARTITION BY RANGE (id)`, table, filledPrefix))
		if err != nil {
			return fmt.Errorf("create months: %w", err)
		}
	}
	if err := r.eachMonth(ctx, `CREATE TABLE %2$I PARTITION OF `+filledPrefix+`%1$s FOR VALUES FROM (%3$L) TO (%4$L)%5$s`); err != nil {
		return fmt.Errorf("create months: %w", err)
	}
	return nil
}

// attachMonths makes the filled partitions those of Waybill's tables, which builds their indexes.
func (r *rig) attachMonths(ctx context.Context) error {
	r.out.Say("%s: building the indexes", r.mode)
	if err := r.eachMonth(ctx, `ALTER TABLE `+filledPrefix+`%1$s DETACH PARTITION %2$I`); err != nil {
		return fmt.Errorf("detach months: %w", err)
	}
	if err := r.eachMonth(ctx, `ALTER TABLE %1$I ATTACH PARTITION %2$I FOR VALUES FROM (%3$L) TO (%4$L)`); err != nil {
		return fmt.Errorf("attach months: %w", err)
	}
	_, err := r.db.ExecContext(ctx, fmt.Sprintf(`DROP TABLE %[1]sevents, %[1]sdeliveries, %[1]sattempts`, filledPrefix))
	return err
}

// forgetLog empties the tables and removes the months that nobody else has.
func (r *rig) forgetLog(ctx context.Context) error {
	if err := r.forgetEvents(ctx); err != nil {
		return err
	}
	if err := r.eachMonth(ctx, `DROP TABLE IF EXISTS %2$I`); err != nil {
		return fmt.Errorf("remove the log: %w", err)
	}
	return nil
}
