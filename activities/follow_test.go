package activities_test

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"

	"waybill/activities"
	"waybill/webhook"
)

// A receiver that takes its time does not keep the workflow task: the result is fetched from the process' own queue.
func TestActivities_Follow(t *testing.T) {
	t.Parallel()
	var arrivals atomic.Int32
	release := make(chan struct{})
	b := setup(t, func(w http.ResponseWriter, r *http.Request) {
		arrivals.Add(1)
		holding(release)(w, r)
	}, func(o *activities.Options) {
		o.Queue, o.Patience, o.HeartbeatEvery = "own-queue", time.Millisecond, time.Millisecond
	})

	out, err := b.attempt(t, input())
	require.NoError(t, err)
	require.Equal(t, activities.AttemptResult{FollowOn: "own-queue"}, *out)
	// The workflow task that was told is lost, and run again.
	out, err = b.attempt(t, input())
	require.NoError(t, err)
	require.Equal(t, "own-queue", out.FollowOn)

	drained := make(chan error, 1)
	go func() { drained <- activities.Drain(context.Background(), b.acts) }()
	// It heartbeats once it has found the attempt.
	answer := sync.OnceFunc(func() { close(release) })
	b.env.SetOnActivityHeartbeatListener(func(*activity.Info, converter.EncodedValues) { answer() })
	value, err := b.env.ExecuteActivity(b.acts.Follow, input())
	require.NoError(t, err)
	require.NoError(t, value.Get(out))
	require.Equal(t, webhook.StatusDelivered, out.Status)
	require.NoError(t, received(t, drained))
	require.Equal(t, int32(1), arrivals.Load(), "the receiver met one request")
	require.Len(t, b.store.recorded, 1)
}

// A Follow that comes too late, or in the wrong process, gets CodeNotFound, and Attempt then finds the record.
func TestActivities_Follow_nothing(t *testing.T) {
	t.Parallel()
	b := setup(t, answer(204), func(o *activities.Options) { o.Queue, o.Patience = "own-queue", time.Minute })
	_, err := b.env.ExecuteActivity(b.acts.Follow, input())
	requireType(t, err, "not_found", true)

	out, err := b.attempt(t, input())
	require.NoError(t, err)
	require.Equal(t, webhook.StatusDelivered, out.Status, "a quick answer needs no following")
}

func TestDrain_GivesUp(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	b := setup(t, holding(release),
		func(o *activities.Options) { o.Queue, o.Patience = "own-queue", time.Millisecond })
	_, err := b.attempt(t, input())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, activities.Drain(ctx, b.acts), context.Canceled)
	close(release)
	require.NoError(t, activities.Drain(t.Context(), b.acts))
}
