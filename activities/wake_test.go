package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"

	"waybill/activities"
	"waybill/store"
	"waybill/webhook"
)

// wakeSetup is an endpoint of version 7 with three held deliveries, of which evt_2 has no workflow.
func wakeSetup(t *testing.T) (b *bundle, done *[]int64) {
	t.Helper()
	b, done = setup(t, unreachable(t)), new([]int64)
	b.store.onEndpoint = func() (*webhook.Endpoint, error) { return &webhook.Endpoint{ID: endpointID, Version: 7}, nil }
	b.store.onHeld = func(after webhook.DeliveryID, limit int) ([]store.HeldDelivery, error) {
		var out []store.HeldDelivery
		for i, event := range []string{"evt_1", "evt_2", "evt_3"} {
			if id := heldID(i + 1); id.String() > after.String() && len(out) < limit {
				out = append(out, store.HeldDelivery{ID: id, EventID: event})
			}
		}
		return out, nil
	}
	b.store.onRelease = func(ids []webhook.DeliveryID) error {
		for _, id := range ids {
			b.engine.tell("release " + id.String()[len(id.String())-1:])
		}
		return nil
	}
	b.store.onDone = func(version int64) error {
		*done = append(*done, version)
		return nil
	}
	b.engine.onWake = func(eventID string) error {
		if eventID == "evt_2" {
			return errMissing
		}
		return nil
	}
	return b, done
}

func heldID(n int) webhook.DeliveryID {
	return webhook.NewID[webhook.DeliveryID]([16]byte{15: byte(n)})
}

func wake(t *testing.T, b *bundle, in activities.WakeInput) (*activities.WakeResult, error) {
	t.Helper()
	in.Tenant, in.EndpointID = "acme", endpointID
	value, err := b.env.ExecuteActivity(b.acts.Wake, in)
	if err != nil {
		return nil, err
	}
	var out activities.WakeResult
	require.NoError(t, value.Get(&out))
	return &out, nil
}

func TestActivities_Wake_pages(t *testing.T) {
	t.Parallel()
	b, done := wakeSetup(t)
	out, err := wake(t, b, activities.WakeInput{Limit: 2})
	require.NoError(t, err)
	require.Equal(t, activities.WakeResult{Last: heldID(2), Version: 7, Woken: 2}, *out)
	require.Equal(t, []string{"release 1", "release 2", "wake evt_1"}, b.engine.told, "released before told")
	require.Empty(t, *done)

	out, err = wake(t, b, activities.WakeInput{Limit: 2, After: out.Last, Version: out.Version})
	require.NoError(t, err)
	require.Equal(t, activities.WakeResult{Last: heldID(3), Version: 7, Woken: 1, Done: true}, *out)
	require.Equal(t, []string{"release 3", "wake evt_3"}, b.engine.told[3:])
	require.Equal(t, []int64{7}, *done)

	out, err = wake(t, b, activities.WakeInput{After: heldID(3), Version: 7})
	require.NoError(t, err)
	require.Equal(t, activities.WakeResult{Last: heldID(3), Version: 7, Done: true}, *out)
}

func TestActivities_Wake_stops(t *testing.T) {
	t.Parallel()
	disabledAt := time.Now()
	for name, e := range map[string]webhook.Endpoint{
		"disabled again": {Version: 7, DisabledAt: &disabledAt},
		"changed since":  {Version: 8},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, done := wakeSetup(t)
			b.store.onEndpoint = func() (*webhook.Endpoint, error) { return &e, nil }
			out, err := wake(t, b, activities.WakeInput{Limit: 2, After: heldID(1), Version: 7})
			require.NoError(t, err)
			require.Equal(t, activities.WakeResult{Last: heldID(1), Version: 7, Done: true}, *out)
			require.Empty(t, b.engine.told)
			require.Empty(t, *done, "another recovery is to come")
		})
	}
}

func TestActivities_Wake_cancelsForADeletedEndpoint(t *testing.T) {
	t.Parallel()
	b, done := wakeSetup(t)
	b.store.onEndpoint = func() (*webhook.Endpoint, error) { return nil, errMissing }
	pages := [][]store.HeldDelivery{{{ID: heldID(1), EventID: "evt_1"}, {ID: heldID(2), EventID: "evt_3"}}, nil, nil}
	call := 0
	b.store.onCancelOfDeleted = func(limit int) ([]store.HeldDelivery, bool, error) {
		require.Equal(t, 10, limit)
		call++
		return pages[call-1], call < len(pages), nil
	}
	out, err := wake(t, b, activities.WakeInput{Limit: 10})
	require.NoError(t, err)
	require.Equal(t, activities.WakeResult{Woken: 2}, *out)
	require.ElementsMatch(t, []string{"canceled evt_1: the endpoint was deleted", "canceled evt_3: the endpoint was deleted"}, b.engine.told)

	out, err = wake(t, b, activities.WakeInput{Limit: 10})
	require.NoError(t, err)
	require.False(t, out.Done, "an attempt that began before the deletion may be about to be recorded")
	require.Empty(t, *done)
	out, err = wake(t, b, activities.WakeInput{Limit: 10})
	require.NoError(t, err)
	require.True(t, out.Done)
	require.Len(t, *done, 1, "or the recovery would be started again and again")
}

// A page that failed half-way is released and so no longer listed as held: its next run knows it by the heartbeat.
func TestActivities_Wake_resumesAPage(t *testing.T) {
	t.Parallel()
	b, _ := wakeSetup(t)
	var page struct {
		IDs      []webhook.DeliveryID `json:"ids"`
		EventIDs []string             `json:"event_ids"`
	}
	beat := make(chan error, 1)
	b.env.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
		beat <- details.Get(&page)
	})
	b.engine.onWake = func(string) error { return errDown }
	_, err := wake(t, b, activities.WakeInput{Limit: 2})
	requireType(t, err, "unavailable", false)
	select {
	case err := <-beat:
		require.NoError(t, err)
	case <-time.After(bounded):
		t.Fatal("no heartbeat carries the page")
	}
	require.Equal(t, []string{"evt_1", "evt_2"}, page.EventIDs)

	b, _ = wakeSetup(t)
	b.store.onHeld = func(webhook.DeliveryID, int) ([]store.HeldDelivery, error) { return nil, nil }
	b.env.SetHeartbeatDetails(page)
	out, err := wake(t, b, activities.WakeInput{Limit: 2})
	require.NoError(t, err)
	require.Equal(t, activities.WakeResult{Last: heldID(2), Version: 7, Woken: 2}, *out)
	require.Contains(t, b.engine.told, "wake evt_1")
}

// A workflow that takes no more signals keeps the others of the page, and the recovery, from nothing.
func TestActivities_Wake_passesOverARefusal(t *testing.T) {
	t.Parallel()
	b, done := wakeSetup(t)
	b.engine.onWake = func(eventID string) error {
		if eventID == "evt_1" {
			return webhook.Errorf(webhook.CodeInvalid, "the delivery engine refuses the signal")
		}
		return nil
	}
	_, err := wake(t, b, activities.WakeInput{Limit: 10})
	require.NoError(t, err)
	require.Contains(t, b.engine.told, "wake evt_2")
	require.Len(t, *done, 1)
}

func TestActivities_Wake_translatesFaults(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(b *bundle){
		"reading the endpoint": func(b *bundle) { b.store.onEndpoint = func() (*webhook.Endpoint, error) { return nil, errDown } },
		"listing": func(b *bundle) {
			b.store.onHeld = func(webhook.DeliveryID, int) ([]store.HeldDelivery, error) { return nil, errDown }
		},
		"releasing":           func(b *bundle) { b.store.onRelease = func([]webhook.DeliveryID) error { return errDown } },
		"ending the recovery": func(b *bundle) { b.store.onDone = func(int64) error { return errDown } },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _ := wakeSetup(t)
			prepare(b)
			_, err := wake(t, b, activities.WakeInput{Limit: 10})
			requireType(t, err, "unavailable", false)
		})
	}
}
