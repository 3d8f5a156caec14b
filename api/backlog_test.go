package api_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/api"
	"waybill/webhook"
)

// fakeBacklog notes what it is told, and refuses with refuse.
type fakeBacklog struct {
	mu                      sync.Mutex
	refuse                  error
	admitted, done, waiting int
}

func (f *fakeBacklog) Admit(_ string, events int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse != nil {
		return f.refuse
	}
	f.admitted += events
	return nil
}

func (f *fakeBacklog) Done(_ string, admitted, waiting int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done += admitted
	f.waiting += waiting
}

// took returns how many events were admitted and how many of them wait since it was last asked.
func (f *fakeBacklog) Limit() int { return 7 }

func (f *fakeBacklog) took(t *testing.T) (admitted, waiting int) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	require.Equal(t, f.admitted, f.done, "the answer for every event that was admitted")
	admitted, waiting = f.admitted, f.waiting
	f.admitted, f.done, f.waiting = 0, 0, 0
	return admitted, waiting
}

func setupBacklog(t *testing.T) (*testBundle, *fakeBacklog) {
	t.Helper()
	backlog := &fakeBacklog{}
	b := setup(t, func(o *api.Options) { o.Backlog = backlog })
	b.tenant("acme", "standard")
	return b, backlog
}

const two = `{"events":[{"type":"a.b","data":1,"id":"e1"},{"type":"a.b","data":2,"id":"e2"}]}`

// While the backlog is full every way to publish answers 429, says when to try again, and stores nothing.
func TestBacklog_Full(t *testing.T) {
	t.Parallel()
	b, backlog := setupBacklog(t)
	endpoint := b.endpoint("acme")
	backlog.refuse = webhook.Errorf(webhook.CodeBacklogFull, "7 events wait; send it again")
	for path, body := range map[string]string{
		"/events": `{"type":"a.b","data":1,"id":"e1"}`, "/events/batch": two, "/endpoints/" + endpoint + "/test": "",
	} {
		a := b.admin("POST", "/v1/tenants/acme"+path, body)
		require.Equal(t, "7 events wait; send it again", a.problem(429, webhook.CodeBacklogFull).Detail)
		require.Equal(t, "5", a.header.Get("Retry-After"))
	}
	require.Empty(t, b.store.events)
	require.Zero(t, b.store.called("Accept"))

	b.admin("POST", "/v1/tenants/acme/events", `{"data":1}`).problem(422, webhook.CodeInvalid)
	b.admin("GET", "/v1/tenants/acme/deliveries", "").want(200)
	backlog.refuse = webhook.Errorf(webhook.CodeUnavailable, "down")
	require.Equal(t, "1", b.admin("POST", "/v1/tenants/acme/events/batch", two).want(503).header.Get("Retry-After"))

	backlog.refuse = nil
	b.admin("POST", "/v1/tenants/acme/events/batch", two).want(200)
	require.Len(t, b.store.events, 2)
}

// The backlog learns of every event that was admitted what became of it.
func TestBacklog_Done(t *testing.T) {
	t.Parallel()
	b, backlog := setupBacklog(t)
	send := func(path, body string, status, wantAdmitted, wantWaiting int) {
		t.Helper()
		b.admin("POST", "/v1/tenants/acme/events"+path, body).want(status)
		admitted, waiting := backlog.took(t)
		require.Equal(t, wantAdmitted, admitted)
		require.Equal(t, wantWaiting, waiting)
	}
	send("", `{"type":"a.b","data":1,"id":"early"}`, 202, 1, 0) // nobody subscribes, so no workflow is to be started
	b.endpoint("acme")
	send("", `{"type":"a.b","data":1,"id":"e1"}`, 202, 1, 1)
	send("", `{"type":"a.b","data":1,"id":"e1"}`, 202, 1, 0) // stored already
	send("", `{"type":"a.b","data":9,"id":"e1"}`, 409, 1, 0)
	send("", `{"type":"a.b"}`, 422, 0, 0)
	send("/batch", two, 200, 2, 1)
	b.lenient = true
	send("/batch", `{"events":[{"type":"a.b","data":3},{"type":"a.b"},{"type":"a.b","data":4}]}`, 200, 3, 2)

	b.store.breakWith(errors.New("hush-hush"), "Accept")
	send("", `{"type":"a.b","data":5}`, 500, 1, 0)
	send("/batch", two, 200, 2, 0)
	b.store.fail = func(string) error { panic("hush-hush") }
	b.server.Close()
	b.admin("POST", "/v1/tenants/acme/events", `{"type":"a.b","data":5}`)
	backlog.took(t)
}

// When a caller has hung up, it is unknown whether the event was stored, so it counts until the next reading.
func TestBacklog_CallerGone(t *testing.T) {
	t.Parallel()
	b, backlog := setupBacklog(t)
	ctx, hangUp := context.WithCancel(t.Context())
	b.store.fail = func(method string) error {
		if method == "Accept" {
			hangUp()
		}
		return ctx.Err()
	}
	r := httptest.NewRequest("POST", "/v1/tenants/acme/events", strings.NewReader(`{"type":"a.b","data":1}`)).WithContext(ctx)
	r.Header.Set("Authorization", "Bearer "+adminKey)
	r.Header.Set("Content-Type", "application/json")
	b.server.ServeHTTP(httptest.NewRecorder(), r)
	admitted, waiting := backlog.took(t)
	require.Equal(t, []int{1, 1}, []int{admitted, waiting})
}
