package postgres

import (
	"context"
	"time"

	"waybill/store"
	"waybill/webhook"
)

const (
	// claimNotices never waits for a row that a record or another process has locked. It looks at the longest waiting alone, so that
	// many that are claimed already cost nothing; what nobody is to be told is at their place until ForgetNotices deletes it.
	claimNotices = `
		WITH waiting AS MATERIALIZED (
			SELECT endpoint_id, tenant_id FROM endpoint_notices WHERE due AND wake_at <= now() ORDER BY wake_at LIMIT 5 * $3
		), claimed AS MATERIALIZED (
			SELECT n.endpoint_id FROM waiting w JOIN endpoint_notices n ON n.endpoint_id = w.endpoint_id
				JOIN endpoints e ON e.id = w.endpoint_id JOIN tenants t ON t.id = w.tenant_id
			WHERE n.due AND n.wake_at <= now() AND e.deleted_at IS NULL AND t.contact_email <> '' AND t.dialect <> ALL ($1::text[])
			LIMIT $3 FOR UPDATE OF n SKIP LOCKED
		)
		UPDATE endpoint_notices n SET wake_at = clock_timestamp() + $2::bigint * interval '1 millisecond'
		FROM claimed WHERE n.endpoint_id = claimed.endpoint_id RETURNING n.tenant_id, n.endpoint_id AS id`

	releaseNotices = `UPDATE endpoint_notices SET wake_at = clock_timestamp() WHERE endpoint_id = ANY ($1::uuid[])`

	selectNotice = `
		SELECT n.tenant_id, t.name, t.url AS tenant_url, t.dialect, t.contact_email, n.endpoint_id, e.url, e.timeout_ms, n.due, n.exhausted, n.since,
			n.last_error, n.last_at, n.disabled_at, n.working_at, e.disabled_at AS disabled_now,
			e.disabled_by, e.disabled_reason, n.mails, n.sent_at, n.in_trouble,
			coalesce(s.failures, 0) AS failures, s.since AS streak_since, s.last_failure_at, s.last_success_at
		FROM endpoint_notices n JOIN endpoints e ON e.id = n.endpoint_id JOIN tenants t ON t.id = n.tenant_id
			LEFT JOIN endpoint_streaks s ON s.endpoint_id = n.endpoint_id
		WHERE n.endpoint_id = $1 AND n.tenant_id = $2 AND e.deleted_at IS NULL`

	// noticeTold leaves due what was added since the notice was read: more exhausted deliveries, another disabling.
	noticeTold = `
		UPDATE endpoint_notices SET
			mails = mails + $5::boolean::integer,
			sent_at = CASE WHEN $6 THEN $8 ELSE sent_at END,
			due = exhausted > $3 OR nullif(disabled_at, $4::timestamptz) IS NOT NULL,
			since = CASE WHEN exhausted > $3 OR nullif(disabled_at, $4::timestamptz) IS NOT NULL THEN $7::timestamptz END,
			exhausted = greatest(exhausted - $3, 0),
			last_error = CASE WHEN exhausted > $3 THEN last_error ELSE '' END,
			last_at = CASE WHEN exhausted > $3 THEN last_at END,
			disabled_at = nullif(disabled_at, $4::timestamptz),
			disabled_reason = CASE WHEN nullif(disabled_at, $4::timestamptz) IS NULL THEN '' ELSE disabled_reason END,
			in_trouble = $9, working_at = NULL, wake_at = clock_timestamp()
		WHERE endpoint_id = $1 AND tenant_id = $2 AND mails = $10
		RETURNING endpoint_id`

	// noteWorking finds endpoints that a mail said to be in trouble: enabled, and the last attempt that was recorded in their streak
	// succeeded, or, where none failed since the trouble began, they were enabled again.
	noteWorking = `
		UPDATE endpoint_notices n SET working_at = over.at, due = true, wake_at = clock_timestamp()
		FROM (
			SELECT n.endpoint_id, coalesce(s.last_success_at, clock_timestamp()) AS at
			FROM endpoint_notices n JOIN endpoints e ON e.id = n.endpoint_id LEFT JOIN endpoint_streaks s ON s.endpoint_id = n.endpoint_id
			WHERE n.in_trouble AND n.working_at IS NULL AND e.deleted_at IS NULL AND e.disabled_at IS NULL AND coalesce(s.failures, 0) = 0
				AND (s.last_failure_at IS NULL OR s.last_success_at > s.last_failure_at)
			LIMIT $1 FOR UPDATE OF n SKIP LOCKED
		) AS over
		WHERE n.endpoint_id = over.endpoint_id RETURNING n.endpoint_id`

	forgetNotices = `
		DELETE FROM endpoint_notices WHERE endpoint_id IN (
			SELECT n.endpoint_id FROM endpoint_notices n JOIN endpoints e ON e.id = n.endpoint_id JOIN tenants t ON t.id = n.tenant_id
			WHERE (n.due OR n.in_trouble) AND (e.deleted_at IS NOT NULL OR t.contact_email = '' OR t.dialect = ANY ($1::text[])
				OR n.due AND n.wake_at < now() - $2::bigint * interval '1 millisecond'
					AND coalesce(greatest(n.last_at, n.disabled_at, n.working_at), n.wake_at) < now() - $2::bigint * interval '1 millisecond')
			LIMIT $3 FOR UPDATE OF n SKIP LOCKED
		) RETURNING endpoint_id`
)

// ClaimNotices implements store.Notices.
func (s *Store) ClaimNotices(ctx context.Context, silent []string, lease time.Duration, limit int) ([]store.EndpointRef, error) {
	var claimed []store.EndpointRef
	err := s.selectHot(ctx, &claimed, claimNotices, textsOf(silent), lease.Milliseconds(), limit)
	return claimed, failed("claim notices", err)
}

// ReleaseNotices implements store.Notices.
func (s *Store) ReleaseNotices(ctx context.Context, endpoints []webhook.EndpointID) error {
	return failed("release notices", s.exec(ctx, releaseNotices, idsOf(endpoints)))
}

// noticeRow is a row of selectNotice.
type noticeRow struct {
	TenantID       string             `db:"tenant_id"`
	Name           string             `db:"name"`
	TenantURL      string             `db:"tenant_url"`
	Dialect        string             `db:"dialect"`
	ContactEmail   string             `db:"contact_email"`
	EndpointID     webhook.EndpointID `db:"endpoint_id"`
	URL            string             `db:"url"`
	TimeoutMS      *int64             `db:"timeout_ms"`
	Due            bool               `db:"due"`
	Exhausted      int64              `db:"exhausted"`
	Since          *time.Time         `db:"since"`
	LastError      string             `db:"last_error"`
	LastAt         *time.Time         `db:"last_at"`
	DisabledAt     *time.Time         `db:"disabled_at"`
	DisabledReason string             `db:"disabled_reason"`
	WorkingAt      *time.Time         `db:"working_at"`
	DisabledNow    *time.Time         `db:"disabled_now"`
	DisabledBy     string             `db:"disabled_by"`
	Mails          int64              `db:"mails"`
	SentAt         *time.Time         `db:"sent_at"`
	InTrouble      bool               `db:"in_trouble"`
	Failures       int                `db:"failures"`
	StreakSince    *time.Time         `db:"streak_since"`
	LastFailureAt  *time.Time         `db:"last_failure_at"`
	LastSuccessAt  *time.Time         `db:"last_success_at"`
}

func (r *noticeRow) notice() *store.Notice {
	n := &store.Notice{
		Tenant:     webhook.Tenant{ID: r.TenantID, Name: r.Name, URL: r.TenantURL, Dialect: r.Dialect, ContactEmail: r.ContactEmail},
		EndpointID: r.EndpointID, URL: r.URL, Due: r.Due, Exhausted: r.Exhausted, Since: r.Since, LastError: r.LastError, LastAt: r.LastAt,
		DisabledAt: r.DisabledAt, WorkingAt: r.WorkingAt, DisabledNow: r.DisabledNow, DisabledBy: r.DisabledBy, DisabledReason: r.DisabledReason,
		Streak:        webhook.Streak{Failures: r.Failures, Since: r.StreakSince, LastFailureAt: r.LastFailureAt},
		LastSuccessAt: r.LastSuccessAt, Mails: r.Mails, SentAt: r.SentAt, InTrouble: r.InTrouble,
	}
	if r.TimeoutMS != nil {
		timeout := webhook.Duration(time.Duration(*r.TimeoutMS) * time.Millisecond)
		n.Timeout = &timeout
	}
	return n
}

// Notice implements store.Notices.
func (s *Store) Notice(ctx context.Context, tenant string, endpoint webhook.EndpointID) (*store.Notice, error) {
	var row noticeRow
	if err := s.get(ctx, &row, selectNotice, endpoint, tenant); err != nil {
		return nil, failed("read a notice", orNotFound(err, "notice of endpoint", endpoint.String()))
	}
	return row.notice(), nil
}

// NoticeTold implements store.Notices.
func (s *Store) NoticeTold(ctx context.Context, t *store.Told) (bool, error) {
	var told []webhook.EndpointID
	err := s.list(ctx, &told, noticeTold, t.EndpointID, t.Tenant, t.Exhausted, t.DisabledAt, t.Sent, t.Trouble, t.ReadAt, t.At, t.InTrouble, t.Mails)
	return len(told) > 0, failed("mark a notice as told", err)
}

// NoteWorking implements store.Notices.
func (s *Store) NoteWorking(ctx context.Context, limit int) (int, error) {
	var noted []webhook.EndpointID
	err := s.selectHot(ctx, &noted, noteWorking, limit)
	return len(noted), failed("note endpoints that work again", err)
}

// ForgetNotices implements store.Notices.
func (s *Store) ForgetNotices(ctx context.Context, silent []string, after time.Duration, limit int) (int, error) {
	var forgotten []webhook.EndpointID
	err := s.list(ctx, &forgotten, forgetNotices, textsOf(silent), after.Milliseconds(), limit)
	return len(forgotten), failed("forget notices", err)
}
