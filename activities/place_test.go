package activities_test

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/activities"
	"waybill/store"
	"waybill/webhook"
)

// Attempts of wide events work a few at a time. One whose receiver is awaited takes no turn from those that could work.
func TestActivities_Attempt_wideTakeTurns(t *testing.T) {
	t.Parallel()
	const attempts = wideBegins + 2*wideEnds
	var beginning, ending, tooMany atomic.Int64
	begun, reads, ended, records := make(chan struct{}, attempts), make(chan struct{}), make(chan struct{}, attempts), make(chan struct{})
	entered, release := make(chan struct{}), make(chan struct{})
	b := setup(t, func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-release
	}, func(o *activities.Options) {
		o.FastLimit = attempts
		o.Failpoint = func(name string) {
			if name != "after-response" {
				return
			}
			if ending.Add(1) > wideEnds {
				tooMany.Add(1)
			}
			ended <- struct{}{}
			<-records
			ending.Add(-1)
		}
	})
	b.store.whileReading = func() {
		if beginning.Add(1) > wideBegins {
			tooMany.Add(1)
		}
		begun <- struct{}{}
		<-reads
		beginning.Add(-1)
	}
	var all sync.WaitGroup
	for n := range attempts {
		all.Go(func() { requireWideDelivered(t, b, n+1) })
	}
	for range wideBegins {
		<-begun
	}
	close(reads)
	for range attempts {
		<-entered // all of them hang at the receiver at the same time
	}
	close(release)
	for range wideEnds {
		<-ended
	}
	close(records)
	all.Wait()
	require.Zero(t, tooMany.Load())
}

func wideInput(number int) activities.AttemptInput {
	in := input()
	in.Number, in.Wide = number, true
	return in
}

func requireWideDelivered(t *testing.T, b *bundle, number int) {
	out, err := b.acts.Attempt(context.Background(), wideInput(number))
	if err != nil || out.Status != webhook.StatusDelivered {
		t.Errorf("attempt %d: %v, %v", number, out, err)
	}
}

// What was answered is recorded while others wait for their turn to begin.
func TestActivities_Attempt_wideRecordBeforeOthersBegin(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	b := setup(t, func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-release
	})
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		requireWideDelivered(t, b, 1)
	}()
	<-entered
	begun, reads := make(chan struct{}, wideBegins+1), make(chan struct{})
	b.store.whileReading = func() {
		begun <- struct{}{}
		<-reads
	}
	var rest sync.WaitGroup
	for n := range wideBegins + 1 {
		rest.Go(func() { requireWideDelivered(t, b, n+2) })
	}
	for range wideBegins {
		<-begun
	}
	close(release)
	<-answered
	close(reads)
	for range wideBegins + 1 {
		<-entered
	}
	rest.Wait()
}

// setupPatient is setupInBubble with a second of patience.
func setupPatient(t *testing.T) *bundle {
	b := setupInBubble(t, answer(204))
	b.options.Queue, b.options.Patience, b.options.Registerer = "own-queue", time.Second, nil
	return b
}

// An attempt that waits for its turn keeps the place of its caller, because that is what bounds how many wait.
func TestActivities_Attempt_wideWaitForTheirTurn(t *testing.T) {
	t.Parallel()
	b := setupPatient(t)
	synctest.Test(t, func(t *testing.T) {
		defer b.options.Transport.CloseIdle()
		acts := activities.New(b.options)
		reads := make(chan struct{})
		b.store.whileReading = func() { <-reads }
		results := make(chan *activities.AttemptResult)
		attempt := func(ctx context.Context, number int) {
			out, err := acts.Attempt(ctx, wideInput(number))
			if err != nil {
				require.ErrorIs(t, err, context.Canceled)
			}
			results <- out
		}
		for n := range wideBegins {
			go attempt(t.Context(), n+1)
		}
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		go attempt(t.Context(), 100)
		go attempt(ctx, 101)
		for range wideBegins {
			require.Equal(t, "own-queue", (<-results).FollowOn, "it has begun, and takes long")
		}
		time.Sleep(time.Minute)
		select {
		case out := <-results:
			t.Fatalf("%+v before its turn", out)
		default:
		}
		cancel()
		require.Nil(t, <-results)
		close(reads)
		require.Equal(t, webhook.StatusDelivered, (<-results).Status)
	})
}

// An attempt that was answered keeps its caller until it is recorded: a database that hangs has no more attempts begin meanwhile.
func TestActivities_Attempt_wideWaitForTheirRecord(t *testing.T) {
	t.Parallel()
	b := setupPatient(t)
	synctest.Test(t, func(t *testing.T) {
		defer b.options.Transport.CloseIdle()
		answered, records := make(chan struct{}), make(chan struct{})
		b.options.Failpoint = func(name string) {
			if name == "after-response" {
				answered <- struct{}{}
				<-records
			}
		}
		acts := activities.New(b.options)
		results := make(chan *activities.AttemptResult)
		for n := range wideEnds {
			go func() {
				out, err := acts.Attempt(t.Context(), wideInput(n+1))
				if err != nil {
					t.Error(err)
				}
				results <- out
			}()
		}
		for range wideEnds {
			<-answered
		}
		b.options.Transport.CloseIdle()
		time.Sleep(time.Minute)
		close(records)
		for range wideEnds {
			require.Equal(t, webhook.StatusDelivered, (<-results).Status)
		}
	})
}

// A receiver that has answered is not slow because its attempt waits for its turn to be recorded.
func TestActivities_Attempt_wideAnswerIsQuick(t *testing.T) {
	t.Parallel()
	var now, passes atomic.Int64
	now.Store(time.Now().UnixNano())
	answers, records := make(chan struct{}, 100), make(chan struct{})
	b := setup(t, func(http.ResponseWriter, *http.Request) { answers <- struct{}{} }, func(o *activities.Options) {
		o.Now = func() time.Time { return time.Unix(0, now.Load()) }
		o.Failpoint = func(name string) {
			if name == "after-response" && passes.Add(1) <= wideEnds {
				<-records
			}
		}
	})
	var all sync.WaitGroup
	for n := range wideEnds + 1 {
		all.Go(func() { requireWideDelivered(t, b, n+1) })
	}
	for range wideEnds + 1 {
		<-answers
	}
	now.Add(int64(time.Second))
	require.Eventually(t, func() bool {
		in := input()
		in.Number = 100
		out, err := b.acts.Attempt(context.Background(), in)
		return err == nil && !out.Spilled
	}, 10*time.Second, 10*time.Millisecond)
	close(records)
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
		for range wideBegins + 1 {
			_, err := b.attempt(t, wideInput(1))
			require.Error(t, err)
		}
	}
	b.store.onSending = nil
	out, err := b.attempt(t, wideInput(1))
	require.NoError(t, err)
	require.Equal(t, webhook.StatusDelivered, out.Status)
}

// Receivers that are gone keep no record of others waiting while their endpoints are being disabled.
func TestActivities_Attempt_wideDisablingTakesNoPlace(t *testing.T) {
	t.Parallel()
	var gone atomic.Int64
	b := setup(t, func(w http.ResponseWriter, _ *http.Request) {
		if gone.Add(1) <= wideEnds {
			w.WriteHeader(http.StatusGone)
		}
	})
	disabling, release := make(chan struct{}), make(chan struct{})
	b.engine.onDisable = func() error {
		disabling <- struct{}{}
		<-release
		return nil
	}
	var all sync.WaitGroup
	for n := range wideEnds {
		all.Go(func() { _, _ = b.acts.Attempt(context.Background(), wideInput(n+1)) })
	}
	for range wideEnds {
		<-disabling
	}
	requireWideDelivered(t, b, 100)
	close(release)
	all.Wait()
}
