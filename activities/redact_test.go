package activities_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/activities"
)

func TestActivities_Attempt_boundsWhatItRecords(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{"many headers": 1, "large headers": 400} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			boundsWhatItRecords(t, size)
		})
	}
}

func boundsWhatItRecords(t *testing.T, size int) {
	b := setup(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Authorization", "Bearer s3cret")
		w.Header()["A-Latin1"] = []string{"caf\xe9"}
		for i := range 100 {
			w.Header().Set(fmt.Sprintf("X-Many-%03d", i), strings.Repeat("v", size))
		}
		w.WriteHeader(500)
	})
	_, err := b.attempt(t, input())
	require.NoError(t, err)
	got := b.store.recorded[0].Attempt.ResponseHeaders
	require.Equal(t, "[redacted]", got["Authorization"])
	require.Equal(t, "caf\uFFFD", got["A-Latin1"])
	require.Contains(t, got, "X-Many-000")
	require.LessOrEqual(t, len(got), activities.MaxRecordedHeaders)
	total := 0
	for name, value := range got {
		total += len(name) + len(value)
	}
	require.LessOrEqual(t, total, activities.MaxRecordedBytes)
	require.LessOrEqual(t, len(b.store.recorded[0].Attempt.Error), activities.MaxErrorBytes)
}
