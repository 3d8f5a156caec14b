package api

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"waybill/webhook"
)

const (
	// inflightWait is how long a request waits for room before it gets CodeOverloaded.
	inflightWait = 2 * time.Second
	// requestBytes is the least that a request counts: with its connection, goroutines and headers it takes several times as much, however
	// small its body is.
	requestBytes = 8 << 10
	// fewestWaiting is how many requests may wait for room, however small the bound is. Otherwise as many may as fit into the bound.
	fewestWaiting = 256
)

// ofOne is how much of a bound one tenant may take, so that what it holds up shuts out nobody else.
func ofOne[N int | int64](bound N) N { return bound / 4 * 3 }

// inflight bounds the requests that the process holds, in bytes of their bodies, from their arrival until the answer. One tenant
// holds at most its share of them (ofOne). One request at a time may exceed the bound, up to the limit of its own body, and takes no room from
// another tenant's. So one request can always finish, and a body that is larger than the bound is possible. The requests that wait for room are
// bounded and shared in the same way.
type inflight struct {
	most int64
	wait time.Duration
	// mostWaiting is how many may wait.
	mostWaiting int

	mu      sync.Mutex
	held    int64
	ofOwner map[string]int64 // what the shares of one owner hold
	tickets uint64
	waiting []*waiter // the oldest request first
	beyond  *share
}

// share is the number of bytes that one request holds.
type share struct {
	of *inflight
	// owner is the tenant that the request is about, or whose key it has; "" before it is known, and where there is none.
	owner string
	held  int64
	// ticket orders requests by age; 0 before the first byte.
	ticket uint64
}

type waiter struct {
	share *share
	bytes int64
	ready chan struct{} // closed once the share has the bytes
}

func newInflight(most int64) *inflight {
	return &inflight{most: most, wait: inflightWait, mostWaiting: max(int(most/requestBytes), fewestWaiting), ofOwner: map[string]int64{}}
}

// bytes returns how many bytes are held.
func (f *inflight) bytes() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.held
}

// hold makes the share so many bytes, at least requestBytes, or waits for room and answers CodeOverloaded when none comes, or when too many
// wait. Older requests go first.
func (s *share) hold(ctx context.Context, bytes int64) error {
	f := s.of
	f.mu.Lock()
	if bytes = max(bytes, requestBytes); bytes <= s.held {
		f.mu.Unlock()
		return nil
	}
	if s.ticket == 0 {
		f.tickets++
		s.ticket = f.tickets
	}
	w := &waiter{share: s, bytes: bytes - s.held, ready: make(chan struct{})}
	at, _ := slices.BinarySearchFunc(f.waiting, w, func(a, b *waiter) int { return cmp.Compare(a.share.ticket, b.share.ticket) })
	overtaken := slices.ContainsFunc(f.waiting[:at], func(older *waiter) bool { return !f.capped(older) })
	if (!overtaken || f.beyond == s) && f.take(w) {
		if f.beyond == s {
			f.admit() // what it held is room for others
		}
		f.mu.Unlock()
		return nil
	}
	if s.held == 0 && f.crowded(s.owner) {
		defer f.mu.Unlock()
		return f.overloaded()
	}
	f.waiting = slices.Insert(f.waiting, at, w)
	f.mu.Unlock()

	timer := time.NewTimer(f.wait)
	defer timer.Stop()
	select {
	case <-w.ready:
		return nil
	case <-timer.C:
	case <-ctx.Done():
	}
	return f.giveUp(ctx, w)
}

// giveUp ends a wait without success, unless the bytes were granted just before.
func (f *inflight) giveUp(ctx context.Context, w *waiter) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.Index(f.waiting, w)
	if i < 0 {
		return nil
	}
	f.waiting = slices.Delete(f.waiting, i, i+1)
	f.admit() // the next waiter may need less
	if err := ctx.Err(); err != nil {
		return err
	}
	return f.overloaded()
}

func (f *inflight) overloaded() error {
	return webhook.Errorf(webhook.CodeOverloaded, "requests of %d bytes are in flight; nothing was stored, send it again", f.held)
}

// crowded reports whether so many requests wait that no other of the owner's may. Who holds bytes already may always wait.
func (f *inflight) crowded(owner string) bool {
	if len(f.waiting) < ofOne(f.mostWaiting) {
		return false
	}
	own := 0
	for _, w := range f.waiting {
		if w.share.owner == owner {
			own++
		}
	}
	return len(f.waiting) >= f.mostWaiting || own >= ofOne(f.mostWaiting)
}

// take gives a waiter its bytes if there is room. The one request that may exceed the bound, which has begun to read its
// body, always gets them.
func (f *inflight) take(w *waiter) bool {
	within := f.held
	if f.beyond != nil {
		within -= f.beyond.held
	}
	fits := within+w.bytes <= f.most && !f.capped(w)
	if !fits && (w.share.held == 0 || f.beyond != nil && f.beyond != w.share) {
		return false
	}
	if !fits {
		f.beyond = w.share
	}
	f.held += w.bytes
	f.ofOwner[w.share.owner] += w.bytes
	w.share.held += w.bytes
	return true
}

// capped reports whether the waiter's owner would hold more than one owner may. Such a waiter does not keep others waiting.
func (f *inflight) capped(w *waiter) bool { return f.ofOwner[w.share.owner]+w.bytes > ofOne(f.most) }

// admit wakes the waiters for which there is room now, the oldest first.
func (f *inflight) admit() {
	for i := 0; i < len(f.waiting); {
		w := f.waiting[i]
		switch {
		case f.take(w):
			close(w.ready)
			f.waiting = slices.Delete(f.waiting, i, i+1)
		case f.capped(w):
			i++
		default:
			return
		}
	}
}

// release gives back all bytes of the share.
func (s *share) release() {
	if s.held == 0 {
		return
	}
	f := s.of
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held -= s.held
	if f.ofOwner[s.owner] -= s.held; f.ofOwner[s.owner] == 0 {
		delete(f.ofOwner, s.owner)
	}
	s.held = 0
	if f.beyond == s {
		f.beyond = nil
	}
	f.admit()
}
