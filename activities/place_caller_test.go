package activities_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/activities"
	"waybill/webhook"
)

// countPosts counts the requests that activities made with the options begin.
func (b *bundle) countPosts() *atomic.Int64 {
	var posts atomic.Int64
	b.options.Failpoint = func(name string) {
		if name == "before-post" {
			posts.Add(1)
		}
	}
	return &posts
}

// When an attempt's turn comes after its last caller has ended, another process may have made it: it is given up, and asked for anew.
func TestActivities_Attempt_wideWithoutACaller(t *testing.T) {
	t.Parallel()
	b := setupPatient(t)
	for name, joined := range map[string]bool{"nobody": false, "another": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				posts := b.countPosts()
				acts := activities.New(b.options)
				reads := make(chan struct{})
				b.store.whileReading = func() { <-reads }
				var all sync.WaitGroup
				for n := range wideBegins {
					all.Go(func() { _, _ = acts.Attempt(t.Context(), wideInput(n+1)) })
				}
				synctest.Wait()
				ctx, cancel := context.WithCancel(t.Context())
				all.Go(func() {
					_, err := acts.Attempt(ctx, wideInput(100))
					require.ErrorIs(t, err, context.Canceled)
				})
				later := wideInput(100)
				later.Lane = activities.LaneIsolated
				attempt := func() {
					out, err := acts.Attempt(t.Context(), later)
					require.NoError(t, err)
					require.Equal(t, webhook.StatusDelivered, out.Status)
				}
				synctest.Wait()
				if joined {
					all.Go(attempt)
				}
				synctest.Wait()
				cancel()
				synctest.Wait()
				close(reads)
				all.Wait()
				require.NoError(t, activities.Drain(t.Context(), acts))
				made := int64(wideBegins)
				if joined {
					made++
				}
				require.Equal(t, made, posts.Load())
				attempt()
			})
		})
	}
}

// A caller whose time ends says where the result will be, and nothing begins of which it could not: another process would make the attempt
// as well.
func TestActivities_Attempt_wideUntilTheCallersTimeEnds(t *testing.T) {
	t.Parallel()
	const left = time.Minute
	b := setupPatient(t)
	for name, test := range map[string]struct {
		// turn is when the attempt's turn comes, and post and record are how long its request and its record take.
		turn, post, record time.Duration
		status             webhook.Status
		followOn           string
		posts              int
	}{
		"its turn comes":                   {left - 10*time.Second, 0, 0, webhook.StatusDelivered, "", 1},
		"its turn comes just in time":      {left - 1500*time.Millisecond, left, 0, "", "own-queue", 1},
		"its turn comes at the end":        {left - 500*time.Millisecond, 0, 0, "", "", 0},
		"its turn comes too late":          {2 * left, 0, 0, "", "", 0},
		"its record is written":            {0, 0, left - 10*time.Second, webhook.StatusDelivered, "", 1},
		"its record is written at the end": {0, 0, left - 500*time.Millisecond, "", "own-queue", 1},
		"its record is written too late":   {0, 0, 2 * left, "", "own-queue", 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var reads, posts atomic.Int64
				b.options.Failpoint = func(name string) {
					switch name {
					case "before-post":
						posts.Add(1)
						time.Sleep(test.post)
					case "after-response":
						time.Sleep(test.record)
					}
				}
				acts := activities.New(b.options)
				b.store.whileReading = func() {
					if reads.Add(1) <= wideBegins {
						time.Sleep(test.turn)
						panic("one that keeps the attempt from its turn is not made")
					}
				}
				var all sync.WaitGroup
				for n := range wideBegins {
					all.Go(func() { _, _ = acts.Attempt(t.Context(), wideInput(n+1)) })
				}
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), left)
				defer cancel()
				out, err := acts.Attempt(ctx, wideInput(100))
				require.NoError(t, ctx.Err(), "it is answered in time")
				if test.posts == 0 {
					require.Error(t, err)
				} else {
					require.NoError(t, err)
					require.Equal(t, test.status, out.Status)
					require.Equal(t, test.followOn, out.FollowOn)
				}
				all.Wait()
				require.NoError(t, activities.Drain(t.Context(), acts))
				require.EqualValues(t, test.posts, posts.Load())
			})
		})
	}
}

// What waits for its turn when the process stops does not begin any more.
func TestDrain_wideDoNotBegin(t *testing.T) {
	t.Parallel()
	b := setupPatient(t)
	synctest.Test(t, func(t *testing.T) {
		posts := b.countPosts()
		acts := activities.New(b.options)
		reads := make(chan struct{})
		b.store.whileReading = func() { <-reads }
		for n := range 2 * wideBegins {
			go func() { _, _ = acts.Attempt(t.Context(), wideInput(n+1)) }()
		}
		synctest.Wait()
		drained := make(chan error)
		go func() { drained <- activities.Drain(t.Context(), acts) }()
		synctest.Wait()
		close(reads)
		require.NoError(t, <-drained)
		require.EqualValues(t, wideBegins, posts.Load())
	})
}
