package dashboard

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func indexOf(t *testing.T, text, part string) int {
	t.Helper()
	at := strings.Index(text, part)
	require.GreaterOrEqual(t, at, 0, "%s is missing", part)
	return at
}

const recoveryID = "rec_0197122f3c4b7d1e8f00112233445566"

// A recovery is counted first, and starts as it was counted.
func TestRecover(t *testing.T) {
	t.Parallel()
	var asked string
	api := tenantAPI(t, adminSession, "auction-excellence", fakeAPI{
		"GET " + endpointPath:              says(http.StatusOK, disabledEndpoint),
		"POST /v1/tenants/acme/recoveries": keeps(http.StatusOK, `{"matched":1500,"by_type":{"item.sold":1400,"listing.ended":100}}`, &asked),
	})
	d := newTest(t, Options{API: api})
	page := d.page(t, pagePath+"/recover")
	require.Contains(t, page, `name="since" value="2026-05-27T10:00"`, "since it began to fail")
	require.Contains(t, page, "failed <small>every attempt failed", "the platform's own word")

	fields := url.Values{"step": {"count"}, "since": {"2026-05-27T10:00"}, "until": {""}, "statuses": {"exhausted"}, "missed": {"true"}, "event_types": {"item.sold"}, "other_types": {"listing.*"}, "rate": {"50"}, "reason": {"the outage"}}
	page = d.signed(postForm(pagePath+"/recover", fields)).Body.String()
	require.JSONEq(t, `{"endpoint_id":"`+endpointID+`","since":"2026-05-27T10:00:00Z","statuses":["exhausted"],"missed":true,"event_types":["item.sold","listing.*"],"rate":50,"reason":"the outage","dry_run":true}`, asked)
	for _, want := range []string{"It would send 1,500 deliveries", ">Send 1,500 deliveries<", "in 30 s or longer", `<input type="hidden" name="rate" value="50">`} {
		require.Contains(t, page, want)
	}
	require.Less(t, indexOf(t, page, "<td>item.sold</td>"), indexOf(t, page, "<td>listing.ended</td>"))

	api["POST /v1/tenants/acme/recoveries"] = keeps(http.StatusCreated, `{"id":"`+recoveryID+`","endpoint_id":"`+endpointID+`","matched":1500,"status":"running"}`, &asked)
	fields.Set("step", "start")
	w := d.signed(postForm(pagePath+"/recover", fields))
	require.Equal(t, "/tenants/acme/recoveries/"+recoveryID, w.Header().Get("Location"))
	require.NotContains(t, asked, "dry_run")
	require.Contains(t, asked, `"rate":50`)

	api["POST /v1/tenants/acme/recoveries"] = says(http.StatusUnprocessableEntity, `{"status":422,"title":"A field is wrong","detail":"recovery: since is too old","code":"invalid","errors":[{"field":"since","detail":"is more than 90 days ago"}]}`)
	fields.Set("step", "count")
	w = d.signed(postForm(pagePath+"/recover", fields))
	require.Equal(t, http.StatusUnprocessableEntity, w.Code)
	require.Contains(t, w.Body.String(), "is more than 90 days ago")
	require.Contains(t, w.Body.String(), `name="reason" value="the outage"`)
	require.NotContains(t, w.Body.String(), "It would send")
}

// The page of a recovery follows it until it ends, and cancels it only after it has said what is left.
func TestRecovery_Progress(t *testing.T) {
	t.Parallel()
	running := `{"id":"` + recoveryID + `","endpoint_id":"` + endpointID + `","status":"running","matched":1500,"sent":900,"delivered":700,"failed":50,"rate":50,"statuses":["exhausted"],"reason":"<b>","since":"2026-05-27T10:00:00Z","until":"2026-05-27T11:00:00Z","created_at":"2026-05-27T11:59:00Z"}`
	ended := strings.Replace(strings.Replace(running, `"running"`, `"completed"`, 1), `"delivered":700`, `"delivered":1450`, 1)
	path := "/tenants/acme/recoveries/" + recoveryID
	var asked string
	api := tenantAPI(t, adminSession, "auction-excellence", fakeAPI{
		"GET /v1" + path:                  says(http.StatusOK, running),
		"POST /v1" + path + "/cancel":     says(http.StatusOK, running),
		"GET /v1/tenants/acme/recoveries": keeps(http.StatusOK, `{"data":[`+running+`]}`, &asked),
	})
	d := newTest(t, Options{API: api})
	page := d.page(t, path)
	for _, want := range []string{`<progress max="1500" value="750"`, "750 of 1,500 attempted", `hx-trigger="every 1s"`, path + `/cancel"`, "&lt;b&gt;", "at most 50 a second"} {
		require.Contains(t, page, want)
	}
	require.Contains(t, d.page(t, path+"/cancel"), "750 deliveries that wait are not sent")
	require.Equal(t, path, d.signed(postForm(path+"/cancel", nil)).Header().Get("Location"))

	require.Contains(t, d.page(t, "/tenants/acme/recoveries?endpoint="+endpointID), path)
	require.Equal(t, "endpoint="+endpointID, asked)

	api["GET /v1"+path] = says(http.StatusOK, ended)
	page = d.page(t, path)
	require.NotContains(t, page, "hx-trigger")
	require.NotContains(t, page, path+`/cancel"`)
	require.Contains(t, page, `<progress max="1500" value="1500"`)

	api["POST /v1"+path+"/cancel"] = says(http.StatusConflict, `{"status":409,"title":"The state forbids it","detail":"the recovery is over","code":"conflict"}`)
	w := d.signed(postForm(path+"/cancel", nil))
	require.Equal(t, http.StatusConflict, w.Code)
	require.Contains(t, w.Body.String(), "The recovery is over.")

	api["GET /v1/tenants/acme/recoveries"] = says(http.StatusOK, `{"data":[]}`)
	require.Contains(t, d.page(t, "/tenants/acme/recoveries"), "No recovery yet")
}
