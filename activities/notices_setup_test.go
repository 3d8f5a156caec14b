package activities_test

import (
	"context"
	"io/fs"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"waybill/activities"
	"waybill/schemas"
	"waybill/scripts/inbox"
	"waybill/store"
	"waybill/webhook"
)

var noon = time.Date(2026, 5, 27, 12, 0, 0, 0, time.UTC)

// fakeNotices is a store with one notice.
type fakeNotices struct {
	notice   *store.Notice
	told     []store.Told
	released int
	fault    error // of NoticeTold
}

func (f *fakeNotices) ReleaseNotices(context.Context, []webhook.EndpointID) error {
	f.released++
	return nil
}

func (f *fakeNotices) Notice(context.Context, string, webhook.EndpointID) (*store.Notice, error) {
	if f.notice == nil {
		return nil, webhook.Errorf(webhook.CodeNotFound, "there is none")
	}
	n := *f.notice
	return &n, nil
}

// NoticeTold does to the notice what the database does.
func (f *fakeNotices) NoticeTold(_ context.Context, t *store.Told) (bool, error) {
	if f.fault != nil {
		return false, f.fault
	}
	f.told = append(f.told, *t)
	n := f.notice
	if n.Mails != t.Mails {
		return false, nil
	}
	n.Exhausted -= t.Exhausted
	if t.DisabledAt != nil {
		n.DisabledAt = nil
	}
	n.Due, n.WorkingAt, n.InTrouble = n.Exhausted > 0 || n.DisabledAt != nil, nil, t.InTrouble
	if t.Sent {
		n.Mails++
	}
	if t.Trouble {
		n.SentAt = &t.At
	}
	return true, nil
}

// noticeBundle sends the mails of one notice to an inbox.
type noticeBundle struct {
	store   *fakeNotices
	inbox   *inbox.Inbox
	env     *testsuite.TestActivityEnvironment
	acts    *activities.Notices
	now     time.Time
	metrics *prometheus.Registry
	log     *strings.Builder
}

func mailDialects(t *testing.T) map[string]*webhook.Dialect {
	t.Helper()
	all := map[string]*webhook.Dialect{
		"mute":   {Timeout: webhook.Duration(time.Second), Alerts: &webhook.Alerts{On: []webhook.Trouble{}, Subject: "s", MinInterval: webhook.Duration(time.Hour)}},
		"worst":  {Timeout: webhook.Duration(time.Second), Alerts: &webhook.Alerts{On: []webhook.Trouble{webhook.TroubleDisabled}, Subject: "s", MinInterval: webhook.Duration(time.Hour)}},
		"minute": {Timeout: webhook.Duration(time.Second), Alerts: &webhook.Alerts{On: webhook.Troubles, Subject: "s", MinInterval: webhook.Duration(time.Minute)}},
	}
	for _, name := range []string{"standard", "tradly"} {
		data, err := fs.ReadFile(schemas.Dialects(), name+".json")
		require.NoError(t, err)
		d, err := webhook.ParseDialect(data)
		require.NoError(t, err)
		all[name] = d
	}
	return all
}

func noticeSetup(t *testing.T, dialect string, o inbox.Options, change ...func(*activities.NoticesOptions)) *noticeBundle {
	t.Helper()
	server, options := mailServer(t, o)
	var suite testsuite.WorkflowTestSuite
	b := &noticeBundle{
		inbox: server, env: suite.NewTestActivityEnvironment(), now: noon, metrics: prometheus.NewRegistry(), log: &strings.Builder{},
		store: &fakeNotices{notice: &store.Notice{
			Tenant:     webhook.Tenant{ID: "acme", Name: "Acme", URL: "https://tradly.app", Dialect: dialect, ContactEmail: "ops@acme.example"},
			EndpointID: endpointID, URL: "https://hooks.acme.example:8443/hook/hush-path?token=hush-query", Due: true,
		}},
	}
	no := activities.NoticesOptions{
		Store: b.store, Sender: mailer(t, options), From: options.From, Dialects: mailDialects(t), Registerer: b.metrics,
		Logger: slog.New(slog.NewTextHandler(b.log, nil)), Now: func() time.Time { return b.now },
	}
	for _, c := range change {
		c(&no)
	}
	b.acts = activities.NewNotices(no)
	b.env.RegisterActivity(b.acts.SendNotice)
	return b
}

// exhausted adds n exhausted deliveries to the notice.
func (b *noticeBundle) exhausted(n int64) {
	at := b.now
	b.store.notice.Due, b.store.notice.LastAt, b.store.notice.LastError = true, &at, "the receiver answered 500"
	b.store.notice.Exhausted += n
	b.store.notice.Streak = webhook.Streak{Failures: 6, Since: &at, LastFailureAt: &at}
	if b.store.notice.Since == nil {
		b.store.notice.Since = &at
	}
}

func (b *noticeBundle) run(t *testing.T, in activities.NoticeInput) (*activities.NoticeResult, error) {
	t.Helper()
	in.Tenant, in.EndpointID = "acme", endpointID
	value, err := b.env.ExecuteActivity(b.acts.SendNotice, in)
	if err != nil {
		return nil, err
	}
	out := new(activities.NoticeResult)
	require.NoError(t, value.Get(out))
	return out, nil
}

func (b *noticeBundle) send(t *testing.T) *activities.NoticeResult {
	t.Helper()
	out, err := b.run(t, activities.NoticeInput{})
	require.NoError(t, err)
	return out
}

// counted expects so many mails of a result.
func (b *noticeBundle) counted(t *testing.T, result string, want int) {
	t.Helper()
	families, err := b.metrics.Gather()
	require.NoError(t, err)
	require.Len(t, families, 1)
	require.Equal(t, "waybill_mails_total", families[0].GetName())
	require.Len(t, families[0].GetMetric(), 4)
	for _, m := range families[0].GetMetric() {
		if m.GetLabel()[0].GetValue() == result {
			require.EqualValues(t, want, m.GetCounter().GetValue(), result)
		}
	}
	lint, err := testutil.GatherAndLint(b.metrics)
	require.NoError(t, err)
	require.Empty(t, lint)
}
