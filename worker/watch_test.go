package worker_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"waybill/store"
	"waybill/worker"
)

// watched is a database and a Temporal that a test can take away.
type watched struct {
	mu       sync.Mutex
	database error
	temporal error
	limits   []int
}

func (w *watched) CountTrouble(_ context.Context, most int) (*store.Trouble, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.limits = append(w.limits, most)
	return &store.Trouble{Retrying: 3, Held: 2, OldestSeconds: 1.5}, w.database
}

func (w *watched) WorstStreaks(_ context.Context, limit int) ([]store.EndpointStreak, error) {
	worst := make([]store.EndpointStreak, limit)
	for i := range worst {
		worst[i] = store.EndpointStreak{EndpointRef: endpoint(i + 1), Failures: limit - i}
	}
	return worst, nil
}

func (w *watched) ready(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.temporal
}

func (w *watched) set(database, temporal error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.database, w.temporal = database, temporal
}

// What is away is said once, and once that it is back, however long it lasts.
func TestWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, log, r := &watched{}, &lines{}, prometheus.NewRegistry()
		background(t, worker.NewWatch(worker.WatchOptions{Store: w, Ready: w.ready, TopEndpoints: 2, Registerer: r, Logger: log.logger()}).Run)
		shown := func(database, temporal string) {
			t.Helper()
			// What a process does not know, it does not go on to tell.
			held, retrying, oldest, streaks := "NaN", "NaN", "NaN", ""
			if database == "1" {
				held, retrying, oldest, streaks = "2", "3", "1.5", `
# HELP waybill_endpoint_streak_failures Failed attempts in a row of the endpoints with the most, as many as WAYBILL_METRICS_TOP_ENDPOINTS says.
# TYPE waybill_endpoint_streak_failures gauge
waybill_endpoint_streak_failures{endpoint_id="`+endpoint(1).ID.String()+`",tenant="acme"} 2
waybill_endpoint_streak_failures{endpoint_id="`+endpoint(2).ID.String()+`",tenant="acme"} 1`
			}
			time.Sleep(time.Minute) // of the test's own clock
			synctest.Wait()
			require.NoError(t, testutil.GatherAndCompare(r, strings.NewReader(`
# HELP waybill_database_up 1 while the database answers this process.
# TYPE waybill_database_up gauge
waybill_database_up `+database+`
# HELP waybill_deliveries_held Deliveries that are held because their endpoint is disabled, counted up to 10,000.
# TYPE waybill_deliveries_held gauge
waybill_deliveries_held `+held+`
# HELP waybill_deliveries_retrying Deliveries that wait for their next attempt, counted up to 10,000.
# TYPE waybill_deliveries_retrying gauge
waybill_deliveries_retrying `+retrying+streaks+`
# HELP waybill_oldest_undispatched_age_seconds Age of the oldest event that is accepted and not dispatched; 0: there is none.
# TYPE waybill_oldest_undispatched_age_seconds gauge
waybill_oldest_undispatched_age_seconds `+oldest+`
# HELP waybill_temporal_up 1 while Temporal answers this process.
# TYPE waybill_temporal_up gauge
waybill_temporal_up `+temporal+`
`)))
		}
		shown("1", "1")
		w.set(errors.New("gone"), nil)
		shown("0", "1")
		w.set(nil, errors.New("away"))
		shown("1", "0")
		w.set(nil, nil)
		shown("1", "1")
		for says, times := range map[string]int{
			"the database does not answer": 1, "the database answers again": 1, "Temporal does not answer": 1, "Temporal answers again": 1,
		} {
			require.Equal(t, times, strings.Count(log.String(), says), "%s:\n%s", says, log)
		}
		for _, most := range w.limits {
			require.Equal(t, 10_000, most, "no scrape and no round counts a million rows")
		}
		require.Less(t, len(w.limits), 25, "four times a minute")
	})
}

// Endpoints have no series unless somebody asks, and never more than the most.
func TestWatch_TopEndpoints(t *testing.T) {
	t.Parallel()
	for asked, want := range map[int]int{0: 0, 1: 1, 1000: worker.MaxTopEndpoints} {
		synctest.Test(t, func(t *testing.T) {
			w, log, r := &watched{}, &lines{}, prometheus.NewRegistry()
			background(t, worker.NewWatch(worker.WatchOptions{Store: w, Ready: w.ready, TopEndpoints: asked, Registerer: r, Logger: log.logger()}).Run)
			synctest.Wait()
			n, err := testutil.GatherAndCount(r, "waybill_endpoint_streak_failures")
			require.NoError(t, err)
			require.Equal(t, want, n)
		})
	}
}
