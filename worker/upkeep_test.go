package worker_test

import (
	"slices"
	"strings"
	"testing"

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
	background(t, worker.NewUpkeep(worker.UpkeepOptions{Store: d, Starter: s, Registerer: r, Logger: log.logger()}).Run)
	return log, r
}

func endpoint(n int) store.EndpointRef {
	return store.EndpointRef{TenantID: "acme", ID: webhook.NewID[webhook.EndpointID]([16]byte{14: byte(n >> 8), 15: byte(n)})}
}

func (f *fakeStarter) recovered(e store.EndpointRef) func() bool {
	return func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return slices.Contains(f.recover, e)
	}
}

func TestUpkeep(t *testing.T) {
	t.Parallel()
	dispatches, starter := newDispatches(), &fakeStarter{down: true}
	dispatches.recover = []store.EndpointRef{endpoint(7)}
	dispatches.expired, dispatches.uncounted = 2500, 3
	upkeep(t, dispatches, starter)
	eventually(t, func() bool {
		dispatches.mu.Lock()
		defer dispatches.mu.Unlock()
		return dispatches.created > 0 && dispatches.forgot > 0 && dispatches.trimmed > 0 && dispatches.expired == 0 && dispatches.uncounted == 0
	})
	starter.setDown(false)
	eventually(t, starter.recovered(endpoint(7)))
}

// However many recoveries are due and under way, the last one is started, and each is asked for once, not in every round.
func TestUpkeep_ManyRecoveries(t *testing.T) {
	t.Parallel()
	dispatches, starter := newDispatches(), &fakeStarter{}
	for n := range 1200 {
		dispatches.recover = append(dispatches.recover, endpoint(n+1))
	}
	upkeep(t, dispatches, starter)
	eventually(t, starter.recovered(endpoint(1200)))
	dispatches.mu.Lock()
	dispatches.recover = append(dispatches.recover, endpoint(1201))
	dispatches.mu.Unlock()
	eventually(t, starter.recovered(endpoint(1201)))
	starter.mu.Lock()
	defer starter.mu.Unlock()
	require.Len(t, starter.recover, 1201)
}

// Endpoints whose recovery cannot be started keep none of the others from theirs.
func TestUpkeep_BadEndpoints(t *testing.T) {
	t.Parallel()
	dispatches, starter := newDispatches(), &fakeStarter{}
	for n := range 8 {
		dispatches.recover = append(dispatches.recover, endpoint(n+1))
	}
	starter.recoveryFault = func(id webhook.EndpointID) error {
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
		eventually(t, starter.recovered(endpoint(n)))
	}
	require.Contains(t, log.String(), "endpoint="+endpoint(1).ID.String())
	require.NoError(t, testutil.GatherAndCompare(r, strings.NewReader(`
		# HELP waybill_recovery_starts_failed_total Recoveries of endpoints that could not be started. The log names the endpoint.
		# TYPE waybill_recovery_starts_failed_total counter
		waybill_recovery_starts_failed_total 1
		`), "waybill_recovery_starts_failed_total"))
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
