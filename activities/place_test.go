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
	b := setupInBubble(t, answer(204))
	synctest.Test(t, func(t *testing.T) {
		var begin, request, end held
		b.options.Failpoint = func(name string) {
			switch name {
			case "before-post":
				request.hold()
			case "after-response":
				end.hold()
			}
		}
		b.store.whileReading = begin.hold
		b.inBubble()
		begin.release, request.release, end.release = make(chan struct{}), make(chan struct{}), make(chan struct{})
		var all sync.WaitGroup
		for n := range attempts {
			all.Go(func() { requireWideDelivered(t, b, n+1) })
		}
		synctest.Wait()
		require.Equal(t, wideBegins, begin.now)
		for range attempts - wideBegins {
			begin.release <- struct{}{}
			synctest.Wait()
			require.Equal(t, wideBegins, begin.now, "one begins for each that has begun")
		}
		close(begin.release)
		synctest.Wait()
		require.Equal(t, attempts, request.now, "all wait for their receivers at the same time")
		close(request.release)
		synctest.Wait()
		require.Equal(t, wideEnds, end.now)
		close(end.release)
		all.Wait()
		require.Equal(t, wideEnds, end.most)
	})
}

// held are attempts that stay where they are until they are released.
type held struct {
	release   chan struct{}
	mu        sync.Mutex
	now, most int
}

func (h *held) hold() {
	h.add(1)
	defer h.add(-1)
	<-h.release
}

func (h *held) add(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now += n
	h.most = max(h.most, h.now)
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
	b := setupInBubble(t, answer(204))
	synctest.Test(t, func(t *testing.T) {
		request, reads := make(chan struct{}), make(chan struct{})
		b.options.Failpoint = func(name string) {
			if name == "before-post" {
				<-request
			}
		}
		b.inBubble()
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			requireWideDelivered(t, b, 1)
		}()
		synctest.Wait()
		b.store.whileReading = func() { <-reads }
		var rest sync.WaitGroup
		for n := range wideBegins + 1 {
			rest.Go(func() { requireWideDelivered(t, b, n+2) })
		}
		synctest.Wait()
		close(request)
		<-answered
		close(reads)
		rest.Wait()
	})
}

// setupPatient is setupInBubble with a second of patience.
func setupPatient(t *testing.T) *bundle {
	b := setupInBubble(t, answer(204))
	b.options.Queue, b.options.Patience = "own-queue", time.Second
	return b
}

// An attempt that waits for its turn keeps the place of its caller, because that is what bounds how many wait.
func TestActivities_Attempt_wideWaitForTheirTurn(t *testing.T) {
	t.Parallel()
	b := setupPatient(t)
	synctest.Test(t, func(t *testing.T) {
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
	b := setupInBubble(t, answer(204))
	synctest.Test(t, func(t *testing.T) {
		var passes atomic.Int64
		records := make(chan struct{})
		b.options.Failpoint = func(name string) {
			if name == "after-response" && passes.Add(1) <= wideEnds {
				<-records
			}
		}
		b.inBubble()
		var all sync.WaitGroup
		for n := range wideEnds + 1 {
			all.Go(func() { requireWideDelivered(t, b, n+1) })
		}
		time.Sleep(time.Second)
		require.EqualValues(t, wideEnds, passes.Load(), "the last waits")
		in := input()
		in.Number = 100
		out, err := b.acts.Attempt(t.Context(), in)
		require.NoError(t, err)
		require.False(t, out.Spilled)
		close(records)
		all.Wait()
	})
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
	b := setupInBubble(t, func(w http.ResponseWriter, _ *http.Request) {
		if gone.Add(1) <= wideEnds {
			w.WriteHeader(http.StatusGone)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		b.inBubble()
		release := make(chan struct{})
		b.engine.onDisable = func() error {
			<-release
			return nil
		}
		var all sync.WaitGroup
		for n := range wideEnds {
			all.Go(func() { _, _ = b.acts.Attempt(t.Context(), wideInput(n+1)) })
		}
		synctest.Wait()
		requireWideDelivered(t, b, 100)
		close(release)
		all.Wait()
	})
}
