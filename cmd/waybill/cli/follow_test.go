package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/client"
)

// logged is an item of a list as the API has them.
type logged struct {
	id, version string
	at          time.Time
}

// fakeLog answers like a list of the API: the newest first, in pages.
type fakeLog struct {
	items []logged
	most  int // that one call of the test was given at once
	fails error
}

func (l *fakeLog) list(_ context.Context, since, until *time.Time, limit int, cursor *string) ([]logged, *string, error) {
	if l.fails != nil {
		return nil, nil, l.fails
	}
	var found []logged
	for _, item := range l.items {
		if (since == nil || !item.at.Before(*since)) && (until == nil || item.at.Before(*until)) {
			found = append(found, item)
		}
	}
	slices.SortFunc(found, func(a, b logged) int {
		if c := b.at.Compare(a.at); c != 0 {
			return c
		}
		return -compareIDs(a.id, b.id)
	})
	from := 0
	if cursor != nil {
		from, _ = strconv.Atoi(*cursor)
	}
	found = found[min(from, len(found)):]
	if len(found) <= limit {
		return found, nil, nil
	}
	return found[:limit], new(strconv.Itoa(from + limit)), nil
}

func compareIDs(a, b string) int {
	x, _ := strconv.Atoi(a)
	y, _ := strconv.Atoi(b)
	return x - y
}

func (l *fakeLog) follower() *follower[logged] {
	return &follower[logged]{
		page: 20, most: 100,
		list: l.list, key: func(i *logged) string { return i.id }, at: func(i *logged) time.Time { return i.at }, version: func(i *logged) string { return i.version },
	}
}

func (l *fakeLog) look(t *testing.T, f *follower[logged]) []string {
	t.Helper()
	items, err := f.look(t.Context())
	require.NoError(t, err)
	l.most = max(l.most, len(items))
	var out []string
	for _, item := range items {
		out = append(out, item.id+item.version)
	}
	return out
}

var begin = time.Date(2026, 5, 27, 14, 32, 0, 0, time.UTC)

func TestFollower(t *testing.T) {
	t.Parallel()
	log := &fakeLog{}
	add := func(id string, after time.Duration) {
		log.items = append(log.items, logged{id: id, at: begin.Add(after)})
	}
	add("1", 0)
	add("2", 10*time.Second)
	f := log.follower()
	require.NoError(t, f.begin(t.Context(), nil))
	require.Empty(t, log.look(t, f), "what is there already is passed over")

	add("4", 21*time.Second)
	add("3", 20*time.Second)
	require.Equal(t, []string{"3", "4"}, log.look(t, f), "the oldest first")
	require.Empty(t, log.look(t, f))

	// One that was made earlier and stored later.
	add("5", 18*time.Second)
	var got []string
	for range followDeep {
		got = append(got, log.look(t, f)...)
	}
	require.Equal(t, []string{"5"}, got)

	log.items[3].version = "b"
	require.Equal(t, []string{"3b"}, log.look(t, f), "another version")

	log.fails = errors.New("lost")
	_, err := f.look(t.Context())
	require.ErrorIs(t, err, log.fails)
	log.fails = nil
	add("6", time.Hour)
	require.Equal(t, []string{"6"}, log.look(t, f))
	require.Len(t, f.seen, 1, "what cannot come again is forgotten")
}

// What appears late is seen, however many newer items hide it.
func TestFollower_SeesWhatIsLate(t *testing.T) {
	t.Parallel()
	log := &fakeLog{items: []logged{{id: "0", at: begin}}}
	f := log.follower()
	f.most = 1000
	require.NoError(t, f.begin(t.Context(), nil))
	n := 0
	got := map[string]bool{}
	for second := range 30 {
		for i := range 40 {
			n++
			log.items = append(log.items, logged{id: fmt.Sprint(n), at: begin.Add(time.Duration(second)*time.Second + time.Duration(i)*25*time.Millisecond)})
		}
		// Another transaction took four seconds.
		n++
		log.items = append(log.items, logged{id: fmt.Sprint(n), at: begin.Add(time.Duration(second-4)*time.Second + time.Millisecond)})
		for _, id := range log.look(t, f) {
			require.False(t, got[id], "twice: %s", id)
			got[id] = true
		}
	}
	for range followDeep {
		for _, id := range log.look(t, f) {
			got[id] = true
		}
	}
	for i := 5 * 41; i <= n; i++ { // the first late ones were made before it began
		require.True(t, got[fmt.Sprint(i)], "left out: %d", i)
	}
}

// A server that asks to be left alone is left alone, and a full disk is no fault that passes.
func TestKeepOn(t *testing.T) {
	t.Parallel()
	rounds := 0
	ctx, cancel := context.WithTimeout(t.Context(), 3*followEvery/2)
	defer cancel()
	var said strings.Builder
	require.NoError(t, keepOn(ctx, &said, func() error {
		rounds++
		return &client.Error{Status: 429, Detail: "too many", RetryAfter: time.Hour}
	}))
	require.Equal(t, 1, rounds)
	require.Equal(t, mostFollowWait, askedWait(&client.Error{RetryAfter: time.Hour}))
	full := &OutputError{errors.New("no space")}
	require.ErrorIs(t, keepOn(t.Context(), &said, func() error { return full }), full)
}

func TestFollower_BeginsWithAnEmptyList(t *testing.T) {
	t.Parallel()
	log := &fakeLog{}
	f := log.follower()
	require.NoError(t, f.begin(t.Context(), nil))
	log.items = append(log.items, logged{id: "1", at: time.Now()})
	require.Equal(t, []string{"1"}, log.look(t, f))
}

// However much came while nobody looked, it comes in order, once, and in bounded parts; also where most of it came at one moment.
func TestFollower_CatchesUp(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]func(i int) time.Duration{
		"evenly":        func(i int) time.Duration { return time.Duration(i) * time.Second },
		"all late":      func(i int) time.Duration { return 24*time.Hour + time.Duration(i)*time.Millisecond },
		"fast":          func(i int) time.Duration { return time.Duration(i) * 20 * time.Millisecond },
		"at five times": func(i int) time.Duration { return time.Duration(i/90) * time.Hour },
		"at one time":   func(int) time.Duration { return time.Hour },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := &fakeLog{items: []logged{{id: "0", at: begin}}}
			f := log.follower()
			require.NoError(t, f.begin(t.Context(), nil))
			const n = 443
			for i := 1; i <= n; i++ {
				log.items = append(log.items, logged{id: fmt.Sprint(i), at: begin.Add(at(i))})
			}
			got := []string{}
			for looks := 0; len(got) < n && looks < 100; looks++ {
				got = append(got, log.look(t, f)...)
			}
			for range followDeep {
				got = append(got, log.look(t, f)...)
			}
			require.Len(t, got, n)
			require.True(t, slices.IsSortedFunc(got, compareIDs), name)
			if name != "at one time" {
				require.LessOrEqual(t, log.most, 120, "in parts")
			}
		})
	}
}
