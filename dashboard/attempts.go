package dashboard

import (
	"net/netip"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/time/rate"
)

// Limits of attempts to sign in. They are for each address; an IPv6 client has a network of its own.
const (
	attemptsAtOnce = 10
	attemptEvery   = 6 * time.Second
	// maxAddresses is how many addresses are followed. One that falls out begins anew.
	maxAddresses = 10_000
	ipv6Client   = 64
)

// attempts limits how often somebody may guess a key.
type attempts struct {
	limiters *otter.Cache[netip.Prefix, *rate.Limiter]
}

func newAttempts() *attempts {
	return &attempts{otter.Must(&otter.Options[netip.Prefix, *rate.Limiter]{
		MaximumSize: maxAddresses, ExpiryCalculator: otter.ExpiryAccessing[netip.Prefix, *rate.Limiter](attemptsAtOnce * attemptEvery),
	})}
}

func client(from netip.Addr) netip.Prefix {
	bits := from.BitLen()
	if from.Is6() {
		bits = ipv6Client
	}
	network, err := from.Prefix(bits)
	if err != nil { // the address is not known: all of these share one limit
		return netip.Prefix{}
	}
	return network
}

// enter counts an attempt; above 0 it is how long to wait instead.
func (a *attempts) enter(from netip.Addr, now time.Time) time.Duration {
	limiter, _ := a.limiters.ComputeIfAbsent(client(from), func() (*rate.Limiter, bool) {
		return rate.NewLimiter(rate.Every(attemptEvery), attemptsAtOnce), false
	})
	reserved := limiter.ReserveN(now, 1)
	wait := reserved.DelayFrom(now)
	if wait > 0 {
		reserved.CancelAt(now)
	}
	return wait
}

// succeeded forgets the attempts of an address.
func (a *attempts) succeeded(from netip.Addr) { a.limiters.Invalidate(client(from)) }

func (a *attempts) close() { a.limiters.StopAllGoroutines() }
