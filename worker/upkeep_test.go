package worker_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"waybill/store"
	"waybill/webhook"
	"waybill/worker"
)

// upkeep runs an upkeep whose log and metrics can be read.
func upkeep(t *testing.T, d *memDispatches, s *fakeStarter) (*lines, *prometheus.Registry) {
	t.Helper()
	log, r := &lines{}, prometheus.NewRegistry()
	background(t, worker.NewUpkeep(worker.UpkeepOptions{
		Store: d, Teller: s, Registerer: r, Logger: log.logger(),
		Retention: store.RetentionRule{Keep: 48 * time.Hour, Audit: 72 * time.Hour},
		Dialects:  map[string]*webhook.Dialect{"holds": {HoldFor: webhook.Duration(time.Hour)}, "holds for good": {}},
	}).Run)
	return log, r
}

func endpoint(n int) store.EndpointRef {
	return store.EndpointRef{TenantID: "acme", ID: webhook.NewID[webhook.EndpointID]([16]byte{14: byte(n >> 8), 15: byte(n)})}
}

func (f *fakeStarter) wokeUp(e store.EndpointRef) func() bool {
	return func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return slices.Contains(f.woken, e)
	}
}

func TestUpkeep(t *testing.T) {
	t.Parallel()
	dispatches, starter := newDispatches(), &fakeStarter{down: true}
	dispatches.wake = []store.EndpointRef{endpoint(7)}
	dispatches.unowned, dispatches.tooLong = []string{"held-1", "held-2", "held-3"}, 3
	dispatches.expired, dispatches.uncounted = 2500, 3
	dispatches.erased, dispatches.erasing = 700, []string{"acme"}
	upkeep(t, dispatches, starter)
	eventually(t, func() bool {
		dispatches.mu.Lock()
		defer dispatches.mu.Unlock()
		return dispatches.created > 0 && dispatches.forgot > 0 && dispatches.trimmed > 0 && dispatches.expired == 0 && dispatches.uncounted == 0 &&
			dispatches.unowned == nil && dispatches.tooLong == 0 && dispatches.retained != nil && dispatches.erased == 0
	})
	require.Equal(t, store.RetentionRule{Keep: 48 * time.Hour, Audit: 72 * time.Hour}, dispatches.retained[0])
	require.Equal(t, map[string]time.Duration{"holds": time.Hour}, dispatches.holds)
	starter.setDown(false)
	eventually(t, starter.wokeUp(endpoint(7)))
	starter.mu.Lock()
	defer starter.mu.Unlock()
	require.Equal(t, []string{"held-1", "held-2", "held-3"}, starter.told)
}

// However many queues are to be woken, the last one is, and each once, not in every round.
func TestUpkeep_ManyQueues(t *testing.T) {
	t.Parallel()
	dispatches, starter := newDispatches(), &fakeStarter{}
	for n := range 1200 {
		dispatches.wake = append(dispatches.wake, endpoint(n+1))
	}
	upkeep(t, dispatches, starter)
	eventually(t, starter.wokeUp(endpoint(1200)))
	dispatches.mu.Lock()
	dispatches.wake = append(dispatches.wake, endpoint(1201))
	dispatches.mu.Unlock()
	eventually(t, starter.wokeUp(endpoint(1201)))
	starter.mu.Lock()
	defer starter.mu.Unlock()
	require.Len(t, starter.woken, 1201)
}

// Endpoints whose queue cannot be woken keep none of the others from it.
func TestUpkeep_BadEndpoints(t *testing.T) {
	t.Parallel()
	dispatches, starter := newDispatches(), &fakeStarter{}
	for n := range 8 {
		dispatches.wake = append(dispatches.wake, endpoint(n+1))
	}
	starter.wakeFault = func(id webhook.EndpointID) error {
		switch {
		case id == endpoint(1).ID:
			return errRefused
		case slices.Contains([]webhook.EndpointID{endpoint(2).ID, endpoint(3).ID, endpoint(4).ID}, id): // looks like an outage
			return errDown
		}
		return nil
	}
	log, r := upkeep(t, dispatches, starter)
	for n := 5; n <= 8; n++ {
		eventually(t, starter.wokeUp(endpoint(n)))
	}
	require.Contains(t, log.String(), "endpoint_id="+endpoint(1).ID.String())
	require.NoError(t, testutil.GatherAndCompare(r, strings.NewReader(`
		# HELP waybill_queue_wakes_failed_total Endpoints' queues that could not be woken. The log names the endpoint.
		# TYPE waybill_queue_wakes_failed_total counter
		waybill_queue_wakes_failed_total 1
		`), "waybill_queue_wakes_failed_total"))
}

func TestUpkeep_CountsWhatIsSetAside(t *testing.T) {
	t.Parallel()
	dispatches := newDispatches()
	dispatches.released = []store.Release{{EventKey: key(1)}, {EventKey: key(2), SetAside: true}}
	_, r := upkeep(t, dispatches, &fakeStarter{})
	eventually(t, func() bool {
		return testutil.GatherAndCompare(r, strings.NewReader(`
			# HELP waybill_dispatches_set_aside Events that cannot be dispatched and wait for a person, counted up to 10,000: see GET /v1/dispatches.
			# TYPE waybill_dispatches_set_aside gauge
			waybill_dispatches_set_aside 1
			`), "waybill_dispatches_set_aside") == nil
	})
}

// While nobody can count them, their number is none, rather than the last one that was read.
func TestUpkeep_SetAsideUnknown(t *testing.T) {
	t.Parallel()
	dispatches := newDispatches()
	dispatches.fail = errDown
	_, r := upkeep(t, dispatches, &fakeStarter{})
	eventually(t, func() bool { return math.IsNaN(metric(t, r, "waybill_dispatches_set_aside")) })
}

// Each old key has a count, 0 too: it says that the key may be removed.
func TestUpkeep_CountsOldSeals(t *testing.T) {
	t.Parallel()
	dispatches := newDispatches()
	dispatches.oldSeals = map[string]int{"k1": 0, "gone": 3}
	_, r := upkeep(t, dispatches, &fakeStarter{})
	eventually(t, func() bool {
		return testutil.GatherAndCompare(r, strings.NewReader(`
			# HELP waybill_sealed_with_old_key Values that are sealed with another encryption key than the first, by its id, counted every ten minutes. A key with 0 may be removed.
			# TYPE waybill_sealed_with_old_key gauge
			waybill_sealed_with_old_key{key="gone"} 3
			waybill_sealed_with_old_key{key="k1"} 0
			`), "waybill_sealed_with_old_key") == nil
	})
}
