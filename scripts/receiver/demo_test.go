package receiver

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDemo_Behavior(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		path    string
		attempt int
		want    int
	}{
		{"/rheo", 1, http.StatusOK},
		{"/", 1, http.StatusOK},
		{"/rheo/flaky", 1, http.StatusInternalServerError},
		{"/rheo/flaky", 2, http.StatusInternalServerError},
		{"/rheo/flaky", 3, http.StatusOK},
		{"/rheo/down", 9, http.StatusServiceUnavailable},
		{"/rheo/hang", 1, 0},
		{"/rheo/other", 1, http.StatusNotFound},
	} {
		got := demoBehavior(&Arrival{Path: test.path, Number: test.attempt})
		require.Equal(t, test.want, got.Status, "%s, attempt %d", test.path, test.attempt)
	}
}

// The list is on the receiver's page and in the answer to a path that there is not.
func TestDemo_Paths(t *testing.T) {
	t.Parallel()
	r, err := Start(t.Context(), Options{Answer: demoBehavior})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	res, err := http.Post(r.URL()+"/rheo/nonsense", "application/json", strings.NewReader("{}"))
	require.NoError(t, err)
	var body strings.Builder
	require.NoError(t, res.Write(&body))
	require.NoError(t, res.Body.Close())
	require.Equal(t, 404, res.StatusCode)
	for _, one := range All() {
		require.Contains(t, DemoPaths(), "/rheo/"+one.Name+" ")
		require.Contains(t, body.String(), one.Does)
	}
}

func TestDemo_Describe(t *testing.T) {
	t.Parallel()
	text := describe(&Arrival{
		Method: "POST", Path: "/rheo/flaky", Number: 2, At: time.Date(2026, 5, 27, 14, 32, 0, 0, time.UTC),
		Header: http.Header{"Webhook-Id": {"evt_1"}, "User-Agent": {"Waybill"}}, Body: []byte(strings.Repeat("x", 410)),
	}, Status(500))
	require.Equal(t, "14:32:00.000  received POST /rheo/flaky, attempt 2: answers 500\n    Webhook-Id: evt_1\n    "+strings.Repeat("x", 400)+"... (10 more)", text)
}
