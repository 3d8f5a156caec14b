package api_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/api"
	"waybill/store"
)

func TestStatus(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) { o.Version, o.Backlog = "v1.2.0", new(fakeBacklog) })
	b.store.waiting = store.Waiting{Events: 5, OldestAt: new(time.Date(2026, 5, 27, 14, 30, 0, 0, time.UTC)), SetAside: 1, Quarantined: 3}
	get := func() string { return string(b.admin("GET", "/v1/status", "").want(200).body) }
	require.JSONEq(t, `{"version":"v1.2.0","backlog":{"events":5,"oldest_at":"2026-05-27T14:30:00Z","limit":7},
		"database":{"ok":true},"temporal":{"ok":true},"quarantined":3,"set_aside":1}`, get())
	require.Equal(t, 14, b.store.counted, "as far as the tenants together may go, like the metric")

	b.store.waiting = store.Waiting{}
	require.JSONEq(t, `{"version":"v1.2.0","backlog":{"events":0,"limit":7},"database":{"ok":true},"temporal":{"ok":true},"quarantined":0,"set_aside":0}`, get())

	b.engine.ready = func() error { return errors.New("hush-hush") }
	b.store.breakWith(errors.New("hush-hush"))
	require.JSONEq(t, `{"version":"v1.2.0","backlog":{"limit":7},
		"database":{"ok":false,"error":"the database does not answer; the log of this process says why"},
		"temporal":{"ok":false,"error":"Temporal does not answer; the log of this process says why"}}`, get(), "what nobody knows is not shown as none")
	require.Contains(t, b.log.String(), "hush-hush")
}

// The two services are asked together, so that two that hang take no longer than one.
func TestStatus_AsksTogether(t *testing.T) {
	t.Parallel()
	database, temporal := make(chan struct{}), make(chan struct{})
	meet := func(mine, other chan struct{}) error {
		close(mine)
		select {
		case <-other:
			return nil
		case <-time.After(10 * time.Second):
			return errors.New("the other one was not asked meanwhile")
		}
	}
	b := setup(t, func(o *api.Options) {
		o.Store = meetingStore{o.Store, func() error { return meet(database, temporal) }}
	})
	b.engine.ready = func() error { return meet(temporal, database) }
	got := into[object](b.admin("GET", "/v1/status", "").want(200))
	require.Equal(t, object{"ok": true}, got["database"])
	require.Equal(t, object{"ok": true}, got["temporal"])
	require.Equal(t, "unknown", got["version"])
}

// meetingStore calls meet before it answers what waits.
type meetingStore struct {
	api.Store
	meet func() error
}

func (s meetingStore) CountWaiting(context.Context, int) (*store.Waiting, error) {
	return new(store.Waiting), s.meet()
}
