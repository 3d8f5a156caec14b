package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/store"
	"waybill/webhook"
)

const noticeLease = 10 * time.Minute

// contact gives a tenant an address that mail goes to, and an endpoint.
func (b *bundle) contact(tenant string) *webhook.Endpoint {
	b.t.Helper()
	b.tenant(tenant)
	b.exec(`UPDATE tenants SET contact_email = 'ops@' || id || '.example', url = 'https://' || id || '.example' WHERE id = $1`, tenant)
	return b.endpoint(tenant)
}

// exhaust notes n exhausted deliveries of an endpoint, as the record of their last attempts does.
func (b *bundle) exhaust(e *webhook.Endpoint, n int, at time.Time) {
	b.t.Helper()
	b.exec(`INSERT INTO endpoint_notices AS n (endpoint_id, tenant_id, due, exhausted, since, last_error, last_at)
		VALUES ($1, $2, true, $3, $4, 'the receiver answered 500', $4)
		ON CONFLICT (endpoint_id) DO UPDATE SET due = true, exhausted = n.exhausted + excluded.exhausted,
			since = coalesce(n.since, excluded.since), last_error = excluded.last_error, last_at = excluded.last_at`, e.ID, e.TenantID, n, at)
}

// noticeDisabled notes that an endpoint was disabled.
func (b *bundle) noticeDisabled(e *webhook.Endpoint, at time.Time) {
	b.t.Helper()
	b.exec(`INSERT INTO endpoint_notices AS n (endpoint_id, tenant_id, due, since, disabled_at, disabled_reason)
		VALUES ($1, $2, true, $3, $3, 'too many failures')
		ON CONFLICT (endpoint_id) DO UPDATE SET due = true, since = coalesce(n.since, excluded.since),
			disabled_at = excluded.disabled_at, disabled_reason = excluded.disabled_reason`, e.ID, e.TenantID, at)
	b.exec(`UPDATE endpoints SET disabled_at = $2, disabled_by = 'failures', disabled_reason = 'too many failures' WHERE id = $1`, e.ID, at)
}

// streak sets the streak of an endpoint.
func (b *bundle) streak(e *webhook.Endpoint, failures int, failed, succeeded *time.Time) {
	b.t.Helper()
	b.exec(`INSERT INTO endpoint_streaks (endpoint_id, tenant_id, failures, since, last_failure_at, last_success_at)
		VALUES ($1, $2, $3, CASE WHEN $3::integer > 0 THEN $4::timestamptz END, $4, $5)
		ON CONFLICT (endpoint_id) DO UPDATE SET failures = excluded.failures, since = excluded.since,
			last_failure_at = excluded.last_failure_at, last_success_at = excluded.last_success_at`, e.ID, e.TenantID, failures, failed, succeeded)
}

func (b *bundle) claimNotices(silent ...string) []webhook.EndpointID {
	b.t.Helper()
	claimed, err := b.ClaimNotices(b.t.Context(), silent, noticeLease, 100)
	require.NoError(b.t, err)
	var ids []webhook.EndpointID
	for _, c := range claimed {
		ids = append(ids, c.ID)
	}
	return ids
}

func (b *bundle) notice(e *webhook.Endpoint) *store.Notice {
	b.t.Helper()
	n, err := b.Notice(b.t.Context(), e.TenantID, e.ID)
	require.NoError(b.t, err)
	return n
}

// told marks what n says as told by a mail about trouble.
func (b *bundle) told(n *store.Notice) bool {
	b.t.Helper()
	ok, err := b.NoticeTold(b.t.Context(), &store.Told{
		Tenant: n.Tenant.ID, EndpointID: n.EndpointID, Mails: n.Mails, Exhausted: n.Exhausted, DisabledAt: n.DisabledAt,
		Sent: true, Trouble: true, InTrouble: true, ReadAt: now(), At: now(),
	})
	require.NoError(b.t, err)
	return ok
}

func TestNotice(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := b.contact("acme")
	timeout := webhook.Duration(3 * time.Second)
	b.exec(`UPDATE endpoints SET timeout_ms = 3000`)
	_, err := b.Notice(t.Context(), "acme", e.ID)
	requireCode(t, webhook.CodeNotFound, err)
	first, last := now().Add(-time.Minute), now()
	b.exhaust(e, 2, first)
	b.exhaust(e, 1, last)
	b.streak(e, 3, &last, &first)
	require.Equal(t, &store.Notice{
		Tenant:     webhook.Tenant{ID: "acme", Name: "acme", Dialect: "standard", ContactEmail: "ops@acme.example", URL: "https://acme.example"},
		EndpointID: e.ID, URL: e.URL, Timeout: &timeout, Due: true, Exhausted: 3, Since: &first, LastError: "the receiver answered 500", LastAt: &last,
		Streak: webhook.Streak{Failures: 3, Since: &last, LastFailureAt: &last}, LastSuccessAt: &first,
	}, b.notice(e))
	b.noticeDisabled(e, last)
	n := b.notice(e)
	require.Equal(t, &last, n.DisabledNow)
	require.Equal(t, "failures", n.DisabledBy)
	require.Equal(t, "too many failures", n.DisabledReason)
	require.Equal(t, &last, n.DisabledAt)
	require.Equal(t, &first, n.Since)

	_, err = b.Notice(t.Context(), "other", e.ID)
	requireCode(t, webhook.CodeNotFound, err)
	require.NoError(t, b.DeleteEndpoint(t.Context(), "acme", e.ID, now()))
	_, err = b.Notice(t.Context(), "acme", e.ID)
	requireCode(t, webhook.CodeNotFound, err)
}

// An endpoint is claimed once within the lease, and by nobody whose tenant or dialect wants no mail.
func TestClaimNotices(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e, gone, alone := b.contact("acme"), b.contact("gone"), b.contact("alone")
	b.exhaust(e, 1, now())
	b.exhaust(gone, 1, now())
	b.exhaust(alone, 1, now())
	require.NoError(t, b.DeleteEndpoint(t.Context(), "gone", gone.ID, now()))
	b.exec(`UPDATE tenants SET contact_email = '' WHERE id = 'alone'`)
	require.Empty(t, b.claimNotices("rheo", "standard"))
	require.Equal(t, []webhook.EndpointID{e.ID}, b.claimNotices("rheo"))
	require.Empty(t, b.claimNotices())
	require.NoError(t, b.ReleaseNotices(t.Context(), []webhook.EndpointID{e.ID}))
	require.Equal(t, []webhook.EndpointID{e.ID}, b.claimNotices())
	b.exec(`UPDATE endpoint_notices SET wake_at = now() - interval '1 second'`)
	require.Equal(t, []webhook.EndpointID{e.ID}, b.claimNotices(), "a lease ends")
	require.True(t, b.told(b.notice(e)))
	require.Empty(t, b.claimNotices(), "nothing is left to tell")
}

func TestClaimNotices_TheLongestWaitingFirst(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.contact("acme")
	for range 5 {
		b.exhaust(b.endpoint("acme"), 1, now())
	}
	seen := map[webhook.EndpointID]bool{}
	for range 3 {
		claimed, err := b.ClaimNotices(t.Context(), nil, noticeLease, 2)
		require.NoError(t, err)
		for _, c := range claimed {
			require.Equal(t, "acme", c.TenantID)
			require.False(t, seen[c.ID])
			seen[c.ID] = true
		}
	}
	require.Len(t, seen, 5)
}

// What was added while the mail was under way stays to be told; the same notice is not told twice.
func TestNoticeTold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := b.contact("acme")
	b.exhaust(e, 2, now())
	b.claimNotices()
	n := b.notice(e)
	b.exhaust(e, 3, now())
	b.noticeDisabled(e, now())
	require.True(t, b.told(n))
	require.False(t, b.told(n), "another mail was sent since")
	left := b.notice(e)
	require.True(t, left.Due)
	require.True(t, left.InTrouble)
	require.EqualValues(t, 1, left.Mails)
	require.NotNil(t, left.SentAt)
	require.EqualValues(t, 3, left.Exhausted)
	require.NotNil(t, left.Since)
	require.NotNil(t, left.DisabledAt)
	require.Equal(t, "the receiver answered 500", left.LastError)
	require.Equal(t, []webhook.EndpointID{e.ID}, b.claimNotices(), "the lease of the mail has ended")

	require.True(t, b.told(left))
	after := b.notice(e)
	require.False(t, after.Due)
	require.Zero(t, after.Exhausted)
	require.Nil(t, after.Since)
	require.Nil(t, after.DisabledAt)
	require.Empty(t, after.LastError)
	require.NotNil(t, after.DisabledNow, "that is of the endpoint, not of the notice")

	b.exhaust(e, 1, now())
	n = b.notice(e)
	ok, err := b.NoticeTold(t.Context(), &store.Told{Tenant: "acme", EndpointID: e.ID, Mails: n.Mails, Exhausted: n.Exhausted, ReadAt: now(), At: now()})
	require.NoError(t, err)
	require.True(t, ok, "left out without a mail")
	require.Equal(t, after.SentAt, b.notice(e).SentAt)
	require.EqualValues(t, 2, b.notice(e).Mails)
	require.False(t, b.notice(e).Due)
	ok, err = b.NoticeTold(t.Context(), &store.Told{Tenant: "other", EndpointID: e.ID, Mails: n.Mails, ReadAt: now(), At: now()})
	require.NoError(t, err)
	require.False(t, ok)
}

// An endpoint works again when it is enabled and its last attempt succeeded, and only of one that was in trouble it is noted.
func TestNoteWorking(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := b.contact("acme")
	earlier, later := now().Add(-time.Minute), now()
	notes := func(want int) {
		t.Helper()
		n, err := b.NoteWorking(t.Context(), 100)
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
	b.exhaust(e, 1, earlier)
	b.streak(e, 0, &earlier, &later)
	notes(0) // nobody was told of trouble
	require.True(t, b.told(b.notice(e)))
	b.streak(e, 2, &later, &earlier)
	notes(0) // it fails
	b.streak(e, 0, &later, &earlier)
	notes(0) // it was enabled again, and no attempt has succeeded
	b.noticeDisabled(e, later)
	b.streak(e, 0, &earlier, &later)
	notes(0)
	b.exec(`UPDATE endpoints SET disabled_at = NULL`)
	require.Nil(t, b.notice(e).WorkingAt)
	notes(1)
	notes(0) // once
	n := b.notice(e)
	require.Equal(t, &later, n.WorkingAt)
	require.True(t, n.Due)
	require.True(t, n.Working())
	require.Equal(t, []webhook.EndpointID{e.ID}, b.claimNotices())

	never := b.endpoint("acme") // disabled and enabled by a person
	b.noticeDisabled(never, later)
	require.True(t, b.told(b.notice(never)))
	notes(0)
	b.exec(`UPDATE endpoints SET disabled_at = NULL`)
	notes(1)
	require.False(t, b.notice(never).Working(), "as far as attempts say")
}

// What nobody is to be told does not pile up.
func TestForgetNotices(t *testing.T) {
	t.Parallel()
	b := setup(t)
	forgets := func(want int, silent ...string) {
		t.Helper()
		n, err := b.ForgetNotices(t.Context(), silent, 7*24*time.Hour, 100)
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
	e := b.contact("acme")
	longAgo := now().Add(-8 * 24 * time.Hour)
	b.exhaust(e, 1, longAgo)
	forgets(0, "rheo") // somebody may still send it
	b.exec(`UPDATE endpoint_notices SET wake_at = $1`, longAgo)
	b.exhaust(e, 1, now())
	forgets(0, "rheo") // it was due long ago, and is again since a moment
	b.exhaust(e, 1, longAgo)
	forgets(1, "rheo")
	require.Zero(t, b.count(`SELECT count(*) FROM endpoint_notices`))

	b.exhaust(e, 1, now())
	forgets(1, "standard")
	b.exhaust(e, 1, now())
	require.True(t, b.told(b.notice(e)))
	forgets(0)
	require.NoError(t, b.DeleteEndpoint(t.Context(), "acme", e.ID, now()))
	require.Zero(t, b.count(`SELECT count(*) FROM endpoint_notices`))
	b.exhaust(e, 1, now()) // recorded while the endpoint was being deleted
	forgets(1)

	alone := b.contact("alone")
	b.exhaust(alone, 1, now())
	b.exec(`UPDATE tenants SET contact_email = '' WHERE id = 'alone'`)
	forgets(1)
	for range 3 {
		b.exhaust(b.endpoint("alone"), 1, now())
	}
	n, err := b.ForgetNotices(t.Context(), nil, time.Hour, 2)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	forgets(1)
	require.Zero(t, b.count(`SELECT count(*) FROM endpoint_notices`))
}
