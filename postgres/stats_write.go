package postgres

import (
	"math"
	"math/rand/v2"
	"sync"
)

// countCanceled adds the deliveries of the statement's CTE "canceled" to the statistics. The writer is $1. Rows are locked in the
// order of their key, in every statement that writes them.
const countCanceled = `
	INSERT INTO delivery_stats AS s (endpoint_id, at, writer, status_code, duration, tenant_id, attempts, delivered, exhausted, canceled)
	SELECT endpoint_id, date_bin('5 minutes', updated_at, 'epoch'), $1::smallint, 0, -1, tenant_id, 0, 0, 0, count(*)
	FROM canceled WHERE NOT test GROUP BY 1, 2, tenant_id ORDER BY 1, 2
	ON CONFLICT (endpoint_id, at, writer, status_code, duration) DO UPDATE SET canceled = s.canceled + excluded.canceled`

// statsWriters gives each statement that writes statistics a number of its own, so that no two wait for each other's rows. The
// numbers begin at random, so that processes rarely share any; two that do only wait.
type statsWriters struct {
	mu   sync.Mutex
	free []int
	next int
}

// use calls do with a number that no other call of this process has meanwhile.
func (w *statsWriters) use(do func(writer int) error) error {
	writer := w.take()
	defer w.giveBack(writer)
	return do(writer)
}

func (w *statsWriters) take() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.free); n > 0 {
		writer := w.free[n-1]
		w.free = w.free[:n-1]
		return writer
	}
	if w.next == 0 {
		w.next = 1 + rand.IntN(math.MaxInt16)
	}
	writer := w.next
	w.next = w.next%math.MaxInt16 + 1
	return writer
}

func (w *statsWriters) giveBack(writer int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.free = append(w.free, writer)
}
