package worker_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/store"
	"waybill/webhook"
	"waybill/worker"
)

// fakeNotices keeps notices in memory. What was claimed stays so until it is released.
type fakeNotices struct {
	mu      sync.Mutex
	due     []store.EndpointRef
	claimed map[webhook.EndpointID]bool
	silent  []string
	noted   int
	forgot  int
	// fault is what a wake of an endpoint fails with; woken are those that were woken.
	fault func(webhook.EndpointID) error
	woken []webhook.EndpointID
}

func (f *fakeNotices) ClaimNotices(_ context.Context, silent []string, lease time.Duration, limit int) ([]store.EndpointRef, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.silent = silent
	var out []store.EndpointRef
	for _, e := range f.due {
		if !f.claimed[e.ID] && len(out) < limit && lease > time.Minute {
			f.claimed[e.ID] = true
			out = append(out, e)
		}
	}
	return out, nil
}

func (f *fakeNotices) ReleaseNotices(_ context.Context, ids []webhook.EndpointID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range ids {
		delete(f.claimed, id)
	}
	return nil
}

func (f *fakeNotices) NoteWorking(context.Context, int) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.noted++
	return 0, nil
}

// ForgetNotices finds two full pages.
func (f *fakeNotices) ForgetNotices(_ context.Context, silent []string, after time.Duration, limit int) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.silent = silent
	if f.forgot++; f.forgot < 3 && after > 24*time.Hour {
		return limit, nil
	}
	return 0, nil
}

func (f *fakeNotices) WakeNotices(_ context.Context, tenant string, id webhook.EndpointID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fault != nil {
		if err := f.fault(id); err != nil {
			return err
		}
	}
	if tenant == "acme" {
		f.woken = append(f.woken, id)
	}
	return nil
}

func (f *fakeNotices) holds(is func() bool) func() bool {
	return func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return is()
	}
}

func notices(t *testing.T, f *fakeNotices, mail bool) {
	t.Helper()
	f.claimed = map[webhook.EndpointID]bool{}
	o := worker.NoticesOptions{
		Store: f, Logger: slog.New(slog.DiscardHandler),
		Dialects: map[string]*webhook.Dialect{"mute": {Alerts: &webhook.Alerts{}}, "loud": {}},
	}
	if mail {
		o.Waker = f
	}
	background(t, worker.NewNotices(o).Run)
}

// However many are due, each is told once.
func TestNotices(t *testing.T) {
	t.Parallel()
	f := &fakeNotices{}
	for n := range 500 {
		f.due = append(f.due, endpoint(n+1))
	}
	notices(t, f, true)
	eventually(t, f.holds(func() bool { return len(f.woken) == 500 && f.noted > 0 && f.forgot == 3 }))
	f.mu.Lock()
	defer f.mu.Unlock()
	require.Equal(t, []string{"mute"}, f.silent)
	slices.SortFunc(f.woken, func(a, b webhook.EndpointID) int { return slices.Compare([]byte(a.String()), []byte(b.String())) })
	require.Len(t, slices.Compact(f.woken), 500)
}

// Without a mail server no workflow is started, and what nobody is to be told is deleted all the same.
func TestNotices_MailIsOff(t *testing.T) {
	t.Parallel()
	f := &fakeNotices{due: []store.EndpointRef{endpoint(1)}}
	notices(t, f, false)
	eventually(t, f.holds(func() bool { return f.forgot == 3 }))
	f.mu.Lock()
	defer f.mu.Unlock()
	require.Empty(t, f.claimed)
	require.Empty(t, f.woken)
	require.Zero(t, f.noted)
}

// While the engine is down the endpoints stay due; one that cannot be told keeps none of the others.
func TestNotices_EngineDown(t *testing.T) {
	t.Parallel()
	down := true
	f := &fakeNotices{}
	for n := range 8 {
		f.due = append(f.due, endpoint(n+1))
	}
	tries := 0
	f.fault = func(id webhook.EndpointID) error {
		switch {
		case down:
			tries++
			return errDown
		case id == endpoint(1).ID:
			return errRefused
		}
		return nil
	}
	notices(t, f, true)
	eventually(t, f.holds(func() bool { return tries >= 3 && len(f.claimed) == 0 }))
	f.mu.Lock()
	require.Empty(t, f.woken)
	down = false
	f.mu.Unlock()
	eventually(t, f.holds(func() bool { return len(f.woken) == 7 }))
	f.mu.Lock()
	defer f.mu.Unlock()
	require.NotContains(t, f.woken, endpoint(1).ID)
	require.True(t, f.claimed[endpoint(1).ID], "until its lease ends")
}
