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
	ticker := time.NewTicker(time.Second / time.Duration(cmp.Or(r.scenario.rate, perSecond)))
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

// event is one that is to be published.
type event struct {
	id, data string
	// sql has it published in a transaction, withdrawn that transaction rolled back.
	sql, withdrawn bool
}

// event returns the nth. With SQL, two of four come that way, and one of ten of those is withdrawn.
func (r *run) event(n int) *event {
	return &event{
		id:   fmt.Sprintf("%s-%06d", r.tenant, n),
		data: fmt.Sprintf(`{ "n":%d, "note":"é \u00e9 😀", "fill":"%x" }`, n, r.tenant),
		sql:  r.scenario.sql && n%4 >= 2, withdrawn: r.scenario.sql && n%20 == 7,
	}
}

// body is what publishes the event by HTTP.
func (e *event) body() []byte {
	return []byte(`{"type":"` + eventType + `","id":"` + e.id + `","occurred_at":"` + occurred + `","data":` + e.data + `}`)
}

// begin writes the nth event down.
func (r *run) begin(n int) (*event, error) {
	e := r.event(n)
	sum := sha256.Sum256([]byte(`{"type":"` + eventType + `","timestamp":"2026-05-27T14:32:00.000000Z","data":` + e.data + `}`))
	return e, r.sent.append(sent{e.id, hex.EncodeToString(sum[:]), e.withdrawn, time.Now()})
}

// submitOne fails only when the ledger does.
func (r *run) submitOne(ctx context.Context, n int) error {
	e, err := r.begin(n)
	if err != nil {
		return err
	}
	publish := r.publish
	if e.sql {
		publish = r.transact
	}
	for try := n; ; try++ {
		status := publish(ctx, try, e)
		if e.withdrawn {
			return nil
		}
		if err := r.answers.append(answered{e.id, status, time.Now()}); err != nil {
			return err
		}
		if status == http.StatusAccepted || n%2 == 0 || !pause(ctx, time.Duration(50+n%100)*time.Millisecond) {
			return nil
		}
	}
}

// publish asks one of the servers and returns its status, 0 when no answer came. A question under way is answered even
// when the load ends.
func (r *run) publish(ctx context.Context, n int, e *event) int {
	base := "http://" + r.address(n)
	if front := r.front.Load(); front != nil {
		base = *front
	}
	status, _, err := r.ask(context.WithoutCancel(ctx), base, "POST", "/v1/tenants/"+r.tenant+"/events", e.body())
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
