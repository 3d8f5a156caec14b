package cli

import (
	"fmt"
	"net/http"
	"time"

	"waybill/client"
)

// send publishes lines, and sends those again that the server cannot take at the moment.
func (b *batch) send(lines []batchLine) error {
	var last int
	if len(lines) > 0 {
		last = lines[len(lines)-1].number
	}
	for until, n := time.Now().Add(b.patience), 1; len(lines) > 0; n++ {
		later, because, err := b.sendOnce(lines)
		if err != nil {
			return err
		}
		if lines = later; len(lines) == 0 {
			break
		}
		b.sent = lines[0].number - 1
		if time.Now().After(until) {
			return because
		}
		if err := b.whileQuiet(func() error { return sleep(b.ctx, min(time.Duration(n)*firstLater, mostLater)) }); err != nil {
			return err
		}
	}
	b.sent = max(b.sent, last)
	return nil
}

// The waits before lines are sent again grow from the first to the most.
const (
	firstLater = 200 * time.Millisecond
	mostLater  = 5 * time.Second
)

// whileQuiet does something that may take long, and tells now and then that it does.
func (b *batch) whileQuiet(do func() error) error {
	ended, told := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(told)
		ticker := time.NewTicker(b.quiet)
		defer ticker.Stop()
		for {
			select {
			case <-ended:
				return
			case <-ticker.C:
				b.progress.show(fmt.Sprintf("%d published, %d failed; waiting for Waybill to take what follows line %d", b.counts.Published+b.counts.Before, b.counts.Failed, b.sent))
			}
		}
	}()
	err := do()
	close(ended)
	<-told
	return err
}

// sendOnce publishes lines as one batch, or as two where the server takes no batch so large. It returns those that the server cannot take
// at the moment, and why.
func (b *batch) sendOnce(lines []batchLine) (later []batchLine, because, err error) {
	events := make([]client.EventCreate, len(lines))
	for i := range lines {
		events[i] = lines[i].event
	}
	var results *client.BatchResults
	err = b.whileQuiet(func() (err error) {
		results, err = b.client.PublishBatch(b.ctx, b.tenant, client.PublishBatchRequest{Events: events})
		return err
	})
	if client.HasCode(err, "payload_too_large") && len(lines) > 1 {
		half := len(lines) / 2
		if later, because, err = b.sendOnce(lines[:half]); err != nil {
			return nil, nil, err
		}
		rest, why, err := b.sendOnce(lines[half:])
		if err != nil && len(later) > 0 {
			b.sent = later[0].number - 1
		}
		if because == nil {
			because = why
		}
		return append(later, rest...), because, err
	}
	if client.HasCode(err, "payload_too_large") {
		b.fail(lines[0].number, "the event is larger than the server takes")
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	if len(results.Results) != len(lines) {
		return nil, nil, fmt.Errorf("the server answered %d results for %d events", len(results.Results), len(lines))
	}
	for i, r := range results.Results {
		if r.Err() != nil && (r.Status == http.StatusTooManyRequests || r.Status == http.StatusServiceUnavailable) {
			later, because = append(later, lines[i]), r.Err()
			continue
		}
		b.settle(lines[i], &r)
	}
	b.tell()
	return later, because, nil
}

func (b *batch) settle(line batchLine, r *client.BatchResult) {
	b.sent = line.number
	switch {
	case r.Err() != nil:
		b.fail(line.number, explain(r.Err()).Error())
	case r.Repeated:
		b.counts.Before++
	default:
		b.counts.Published++
	}
}

// fail tells of a line that is not published.
func (b *batch) fail(line int, says string) {
	b.counts.Failed++
	b.progress.end()
	fmt.Fprintf(b.env.Err, "line %d: %s\n", line, clean(says))
}

func (b *batch) tell() {
	n := b.counts.Published + b.counts.Before
	rate := float64(n) / max(time.Since(b.began).Seconds(), 0.001)
	b.progress.show(fmt.Sprintf("%d published, %d failed, %.0f a second, line %d", n, b.counts.Failed, rate, b.line))
}
