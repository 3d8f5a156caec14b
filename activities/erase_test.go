package activities_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/activities"
	"waybill/store"
)

// fakeErasures is an erasure that takes some steps; none: it has ended, or there is none.
type fakeErasures struct {
	steps   []store.ErasureStep
	erasure *store.Erasure
}

func (f *fakeErasures) EraseTenantStep(context.Context, string, int) (store.ErasureStep, error) {
	if len(f.steps) == 0 {
		return store.ErasureStep{}, errMissing
	}
	step := f.steps[0]
	f.steps = f.steps[1:]
	return step, nil
}

func (f *fakeErasures) TenantErasure(context.Context, string) (*store.Erasure, error) {
	if f.erasure == nil {
		return nil, errMissing
	}
	return f.erasure, nil
}

// The workflows of an erased tenant are ended, even where the process died in between, and never those of a new tenant with its id.
func TestEraseTenant(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 11, 26, 6, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		erasures fakeErasures
		out      activities.EraseTenantResult
		told     []string
	}{
		"to the end": {
			fakeErasures{[]store.ErasureStep{{Deleted: 7}, {Deleted: 2}, {Done: true}}, &store.Erasure{StartedAt: began}},
			activities.EraseTenantResult{Deleted: 9, Done: true}, []string{"end workflows of acme before 2026-11-26T06:01:00Z"},
		},
		"again after the end": {
			fakeErasures{nil, &store.Erasure{StartedAt: began}},
			activities.EraseTenantResult{Done: true}, []string{"end workflows of acme before 2026-11-26T06:01:00Z"},
		},
		"to the wait": {
			fakeErasures{[]store.ErasureStep{{Deleted: 7}, {Wait: time.Minute}}, &store.Erasure{StartedAt: began}},
			activities.EraseTenantResult{Deleted: 7, Wait: time.Minute}, nil,
		},
		"of nobody": {fakeErasures{}, activities.EraseTenantResult{Done: true}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, nil, func(o *activities.Options) { o.Erasures = &c.erasures })
			value, err := b.env.ExecuteActivity(b.acts.EraseTenant, activities.EraseTenantInput{Tenant: "acme"})
			require.NoError(t, err)
			var out activities.EraseTenantResult
			require.NoError(t, value.Get(&out))
			require.Equal(t, c.out, out)
			require.Equal(t, c.told, b.engine.told)
		})
	}
}
