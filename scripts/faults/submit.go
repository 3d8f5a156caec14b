package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	eventType = "fault.happened"
	// occurred is every event's, so that the bytes that receivers must get are known beforehand.
	occurred = "2026-05-27T14:32:00Z"
	// submitters ask at the same time; perSecond is how many events all of them begin, unless the scenario says otherwise.
	submitters = 8
	perSecond  = 40
)

// submit publishes events until the context is done. Every second event that was not accepted is asked for again, with
// the same id, until it is; of the others nobody knows whether they are stored.
func (r *run) submit(ctx context.Context) error {
	numbers := make(chan int)
	var asking sync.WaitGroup
	errs := make(chan error, submitters)
	for range submitters {
		asking.Go(func() {
			for n := range numbers {
				if err := r.submitOne(ctx, n); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	ticker := time.NewTicker(time.Second / time.Duration(cmp.Or(r.scenario.perSecond, perSecond)))
	defer ticker.Stop()
	var err error
	for n := 1; ctx.Err() == nil && err == nil; n++ {
		select {
		case numbers <- n:
		case err = <-errs:
		case <-ctx.Done():
		}
		<-ticker.C
	}
	close(numbers)
	asking.Wait()
	return err
}

// begin writes the nth event down and returns its id and what to publish.
func (r *run) begin(n int) (id string, body []byte, err error) {
	id = fmt.Sprintf("%s-%06d", r.tenant, n)
	data := fmt.Sprintf(`{ "n":%d, "note":"é \u00e9 😀", "fill":"%x" }`, n, r.tenant)
	sum := sha256.Sum256([]byte(`{"type":"` + eventType + `","timestamp":"2026-05-27T14:32:00.000000Z","data":` + data + `}`))
	err = r.sent.append(sent{id, hex.EncodeToString(sum[:]), time.Now()})
	return id, []byte(`{"type":"` + eventType + `","id":"` + id + `","occurred_at":"` + occurred + `","data":` + data + `}`), err
}

// submitOne fails only when the ledger does.
func (r *run) submitOne(ctx context.Context, n int) error {
	id, body, err := r.begin(n)
	if err != nil {
		return err
	}
	for try := n; ; try++ {
		status := r.publish(ctx, try, body)
		if err := r.answers.append(answered{id, status, time.Now()}); err != nil {
			return err
		}
		if status == http.StatusAccepted || n%2 == 0 || !pause(ctx, time.Duration(50+n%100)*time.Millisecond) {
			return nil
		}
	}
}

// publish asks one of the servers and returns its status, 0 when no answer came. A question under way is answered even
// when the load ends.
func (r *run) publish(ctx context.Context, n int, body []byte) int {
	base := "http://" + r.address(n)
	if front := r.front.Load(); front != nil {
		base = *front
	}
	status, _, err := r.ask(context.WithoutCancel(ctx), base, "POST", "/v1/tenants/"+r.tenant+"/events", body)
	if err != nil {
		return 0
	}
	return status
}

// pause lets time pass, and reports whether the context is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
