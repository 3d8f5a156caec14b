package story

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"waybill/scripts/receiver"
)

// shop is the story's receiver: each of its paths accepts or fails as the story wants, and all that arrives is told.
type shop struct {
	url      string
	receiver *receiver.Receiver
	say      func(format string, args ...any)

	mu sync.Mutex
	// failing is how many more attempts at a path fail; below zero: all.
	failing map[string]int
	// took counts for each webhook id how often it was accepted.
	took  map[string]int
	asked int
}

func openShop(ctx context.Context, say func(format string, args ...any)) (*shop, error) {
	s := &shop{say: say, failing: map[string]int{}, took: map[string]int{}}
	r, err := receiver.Start(ctx, receiver.Options{Answer: s.answer})
	if err != nil {
		return nil, err
	}
	s.receiver, s.url = r, r.URL()
	return s, nil
}

func (s *shop) close(err *error) { *err = errors.Join(*err, s.receiver.Close()) }

func (s *shop) answer(a *receiver.Arrival) receiver.Behavior {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := a.Header.Get("Webhook-Id")
	status := http.StatusOK
	if left := s.failing[a.Path]; left != 0 {
		status = http.StatusServiceUnavailable
		s.failing[a.Path] = max(left-1, -1)
	} else {
		s.took[id]++
	}
	s.asked++
	s.say("%s  POST %-7s %s, attempt %d: %d", a.At.Format("15:04:05.0"), a.Path, id, a.Number, status)
	return receiver.Status(status)
}

// fail lets the next attempts at a path fail: n of them; below zero: all.
func (s *shop) fail(path string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing[path] = n
}

func (s *shop) accepted(id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.took[id]
}

func (s *shop) attempts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}
