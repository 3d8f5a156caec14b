package activities_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/activities"
	"waybill/webhook"
)

func TestActivities_SetStatus(t *testing.T) {
	t.Parallel()
	set := func(t *testing.T, b *bundle, status webhook.Status) (*activities.SetStatusResult, error) {
		t.Helper()
		value, err := b.env.ExecuteActivity(b.acts.SetStatus, activities.SetStatusInput{
			Tenant: "acme", DeliveryID: deliveryID, Status: status, Reason: "asked to",
		})
		if err != nil {
			return nil, err
		}
		var out activities.SetStatusResult
		require.NoError(t, value.Get(&out))
		return &out, nil
	}
	t.Run("held", func(t *testing.T) {
		t.Parallel()
		b := setup(t, unreachable(t))
		b.store.onHold = func() (*webhook.Delivery, error) {
			return &webhook.Delivery{Status: webhook.StatusHeld, Reason: "disabled"}, nil
		}
		out, err := set(t, b, webhook.StatusHeld)
		require.NoError(t, err)
		require.Equal(t, activities.SetStatusResult{Status: webhook.StatusHeld, Reason: "disabled"}, *out)
	})
	t.Run("not held, because the endpoint is enabled", func(t *testing.T) {
		t.Parallel()
		b := setup(t, unreachable(t))
		b.store.onHold = func() (*webhook.Delivery, error) { return &webhook.Delivery{Status: webhook.StatusRetrying}, nil }
		out, err := set(t, b, webhook.StatusHeld)
		require.NoError(t, err)
		require.Equal(t, activities.SetStatusResult{Status: webhook.StatusRetrying}, *out)
	})
	t.Run("canceled", func(t *testing.T) {
		t.Parallel()
		b := setup(t, unreachable(t))
		b.store.onCancel = func(reason string) (*webhook.Delivery, error) {
			return &webhook.Delivery{Status: webhook.StatusCanceled, Reason: reason}, nil
		}
		out, err := set(t, b, webhook.StatusCanceled)
		require.NoError(t, err)
		require.Equal(t, activities.SetStatusResult{Status: webhook.StatusCanceled, Reason: "asked to"}, *out)
	})
	t.Run("not canceled, because it is settled", func(t *testing.T) {
		t.Parallel()
		b := setup(t, unreachable(t))
		b.store.onCancel = func(string) (*webhook.Delivery, error) { return nil, webhook.Errorf(webhook.CodeConflict, "settled") }
		b.store.onDelivery = func() (*webhook.Delivery, error) { return &webhook.Delivery{Status: webhook.StatusDelivered}, nil }
		out, err := set(t, b, webhook.StatusCanceled)
		require.NoError(t, err)
		require.Equal(t, activities.SetStatusResult{Status: webhook.StatusDelivered}, *out)
	})
	t.Run("a delivery that is not there", func(t *testing.T) {
		t.Parallel()
		b := setup(t, unreachable(t))
		b.store.onHold = func() (*webhook.Delivery, error) { return nil, errMissing }
		out, err := set(t, b, webhook.StatusHeld)
		require.NoError(t, err)
		require.Equal(t, webhook.StatusCanceled, out.Status)
	})
	t.Run("faults", func(t *testing.T) {
		t.Parallel()
		b := setup(t, unreachable(t))
		b.store.onHold = func() (*webhook.Delivery, error) { return nil, errDown }
		_, err := set(t, b, webhook.StatusHeld)
		requireType(t, err, "unavailable", false)
		_, err = set(t, b, webhook.StatusDelivered)
		requireType(t, err, "invalid", true)
	})
}

func TestActivities_SetEnabled(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in   activities.SetEnabledInput
		err  error
		told string
	}{
		"disable":                         {in: activities.SetEnabledInput{Reason: "broken"}, told: "disable: broken"},
		"disable without a reason":        {told: "disable: disabled by a signal"},
		"enable":                          {in: activities.SetEnabledInput{Enabled: true}, told: "enable"},
		"enable what is not there":        {in: activities.SetEnabledInput{Enabled: true}, err: errMissing, told: "enable"},
		"disable while the store is down": {in: activities.SetEnabledInput{Reason: "broken"}, err: errDown, told: "disable: broken"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, unreachable(t))
			b.engine.onDisable = func() error { return c.err }
			b.engine.onEnable = func() error { return c.err }
			_, err := b.env.ExecuteActivity(b.acts.SetEnabled, c.in)
			if c.err == nil {
				require.NoError(t, err)
			} else {
				code := webhook.ErrorCode(c.err)
				requireType(t, err, string(code), code == webhook.CodeNotFound)
			}
			require.Equal(t, []string{c.told}, b.engine.told)
		})
	}
}
