package main_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/dashboard"
)

// notPages answer GET with something else than a page: a file, a stream, a stylesheet; or send the browser on.
var notPages = []string{
	"/", "/tenants/{tenant}/deliveries.csv", "/tenants/{tenant}/deliveries/tail", "/tenants/{tenant}/events/{event}/data", "/tenants/{tenant}/theme.css",
	"/tenants/{tenant}/deliveries/{delivery}/attempts/{attempt}/{side:request|response}-body",
}

// Every page of the dashboard is opened and examined in the browser: a new one needs a line in the table of the test that does so.
func TestDashboard_EveryPageIsExamined(t *testing.T) {
	t.Parallel()
	examined := append(slices.Collect(maps.Keys((&gallery{}).pages())), notPages...)
	require.ElementsMatch(t, dashboard.Pages(), examined)
}
