package api

import (
	"math"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/time/rate"

	"waybill/webhook"
)

const (
	// maxTests is how many calls may wait for their tests and challenges at a time, and maxTenantTests how many of one tenant, so that
	// receivers which do not answer keep nobody else waiting.
	maxTests       = 100
	maxTenantTests = 10
	// A tenant may have challengesAtOnce receivers challenged after a pause, and then one each challengeEvery: whoever can make endpoints
	// can name a receiver that is not his. Both are of one process.
	challengesAtOnce = 10
	challengeEvery   = 6 * time.Second
	// maxShares is how many tenants are followed. One that falls out begins anew; so does one that is idle for shareIdle, by when its calls
	// have ended and its limit is full again.
	maxShares = 10_000
	shareIdle = 10 * time.Minute
)

// testShare is what a tenant does with the calls that wait for a receiver.
type testShare struct {
	waiting    atomic.Int32
	challenges *rate.Limiter
}

// testShares bound the calls that wait for a receiver, in all and for each tenant.
type testShares struct {
	all    chan struct{}
	shares *otter.Cache[string, *testShare]
}

func newTestShares() *testShares {
	return &testShares{
		all: make(chan struct{}, maxTests),
		shares: otter.Must(&otter.Options[string, *testShare]{
			MaximumSize: maxShares, ExpiryCalculator: otter.ExpiryAccessing[string, *testShare](shareIdle),
		}),
	}
}

func (t *testShares) of(tenant string) *testShare {
	share, _ := t.shares.ComputeIfAbsent(tenant, func() (*testShare, bool) {
		return &testShare{challenges: rate.NewLimiter(rate.Every(challengeEvery), challengesAtOnce)}, false
	})
	return share
}

// enter takes a place, which leave gives back. CodeOverloaded: the tenant, or all together, have too many.
func (t *testShares) enter(tenant string) (leave func(), err error) {
	share := t.of(tenant)
	if share.waiting.Add(1) > maxTenantTests {
		share.waiting.Add(-1)
		return nil, webhook.Errorf(webhook.CodeOverloaded, "%d endpoints of the tenant are being tested at this moment; try again", maxTenantTests)
	}
	select {
	case t.all <- struct{}{}:
		return func() {
			<-t.all
			share.waiting.Add(-1)
		}, nil
	default:
		share.waiting.Add(-1)
		return nil, webhook.Errorf(webhook.CodeOverloaded, "%d endpoints are being tested at this moment; try again", maxTests)
	}
}

// challenge counts a challenge of the tenant. CodeRateLimited: it has too many; the header says when there is room.
func (t *testShares) challenge(w http.ResponseWriter, tenant string, now time.Time) error {
	reserved := t.of(tenant).challenges.ReserveN(now, 1)
	wait := reserved.DelayFrom(now)
	if wait <= 0 {
		return nil
	}
	reserved.CancelAt(now)
	w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	return webhook.Errorf(webhook.CodeRateLimited, "the tenant has asked %d receivers for a proof within a minute; the next may be asked in %s",
		challengesAtOnce, webhook.Duration(wait.Round(time.Second)))
}

func (t *testShares) close() { t.shares.StopAllGoroutines() }
