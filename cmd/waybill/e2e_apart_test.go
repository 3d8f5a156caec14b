package main_test

import (
	"errors"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The API and the worker do as two processes what serve does as one, retries included.
func TestApart_APIAndWorker(t *testing.T) {
	t.Parallel()
	for name, env := range map[string][]string{"api dispatches": nil, "worker dispatches": {"WAYBILL_DISPATCH=false"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := ownGroup(t, groupOptions{})
			worker := g.own(t, "worker")
			api := g.own(t, "api", env...)
			tn := newTenant(t, api, "standard", fields{"retry": fields{"schedule": []string{"1s", "1s"}}})
			r := newReceiver(t, fails(2)...)
			e := tn.endpoint(t, r, nil)
			published := time.Now()
			d := tn.publish(t, confirmed, 1).Deliveries[0].ID
			got := r.wait(t, 3)
			for _, a := range got {
				requireBytes(t, confirmedBody, a.body)
			}
			require.Less(t, got[0].at.Sub(published), 20*time.Second, "the worker looks for events once a second")
			tn.waitDelivery(t, d, "delivered", 3)

			// The other process knows at once what one has changed.
			tn.call(t, "POST", tn.path+"/endpoints/"+e.ID+"/disable", nil).is(t, 200, nil)
			held := tn.publish(t, confirmed, 1).Deliveries[0].ID
			tn.waitDelivery(t, held, "held", 0)
			tn.call(t, "POST", tn.path+"/endpoints/"+e.ID+"/enable", nil).is(t, 200, nil)
			tn.waitDelivery(t, held, "delivered", 1)
			r.wait(t, 4)
			api.stop(t)
			worker.stop(t)
		})
	}
}

var watched = regexp.MustCompile(`msg="health and metrics are served" address=(\S+)`)

// A worker can be watched like an API: whether it lives, what it can reach, what it counts. It serves nothing else.
func TestApart_WorkerIsWatched(t *testing.T) {
	t.Parallel()
	g := ownGroup(t, groupOptions{postgresProxy: true})
	w := g.own(t, "worker", "WAYBILL_WORKER_LISTEN=127.0.0.1:0")
	await(t, patience, "the worker to listen", func() error {
		found := watched.FindStringSubmatch(w.read())
		if found == nil {
			return errors.New("it does not")
		}
		w.address = found[1]
		return nil
	})
	c := w.admin()
	c.call(t, "GET", "/healthz", nil).is(t, 200, nil)
	var ready readiness
	c.call(t, "GET", "/readyz", nil).is(t, 200, &ready)
	require.Equal(t, readiness{"ok", "up", "up"}, ready)
	metrics := c.call(t, "GET", "/metrics", nil)
	metrics.is(t, 200, nil)
	require.Contains(t, string(metrics.body), "waybill_outbox_rows_total")
	c.call(t, "GET", "/v1/tenants", nil).isProblem(t, 404, "not_found")

	g.postgres.cut()
	waitPostgres(t, w, 503)
	c.call(t, "GET", "/healthz", nil).is(t, 200, nil)
	g.postgres.restore()
	waitPostgres(t, w, 200)
	w.stop(t)
}
