package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"time"

	"waybill/client"
)

// Limits of what follows a list.
const (
	// followEvery is the time between two looks.
	followEvery = time.Second
	// followOverlap is how late an item may appear behind one that is newer: what is stored at the same time becomes visible in any order.
	followOverlap = 5 * time.Second
	// followDeep is each how many looks the overlap is read to its end.
	followDeep = 5
	// followMost bounds the items that are held at one time.
	followMost = 10_000
	// followPage is the size of a page.
	followPage = 200
)

// follower goes through a list, whose newest items come first, from its oldest new item to the newest, again and again. It gives each
// version of an item once.
type follower[T any] struct {
	list func(ctx context.Context, since, until *time.Time, limit int, cursor *string) ([]T, *string, error)
	key  func(*T) string
	// at is when the item was made, by which the list is ordered.
	at func(*T) time.Time
	// version changes when the item does.
	version func(*T) string
	// page and most are followPage and followMost, unless a test says otherwise.
	page, most int

	since time.Time
	seen  map[string]seenItem
	looks int
}

type seenItem struct {
	at      time.Time
	version string
}

// begin passes over all that is there already, or else over what was made before a moment.
func (f *follower[T]) begin(ctx context.Context, from *time.Time) error {
	f.seen, f.page, f.most = map[string]seenItem{}, max(f.page, 1), max(f.most, 1)
	newest, _, err := f.list(ctx, nil, nil, 1, nil)
	switch {
	case err != nil:
		return err
	case from != nil:
		f.since = from.Truncate(time.Millisecond)
		return nil
	case len(newest) == 0:
		f.since = time.Now().Add(-24 * time.Hour).Truncate(time.Millisecond) // whatever the server's clock says
		return nil
	}
	f.since = f.at(&newest[0]).Add(-followOverlap).Truncate(time.Millisecond)
	_, err = f.look(ctx)
	return err
}

// look returns what is new or has changed, the oldest first. At most about followMost items come at once; the next look has the rest.
func (f *follower[T]) look(ctx context.Context) ([]T, error) {
	f.looks++
	items, down, err := f.read(ctx, f.since, nil, f.most, f.looks%followDeep != 0)
	if err != nil || len(items) == 0 {
		return nil, err
	}
	next := f.since // what was not read to its end may have got an item that is not seen yet
	switch down {
	case toItsEnd:
		next = f.at(&items[0]).Add(-followOverlap)
	case tooMany:
		if items, next, err = f.oldest(ctx, f.at(&items[0]).Add(time.Millisecond)); err != nil {
			return nil, err
		}
	}
	slices.Reverse(items)
	out := items[:0]
	for _, item := range items {
		now := seenItem{f.at(&item), f.version(&item)}
		if f.seen[f.key(&item)] != now {
			f.seen[f.key(&item)] = now
			out = append(out, item)
		}
	}
	f.advance(next.Truncate(time.Millisecond))
	return out, nil
}

// oldest finds a moment before which there are some items, but not too many, and reads those. There are too many before end.
func (f *follower[T]) oldest(ctx context.Context, end time.Time) (items []T, until time.Time, err error) {
	from, to := f.since, end
	for to.Sub(from) > time.Millisecond {
		half := from.Add(to.Sub(from) / 2).Truncate(time.Millisecond)
		if !half.After(from) {
			half = from.Add(time.Millisecond)
		}
		if !half.Before(to) {
			break
		}
		items, down, err := f.read(ctx, from, &half, f.most, false)
		switch {
		case err != nil:
			return nil, half, err
		case down == tooMany:
			to = half
		case len(items) == 0:
			from = half
		default:
			return items, half, nil
		}
	}
	// All are of one millisecond, which is no further divided.
	items, _, err = f.read(ctx, from, &to, math.MaxInt, false)
	return items, to, err
}

// depth is how far down a list was read.
type depth int

const (
	toItsEnd depth = iota
	// toTheKnown is down to a page that has nothing new.
	toTheKnown
	// tooMany is no further than the most that is held.
	tooMany
)

// read reads pages down to a moment, or until one has nothing new where shallow says so.
func (f *follower[T]) read(ctx context.Context, since time.Time, until *time.Time, most int, shallow bool) (items []T, down depth, err error) {
	for cursor := (*string)(nil); ; {
		page, next, err := f.list(ctx, &since, until, f.page, cursor)
		if err != nil {
			return nil, tooMany, err
		}
		items = append(items, page...)
		known := !slices.ContainsFunc(page, func(item T) bool {
			return f.seen[f.key(&item)] != seenItem{f.at(&item), f.version(&item)}
		})
		switch {
		case next == nil:
			return items, toItsEnd, nil
		case shallow && known && len(page) > 0:
			return items, toTheKnown, nil
		case len(items) > most:
			return items, tooMany, nil
		}
		cursor = next
	}
}

// advance moves the begin of the next look, and forgets what is well before it.
func (f *follower[T]) advance(next time.Time) {
	if next.After(f.since) {
		f.since = next
	}
	forget := f.since.Add(-followOverlap) // the key of an item may be a little older than its time
	if len(f.seen) > 2*f.most {
		forget = f.since
	}
	for key, item := range f.seen {
		if item.at.Before(forget) {
			delete(f.seen, key)
		}
	}
}

// mostFollowWait bounds how long the server can ask to be left alone.
const mostFollowWait = time.Minute

// keepOn calls round about once a second until the context is done, and goes on after faults that pass. Any other error ends it.
func keepOn(ctx context.Context, say io.Writer, round func() error) error {
	ticker := time.NewTicker(followEvery)
	defer ticker.Stop()
	lost := false
	for {
		err := round()
		switch {
		case ctx.Err() != nil:
			return nil // whoever called wanted the end
		case err != nil && !passes(err):
			return err
		case err != nil && !lost:
			fmt.Fprintf(say, "Waybill cannot be reached, trying again: %s\n", explain(err))
		case err == nil && lost:
			fmt.Fprintln(say, "Waybill is reached again; nothing was left out.")
		}
		lost = err != nil
		if wait := askedWait(err); wait > followEvery && sleep(ctx, wait) != nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// askedWait is how long the server asked to be left alone.
func askedWait(err error) time.Duration {
	var answered *client.Error
	if !errors.As(err, &answered) {
		return 0
	}
	return min(answered.RetryAfter, mostFollowWait)
}

// passes reports whether the same call may go well later.
func passes(err error) bool {
	var answered *client.Error
	var output *OutputError
	switch {
	case errors.As(err, &output):
		return false
	case !errors.As(err, &answered):
		return true // the network
	}
	return answered.Status == http.StatusTooManyRequests || answered.Status >= http.StatusInternalServerError
}

// explainRun is the error of a command that goes on until somebody ends it.
func explainRun(ctx context.Context, err error) error {
	var usage *UsageError
	switch {
	case err == nil || ctx.Err() != nil:
		return nil
	case errors.As(err, &usage):
		return err
	default:
		return explain(err)
	}
}
