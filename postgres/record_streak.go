package postgres

const (
	// streakChanges sums up, by endpoint, what the statement's attempts mean for its streak, in the order in which they ended: the
	// failures after the last success. Tests do not count, and a deleted endpoint has no streak.
	streakChanges = `
		SELECT endpoint_id, tenant_id, min(endpoint_url) AS url,
			(count(*) FILTER (WHERE failed AND n > succeeded_n))::integer AS failures, min(at) FILTER (WHERE failed AND n > succeeded_n) AS since,
			max(at) FILTER (WHERE failed) AS failed_at, max(at) FILTER (WHERE NOT failed) AS succeeded_at,
			(array_agg(max_failures ORDER BY n DESC) FILTER (WHERE failed))[1] AS max_failures,
			(array_agg(max_span_ms ORDER BY n DESC) FILTER (WHERE failed))[1] AS max_span_ms,
			(array_agg(last_error ORDER BY n DESC) FILTER (WHERE failed))[1] AS last_error,
			count(*) FILTER (WHERE exhausted) AS exhausted, min(at) FILTER (WHERE exhausted) AS exhausted_since,
			max(at) FILTER (WHERE exhausted) AS exhausted_at,
			(array_agg(last_error ORDER BY n DESC) FILTER (WHERE exhausted))[1] AS exhausted_error
		FROM (
			SELECT *, coalesce(max(n) FILTER (WHERE NOT failed) OVER (PARTITION BY endpoint_id), 0) AS succeeded_n FROM (
				SELECT endpoint_id, tenant_id, endpoint_url, updated_at AS at, outcome <> 'delivered' AS failed, last_error, max_failures, max_span_ms,
					status = 'exhausted' AND was <> 'exhausted' AS exhausted, row_number() OVER (PARTITION BY endpoint_id ORDER BY updated_at, id) AS n
				FROM moved WHERE NOT test AND NOT gone
			) AS numbered
		) AS attempted
		GROUP BY endpoint_id, tenant_id`

	// upsertStreaks writes a row only for an endpoint with a failure, or with a streak that a success ends. All in one pass, in the
	// order of the ids, so that two statements never wait for each other.
	upsertStreaks = `
		INSERT INTO endpoint_streaks AS s (endpoint_id, tenant_id, failures, since, last_failure_at, last_success_at, max_failures, max_span_ms)
		SELECT c.endpoint_id, c.tenant_id, c.failures, c.since, c.failed_at, c.succeeded_at, c.max_failures, c.max_span_ms
		FROM changes c
		WHERE c.failed_at IS NOT NULL OR (SELECT ` + notSucceeded + ` FROM endpoint_streaks s WHERE s.endpoint_id = c.endpoint_id)
		ORDER BY c.endpoint_id
		ON CONFLICT (endpoint_id) DO UPDATE SET
			failures = excluded.failures + CASE WHEN excluded.last_success_at IS NULL THEN s.failures ELSE 0 END,
			since = CASE WHEN excluded.last_success_at IS NULL THEN coalesce(s.since, excluded.since) ELSE excluded.since END,
			last_failure_at = greatest(s.last_failure_at, excluded.last_failure_at),
			last_success_at = greatest(s.last_success_at, excluded.last_success_at),
			max_failures = CASE WHEN excluded.last_failure_at IS NULL THEN s.max_failures ELSE excluded.max_failures END,
			max_span_ms = CASE WHEN excluded.last_failure_at IS NULL THEN s.max_span_ms ELSE excluded.max_span_ms END
		RETURNING s.endpoint_id, s.failures, s.since, s.last_failure_at`

	// upsertNotices gathers what the tenant's contact is to be told.
	upsertNotices = `
		INSERT INTO endpoint_notices AS n (endpoint_id, tenant_id, due, exhausted, since, last_error, last_at)
		SELECT endpoint_id, tenant_id, true, exhausted, exhausted_since, coalesce(exhausted_error, ''), exhausted_at
		FROM changes WHERE exhausted > 0 AND (SELECT count(*) FROM counted) >= 0 ORDER BY endpoint_id
		ON CONFLICT (endpoint_id) DO UPDATE SET due = true, exhausted = n.exhausted + excluded.exhausted, since = coalesce(n.since, excluded.since),
			last_error = excluded.last_error, last_at = greatest(n.last_at, excluded.last_at), working_at = NULL`
)
