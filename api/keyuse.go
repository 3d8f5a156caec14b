package api

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/time/rate"

	"waybill/store"
	"waybill/webhook"
)

const (
	// maxKeyUses is how many keys and sessions are followed at a time. A key that falls out begins anew, with all its requests.
	maxKeyUses = 10_000
	// noteEvery is how often the use of a key is recorded at most.
	noteEvery = time.Minute
	// maxNotes is how many uses wait to be recorded. One that finds no room is left out; the next minute brings another.
	maxNotes = 1000
	// noteTimeout bounds one write of uses, also when the server stops.
	noteTimeout = 5 * time.Second
)

// keyUse is what a process knows of the use of one key.
type keyUse struct {
	limiter *rate.Limiter // nil: no limit
	noted   atomic.Int64  // Unix microseconds of the use that was recorded last
	left    atomic.Int64  // requests that it may send at once
}

// useOf is whose requests are counted together: those of a key, or of a session.
type useOf struct {
	key     webhook.KeyID
	session webhook.SessionID
}

// keyUses limits the requests of each key and of each session, and records, off the way of the requests, when each was used.
type keyUses struct {
	perSecond int
	policy    string
	states    *otter.Cache[useOf, *keyUse]
	notes     chan store.KeyUse
	stop      chan struct{}
	stopOnce  sync.Once
	writer    sync.WaitGroup
}

func newKeyUses(perSecond int) *keyUses {
	return &keyUses{
		perSecond: perSecond, policy: fmt.Sprintf(`"key";q=%d;w=1`, perSecond),
		states: otter.Must(&otter.Options[useOf, *keyUse]{MaximumSize: maxKeyUses}),
		notes:  make(chan store.KeyUse, maxNotes), stop: make(chan struct{}),
	}
}

// enter counts a request and notes the use of its key, or of the one that made its session. CodeRateLimited: there were too many.
func (u *keyUses) enter(info *requestInfo, of useOf, now time.Time) error {
	use, _ := u.states.ComputeIfAbsent(of, func() (*keyUse, bool) {
		use := &keyUse{}
		if u.perSecond > 0 {
			use.limiter = rate.NewLimiter(rate.Limit(u.perSecond), u.perSecond)
		}
		return use, false
	})
	if !of.key.IsZero() {
		u.note(use, of.key, now)
	}
	if use.limiter == nil {
		return nil
	}
	info.limited = use
	allowed := use.limiter.AllowN(now, 1)
	use.left.Store(int64(math.Max(0, use.limiter.TokensAt(now))))
	if !allowed {
		return webhook.Errorf(webhook.CodeRateLimited, "the API key, or the session, sends more than %d requests a second; slow down", u.perSecond)
	}
	return nil
}

// tell writes how many requests a key has left, as draft-ietf-httpapi-ratelimit-headers has it.
func (u *keyUses) tell(w http.ResponseWriter, use *keyUse) {
	if use == nil {
		return
	}
	w.Header().Set("RateLimit-Policy", u.policy)
	w.Header().Set("RateLimit", fmt.Sprintf(`"key";r=%d;t=1`, use.left.Load()))
}

// note hands a use to the writer unless one was recorded within noteEvery.
func (u *keyUses) note(use *keyUse, id webhook.KeyID, now time.Time) {
	last := use.noted.Load()
	if now.UnixMicro()-last < noteEvery.Microseconds() || !use.noted.CompareAndSwap(last, now.UnixMicro()) {
		return
	}
	select {
	case u.notes <- store.KeyUse{ID: id, At: now}:
	default:
	}
}

// noteStore is what the writer needs of store.Keys.
type noteStore interface {
	NoteKeyUses(ctx context.Context, uses []store.KeyUse) error
}

// write records the uses until close. What is not recorded is lost, and the log says so: the next use comes soon.
func (u *keyUses) write(to noteStore, log *slog.Logger) {
	u.writer.Go(func() {
		for {
			select {
			case first := <-u.notes:
				u.record(to, log, append([]store.KeyUse{first}, u.waiting()...))
			case <-u.stop:
				if rest := u.waiting(); len(rest) > 0 {
					u.record(to, log, rest)
				}
				return
			}
		}
	})
}

func (u *keyUses) waiting() []store.KeyUse {
	var out []store.KeyUse
	for len(out) < maxNotes {
		select {
		case use := <-u.notes:
			out = append(out, use)
		default:
			return out
		}
	}
	return out
}

func (u *keyUses) record(to noteStore, log *slog.Logger, uses []store.KeyUse) {
	ctx, cancel := context.WithTimeout(context.Background(), noteTimeout)
	defer cancel()
	if err := to.NoteKeyUses(ctx, uses); err != nil {
		log.Warn("the last uses of API keys were not recorded", "keys", len(uses), "error", err)
	}
}

// close records what waits, and ends.
func (u *keyUses) close() {
	u.stopOnce.Do(func() { close(u.stop) })
	u.writer.Wait()
	u.states.StopAllGoroutines()
}
