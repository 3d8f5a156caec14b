package activities

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

func answered(code int) *webhook.AttemptSummary { return &webhook.AttemptSummary{StatusCode: code} }

func TestWindow_DoublesWhileTheReceiverAnswers(t *testing.T) {
	t.Parallel()
	w := newWindow(0, 32)
	require.Equal(t, 4, w.size)
	var sizes []int
	for range 4 + 8 + 16 + 40 {
		require.Zero(t, w.take(w.generation, answered(404)), "any quick answer is one")
		sizes = append(sizes, w.size)
	}
	require.Equal(t, []int{4, 8, 16, 32}, []int{sizes[2], sizes[3], sizes[11], sizes[27]})
	require.Equal(t, 32, w.size, "the most")
	w = newWindow(100, 32)
	require.Equal(t, 32, w.size)
}

func TestWindow_HalvesInTrouble(t *testing.T) {
	t.Parallel()
	for _, made := range []*webhook.AttemptSummary{
		answered(429), answered(502), answered(503), answered(504), {ErrorClass: webhook.ErrorTimeout}, {ErrorClass: webhook.ErrorConnect},
	} {
		w := newWindow(32, 32)
		began := w.generation
		w.take(began, made)
		require.Equal(t, 16, w.size)
		w.take(began, made)
		require.Equal(t, 16, w.size, "those that were in flight beside it tell nothing new")
		w.take(w.generation, made)
		require.Equal(t, 8, w.size)
		w.take(w.generation, answered(200))
		require.Equal(t, 8, w.size, "one answer does not undo it")
	}
	w := newWindow(4, 32)
	w.take(0, answered(500))
	require.Equal(t, 4, w.size, "an answer")
}

// A receiver that is in trouble with one request at a time is asked more and more rarely, until it answers.
func TestWindow_PausesAtOne(t *testing.T) {
	t.Parallel()
	w := newWindow(1, 32)
	var pauses []time.Duration
	for range 7 {
		pauses = append(pauses, w.take(w.generation, answered(503)))
	}
	const ms = time.Millisecond
	require.Equal(t, []time.Duration{200 * ms, 400 * ms, 800 * ms, 1600 * ms, 3200 * ms, 5000 * ms, 5000 * ms}, pauses)
	require.Equal(t, 1, w.size)
	require.Zero(t, w.take(w.generation, answered(200)))
	require.Equal(t, 2, w.size)
}

// Deliveries on their own schedule keep it beside a receiver in trouble, at a bounded rate.
func TestWindow_Scheduled(t *testing.T) {
	t.Parallel()
	w := newWindow(0, 32)
	for range 4 + 8 + 16 {
		require.Equal(t, 200*time.Millisecond, w.takeScheduled(answered(503)))
	}
	require.Equal(t, 32, w.size)
	require.Zero(t, w.takeScheduled(answered(500)))
}
