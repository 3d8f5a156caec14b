package postgres

// What an operational event says in SQL, where x has the columns.
const (
	// hostOfURL is webhook.Endpoint.Host in SQL.
	hostOfURL = `substring(x.url from '^[A-Za-z]+://(?:[^/?#@]*@)?([^/?#]*)')`

	endpointIDText = `'ep_' || replace(x.endpoint_id::text, '-', '')`

	tellExhausted = `
		SELECT count(publish($28::text, 'delivery.exhausted', json_strip_nulls(json_build_object('tenant', x.tenant_id, 'endpoint_id', ` + endpointIDText + `,
			'delivery_id', 'dlv_' || replace(x.id::text, '-', ''), 'event_id', x.event_id, 'event_type', x.event_type, 'attempts', x.attempts,
			'status_code', nullif(x.last_status_code, 0), 'error_class', nullif(x.last_error_class, ''), 'error', nullif(x.last_error, '')))))
		FROM moved x WHERE x.status = 'exhausted' AND x.was <> 'exhausted' AND NOT x.test AND NOT x.gone AND x.tenant_id <> $28::text`

	// tellFailing tells once in a streak, when it reaches half of what disables the endpoint, rounded up: c.failures are those that
	// these attempts added.
	tellFailing = `
		SELECT count(publish($28::text, 'endpoint.failing', json_build_object('tenant', x.tenant_id, 'endpoint_id', ` + endpointIDText + `, 'host', ` + hostOfURL + `,
			'failures', t.failures, 'since', to_char(t.since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), 'disables_at', x.max_failures,
			'last_error', x.last_error)))
		FROM changes x JOIN streaks t ON t.endpoint_id = x.endpoint_id
		WHERE t.failures >= (x.max_failures + 1) / 2 AND t.failures - x.failures < (x.max_failures + 1) / 2 AND x.tenant_id <> $28::text`

	// tellRecorded counts the operational events that it publishes, to the tenant $28.
	tellRecorded = `(` + tellExhausted + `) + (` + tellFailing + `)`
)
