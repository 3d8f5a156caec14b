package webhook_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

// asked remembers whose schema was asked for.
type asked struct {
	noSchemas
	dialect, eventType string
}

func (a *asked) Validate(dialect, eventType string, _ []byte) error {
	a.dialect, a.eventType = dialect, eventType
	return nil
}

// The operator's tenant gets the operational events whatever its dialect's catalogue lists, and their data is checked.
func TestNewPublication_Operational(t *testing.T) {
	t.Parallel()
	d := dialect(t, "rheo")
	now := time.Date(2026, 5, 27, 14, 32, 0, 0, time.UTC)
	for _, eventType := range webhook.OperationalTypes {
		e := &webhook.Event{ID: "evt_1", Type: eventType, OccurredAt: now, Data: []byte(`{}`)}
		var a asked
		_, err := webhook.NewPublication(e, &webhook.Tenant{ID: "ops", Operator: true}, d, nil, &a, nil, now)
		require.NoError(t, err)
		require.Equal(t, asked{dialect: webhook.Operational, eventType: eventType}, a)
		_, err = webhook.NewPublication(e, &webhook.Tenant{ID: "acme"}, d, nil, &a, nil, now)
		require.Equal(t, webhook.CodeUnknownEventType, webhook.ErrorCode(err))
	}
}

func TestEndpoint_SubscribesToOperational(t *testing.T) {
	t.Parallel()
	for pattern, good := range map[string]bool{"endpoint.*": true, "delivery.exhausted": true, "*": true, "delivery.lost": false, "end.*": false} {
		e := &webhook.Endpoint{URL: "https://r.example/h", EventTypes: []string{pattern}}
		err := e.Validate(webhook.Limits{Dialect: dialect(t, "rheo"), Operator: true})
		require.Equal(t, good, err == nil, "%s: %v", pattern, err)
		if pattern != "*" {
			require.Error(t, e.Validate(webhook.Limits{Dialect: dialect(t, "rheo")}), pattern)
		}
	}
}
