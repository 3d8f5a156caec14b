package worker_test

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"waybill/schemas"
	"waybill/store"
	"waybill/webhook"
	"waybill/worker"
)

// memOutbox gives one prepared answer for each step, then nothing to do. Steps after a tenant in bad fail.
type memOutbox struct {
	mu      sync.Mutex
	answers []store.Ingested
	fail    error
	bad     map[string]error
	steps   []store.Ingestion
	wake    func()
}

func (m *memOutbox) IngestOutbox(_ context.Context, in store.Ingestion) (store.Ingested, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.steps = append(m.steps, in)
	if m.fail != nil || len(m.answers) == 0 {
		return store.Ingested{}, m.fail
	}
	next := m.answers[0]
	m.answers = m.answers[1:]
	return next, m.bad[in.After]
}

// after returns where the steps so far began.
func (m *memOutbox) after() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for _, in := range m.steps {
		out = append(out, in.After)
	}
	return out
}

func (m *memOutbox) ListenOutbox(ctx context.Context, wake func()) {
	m.mu.Lock()
	m.wake = wake
	m.mu.Unlock()
	<-ctx.Done()
}

// add lets further rows be found.
func (m *memOutbox) add(answers ...store.Ingested) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answers = append(m.answers, answers...)
}

func (m *memOutbox) setFail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = err
}

func (m *memOutbox) calls() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.steps)
}

func (m *memOutbox) listens() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.wake != nil
}

// anyData takes all data but the text "bad".
type anyData struct{}

func (anyData) Validate(_, _ string, data []byte) error {
	if string(data) == `"bad"` {
		return webhook.Errorf(webhook.CodeSchemaViolation, "bad")
	}
	return nil
}

func (a anyData) ValidateOwn(own *webhook.OwnType, data []byte) error {
	return a.Validate("", own.Type, data)
}

func (anyData) CheckSchema([]byte) error { return nil }

func ingester(t *testing.T, m *memOutbox) *prometheus.Registry {
	t.Helper()
	data, err := fs.ReadFile(schemas.Dialects(), "rheo.json")
	require.NoError(t, err)
	rheo, err := webhook.ParseDialect(data)
	require.NoError(t, err)
	r := prometheus.NewRegistry()
	background(t, worker.NewIngester(worker.IngesterOptions{
		Outbox: m, Schemas: anyData{}, Dialects: map[string]*webhook.Dialect{"rheo": rheo}, MaxBytes: 1000, Registerer: r,
		Logger: slog.New(slog.DiscardHandler),
	}).Run)
	return r
}

// rows reports whether the metric says so.
func rows(r *prometheus.Registry, published, quarantined, repeated int) func() bool {
	want := fmt.Sprintf(`
		# HELP waybill_outbox_rows_total Rows of the outbox that were ingested, by what became of them.
		# TYPE waybill_outbox_rows_total counter
		waybill_outbox_rows_total{result="published"} %d
		waybill_outbox_rows_total{result="quarantined"} %d
		waybill_outbox_rows_total{result="repeated"} %d
		`, published, quarantined, repeated)
	return func() bool {
		return testutil.GatherAndCompare(r, strings.NewReader(want), "waybill_outbox_rows_total") == nil
	}
}

// The ingester continues until no rows are left, counts the results, and looks again when it is woken and after a while.
func TestIngester(t *testing.T) {
	t.Parallel()
	m := &memOutbox{answers: []store.Ingested{{Published: 256}, {Published: 3, Repeated: 2}, {Quarantined: 1}}}
	r := ingester(t, m)
	eventually(t, func() bool { return m.calls() >= 4 && m.listens() })
	eventually(t, rows(r, 259, 1, 2))

	for range 3 {
		before := m.calls()
		m.wake()
		eventually(t, func() bool { return m.calls() >= before+2 }) // at once, and after those who came without waking it
	}
	m.add(store.Ingested{Published: 1})
	eventually(t, rows(r, 260, 1, 2))
}

// The ingester goes through all tenants, past those that fail, until in a round of them nothing was left to do.
func TestIngester_Rounds(t *testing.T) {
	t.Parallel()
	m := &memOutbox{bad: map[string]error{"b": errDown}, answers: []store.Ingested{
		{Next: "b"}, {Next: "d"}, {Published: 2},
		{Next: "b"}, {Next: "d"}, {},
		{Published: 1}, // of the next wake
	}}
	r := ingester(t, m)
	eventually(t, rows(r, 2, 0, 0))
	eventually(t, m.listens)
	eventually(t, func() bool { return m.calls() >= 6 })
	require.Equal(t, []string{"", "b", "d", "", "b", "d"}, m.after()[:6])
	m.wake()
	eventually(t, rows(r, 3, 0, 0))
	require.Empty(t, m.after()[6])
}

// busyOutbox has rows without an end, and a step that fails.
type busyOutbox struct{ memOutbox }

func (b *busyOutbox) IngestOutbox(_ context.Context, in store.Ingestion) (store.Ingested, error) {
	time.Sleep(time.Millisecond)
	if in.After == "" {
		return store.Ingested{Published: 1, Next: "b"}, nil
	}
	return store.Ingested{}, errDown
}

// A failure is reported once, although other tenants' rows keep coming.
func TestIngester_ReportsWhileBusy(t *testing.T) {
	t.Parallel()
	log := &lines{}
	background(t, worker.NewIngester(worker.IngesterOptions{Outbox: &busyOutbox{}, Schemas: anyData{}, Logger: log.logger()}).Run)
	reported := func() bool { return strings.Contains(log.String(), "the outbox cannot be read") }
	eventually(t, reported)
	time.Sleep(10 * time.Millisecond)
	require.Equal(t, 1, strings.Count(log.String(), "level="))
}

func TestIngester_SurvivesTheDatabase(t *testing.T) {
	t.Parallel()
	m := &memOutbox{fail: errDown}
	r := ingester(t, m)
	eventually(t, func() bool { return m.calls() >= 1 })
	eventually(t, rows(r, 0, 0, 0))
	m.add(store.Ingested{Published: 1})
	m.setFail(nil)
	eventually(t, rows(r, 1, 0, 0))
}

// Rows are judged as the API judges requests.
func TestIngester_Prepare(t *testing.T) {
	t.Parallel()
	m := &memOutbox{}
	ingester(t, m)
	eventually(t, func() bool { return m.calls() >= 1 })
	m.mu.Lock()
	in := m.steps[0]
	m.mu.Unlock()
	require.Equal(t, []string{"rheo"}, in.Dialects)
	require.Equal(t, int64(1000), in.RowBytes)
	row := &webhook.OutboxRow{Key: key(1), TenantID: "acme", Type: "item.sold", Data: []byte(`{}`)}
	tenant := &webhook.Tenant{ID: "acme", Dialect: "rheo"}
	code := func() webhook.Code {
		_, err := in.Prepare(row, tenant, nil)
		return webhook.ErrorCode(err)
	}
	require.Equal(t, webhook.CodeInvalid, code(), "of no time")
	row.CreatedAt = time.Now()
	p, err := in.Prepare(row, tenant, nil)
	require.NoError(t, err)
	require.Equal(t, key(1).String(), p.Event.ID)
	row.Data = []byte(`"bad"`)
	require.Equal(t, webhook.CodeSchemaViolation, code())
	row.Type = "item.lost"
	require.Equal(t, webhook.CodeUnknownEventType, code())
	tenant.Dialect = "elsewhere"
	require.Equal(t, webhook.CodeUnavailable, code(), "left to a process that knows the dialect")
}
