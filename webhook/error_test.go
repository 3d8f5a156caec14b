package webhook_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

// A hopeless request gets an answer of a bounded size, whatever is wrong with it.
func TestError_Bounded(t *testing.T) {
	t.Parallel()
	odd := strings.Repeat("\x01é", 100_000)
	e := webhook.Errorf(webhook.CodeInvalid, "%s", odd)
	for i := range 1000 {
		e.Fields = append(e.Fields, webhook.FieldError{Field: odd, Detail: fmt.Sprintf("%d %q", i, odd)})
	}
	b := e.Bounded()
	require.Len(t, b.Fields, webhook.MaxFieldErrors)
	require.True(t, strings.HasPrefix(b.Fields[19].Detail, "19 "), "the first ones")
	text, err := json.Marshal(b)
	require.NoError(t, err)
	require.Less(t, len(text), 32<<10)
	require.NotContains(t, string(text), `\ufffd`, "no half characters")
	require.Len(t, e.Fields, 1000, "the error itself stays")

	small := webhook.NewInvalid("event", webhook.FieldError{Field: "id", Detail: "is wrong"})
	require.Same(t, small, small.Bounded())
	require.Equal(t, "event: id is wrong", small.Message)
}

func TestValidate_ListsAtMostTwentyFields(t *testing.T) {
	t.Parallel()
	e := event(func(e *webhook.Event) {
		e.ID, e.Attributes = strings.Repeat("\x00", 200_000), map[string]string{}
		for i := range 5000 {
			e.Attributes[fmt.Sprint(i, strings.Repeat("x", 300))] = "x"
		}
	})
	found := fields(t, e.Validate(&webhook.Tenant{}, dialect(t, "standard"), nil))
	require.Len(t, found, webhook.MaxFieldErrors)
	require.Equal(t, []string{"id", "attributes"}, found[:2])
}
