package activities_test

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/activities"
	"waybill/store"
	"waybill/webhook"
)

// Attempts of wide events work a few at a time. One whose receiver is awaited takes no place from those that could work.
func TestActivities_Attempt_wideTakeTurns(t *testing.T) {
	t.Parallel()
	const attempts = 3 * activities.WidePlaces
	entered, release := make(chan struct{}), make(chan struct{})
	b := setup(t, func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-release
	}, func(o *activities.Options) { o.FastLimit = attempts })
	var reading, tooMany atomic.Int64
	begun, reads := make(chan struct{}, attempts), make(chan struct{})
	b.store.whileReading = func() {
		if reading.Add(1) > activities.WidePlaces {
			tooMany.Add(1)
		}
		begun <- struct{}{}
		<-reads
		reading.Add(-1)
	}
	var all sync.WaitGroup
	for n := range attempts {
		all.Go(func() {
			in := input()
			in.Number, in.Wide = n+1, true
			out, err := b.acts.Attempt(context.Background(), in)
			if err != nil || out.Status != webhook.StatusDelivered {
				t.Errorf("attempt %d: %v, %v", n+1, out, err)
			}
		})
	}
	for range activities.WidePlaces {
		<-begun
	}
	close(reads)
	for range attempts {
		<-entered // all of them hang at the receiver at the same time
	}
	require.Zero(t, tooMany.Load())
	close(release)
	all.Wait()
}

// Neither a fault of the database nor a panic keeps a place.
func TestActivities_Attempt_wideGiveTheirPlacesBack(t *testing.T) {
	t.Parallel()
	b := setup(t, answer(204))
	for _, fail := range []func() (*store.Sending, error){
		func() (*store.Sending, error) { return nil, errDown }, func() (*store.Sending, error) { panic("a bug") },
	} {
		b.store.onSending = fail
		for range activities.WidePlaces + 1 {
			in := input()
			in.Wide = true
			_, err := b.attempt(t, in)
			require.Error(t, err)
		}
	}
	b.store.onSending = nil
	in := input()
	in.Wide = true
	out, err := b.attempt(t, in)
	require.NoError(t, err)
	require.Equal(t, webhook.StatusDelivered, out.Status)
}
