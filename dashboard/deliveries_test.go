package dashboard

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	tenantOfLog   = `{"id":"acme","name":"Acme","dialect":"standard","created_at":"2026-05-01T00:00:00Z"}`
	dialectOfLog  = `{"name":"standard","status_words":{"exhausted":"failed"},"event_types":[{"type":"order.confirmed"}]}`
	readsAll      = `{"actor":"key_1","kind":"key","tenant":"acme","scopes":["read"]}`
	managesAll    = `{"actor":"key_1","kind":"key","tenant":"acme","scopes":["read","manage"]}`
	deliveryOfLog = "dlv_019e690c280070008000000000000001"
	otherOfLog    = "dlv_019e690c280070008000000000000002"
	endpointOfLog = "ep_019e690c28007000800000000000000a"
	attemptOfLog  = "att_019e690c2800700080000000000000f1"
	pathOfLog     = "/v1/tenants/acme/deliveries"
	// hostileText is what a receiver may answer and a page must not obey.
	hostileText = "<script>alert(1)</script><svg onload=alert(1)>\"'\x1b[31mred\u202ereversed"
)

func deliveryJSON(id, status string, attempts int) string {
	return fmt.Sprintf(`{"id":%q,"event_id":"evt_1","event_type":"order.confirmed","endpoint_id":%q,"status":%q,"attempts":%d,"test":false,
		"created_at":"2026-05-27T11:59:00Z","updated_at":"2026-05-27T11:59:00.%03dZ",
		"last_attempt":{"number":%d,"started_at":"2026-05-27T11:59:01Z","duration_ms":120,"status_code":503,"error_class":"http_status","error":"the receiver answered 503"}}`,
		id, endpointOfLog, status, attempts, attempts, attempts)
}

func listJSON(next string, items ...string) string {
	return fmt.Sprintf(`{"data":[%s],"next_cursor":%q}`, strings.Join(items, ","), next)
}

// logAPI answers what every page of a tenant asks for, and besides.
func logAPI(session string, besides fakeAPI) fakeAPI {
	api := fakeAPI{
		"GET /v1/session":                                 says(http.StatusOK, session),
		"GET /v1/tenants/acme":                            says(http.StatusOK, tenantOfLog),
		"GET /v1/dialects/standard":                       says(http.StatusOK, dialectOfLog),
		"GET /v1/tenants/acme/endpoints/" + endpointOfLog: says(http.StatusOK, `{"id":"`+endpointOfLog+`","url":"https://shop.example.com/hooks?key=1","status":"enabled"}`),
	}
	maps.Copy(api, besides)
	return api
}

func (d *Dashboard) read(path string) *httptest.ResponseRecorder {
	return d.signed(httptest.NewRequest(http.MethodGet, path, http.NoBody))
}

// A line has everything at a glance, in the platform's words, and the address has the filters.
func TestDeliveries(t *testing.T) {
	t.Parallel()
	var asked url.Values
	d := newTest(t, Options{API: logAPI(readsAll, fakeAPI{"GET " + pathOfLog: func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Query()
		says(http.StatusOK, listJSON("more", deliveryJSON(deliveryOfLog, "exhausted", 6)))(w, r)
	}})})
	w := d.read("/tenants/acme/deliveries?status=exhausted&range=24h&event_type=order.confirmed")
	require.Equal(t, http.StatusOK, w.Code)
	page := w.Body.String()
	for _, shown := range []string{`data-status="exhausted">failed<`, ">order.confirmed</a>", ">shop.example.com<", ">503<", ">120 ms<", "the receiver answered 503", "1 minute ago"} {
		require.Contains(t, page, shown)
	}
	require.Contains(t, page, `value="exhausted" checked`)
	require.Contains(t, page, "cursor=more")
	require.Equal(t, url.Values{"status": {"exhausted"}, "event_type": {"order.confirmed"}, "since": {"2026-05-26T12:00:00Z"}}, asked)

	w = d.read("/tenants/acme/deliveries?status=held&status=retrying&endpoint=&since=2026-05-27T10:00&cursor=")
	require.Equal(t, http.StatusSeeOther, w.Code, "empty fields of a form")
	require.Equal(t, "/tenants/acme/deliveries?since=2026-05-27T10%3A00&status=held%2Cretrying", w.Header().Get("Location"))
	require.Equal(t, http.StatusOK, d.read(w.Header().Get("Location")).Code)
	require.Equal(t, url.Values{"status": {"held,retrying"}, "since": {"2026-05-27T10:00:00Z"}}, asked)
}

// What the API refuses stands by the field, with what was typed; an unknown parameter is not ignored.
func TestDeliveries_Refused(t *testing.T) {
	t.Parallel()
	d := newTest(t, Options{API: logAPI(readsAll, fakeAPI{"GET " + pathOfLog: func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("stauts") {
			says(http.StatusUnprocessableEntity, `{"status":422,"title":"Invalid","detail":"the query is not acceptable","code":"invalid","errors":[{"field":"stauts","detail":"is not a known parameter"}]}`)(w, r)
			return
		}
		says(http.StatusUnprocessableEntity, `{"status":422,"title":"Invalid","detail":"the query is not acceptable","code":"invalid","errors":[{"field":"endpoint","detail":"is not an id"}]}`)(w, r)
	}})})
	w := d.read("/tenants/acme/deliveries?endpoint=shop")
	require.Equal(t, http.StatusUnprocessableEntity, w.Code)
	require.Contains(t, w.Body.String(), `<input name="endpoint" value="shop" autocomplete="off" spellcheck="false" list="log-endpoints" aria-invalid="true"><small class="wrong">is not an id</small>`)
	require.Contains(t, d.read("/tenants/acme/deliveries?stauts=held").Body.String(), "is not a known parameter")
}

func TestDeliveries_Empty(t *testing.T) {
	t.Parallel()
	next := ""
	d := newTest(t, Options{API: logAPI(readsAll, fakeAPI{"GET " + pathOfLog: func(w http.ResponseWriter, r *http.Request) {
		says(http.StatusOK, listJSON(next))(w, r)
	}})})
	require.Contains(t, d.read("/tenants/acme/deliveries").Body.String(), "Nothing was delivered yet")
	require.Contains(t, d.read("/tenants/acme/deliveries?status=held").Body.String(), "No delivery matches")
	next = "on"
	require.Contains(t, d.read("/tenants/acme/deliveries?status=held").Body.String(), "It goes on with the next page")
}

// The file has what the log shows, page by page, and no spreadsheet runs what a receiver wrote.
func TestDeliveries_CSV(t *testing.T) {
	t.Parallel()
	d := newTest(t, Options{API: logAPI(readsAll, fakeAPI{"GET " + pathOfLog: func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("cursor") == "two" {
			says(http.StatusOK, listJSON("", strings.Replace(deliveryJSON(otherOfLog, "held", 2), "the receiver answered 503", `=HYPERLINK(\"https://evil.example\")`, 1)))(w, r)
			return
		}
		says(http.StatusOK, listJSON("two", deliveryJSON(deliveryOfLog, "exhausted", 6)))(w, r)
	}})})
	w := d.read("/tenants/acme/deliveries.csv?status=held,exhausted")
	require.Equal(t, http.StatusOK, w.Code)
	require.Contains(t, w.Header().Get("Content-Disposition"), "attachment")
	rows, err := csv.NewReader(w.Body).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 3)
	require.Equal(t, csvColumns, rows[0])
	require.Equal(t, []string{
		"2026-05-27T11:59:00.000Z", "exhausted", "order.confirmed", "evt_1", endpointOfLog, "https://shop.example.com/hooks?key=1", "503", "http_status",
		"the receiver answered 503", "120", "6", "2026-05-27T11:59:01.000Z", "", "false", "", deliveryOfLog,
	}, rows[1])
	require.Equal(t, `'=HYPERLINK("https://evil.example")`, rows[2][8])
}

// A file says when it has not all.
func TestDeliveries_CSVLimit(t *testing.T) {
	t.Parallel()
	many := make([]string, csvPage)
	for i := range many {
		many[i] = deliveryJSON(deliveryOfLog, "delivered", 1)
	}
	var calls int
	d := newTest(t, Options{API: logAPI(readsAll, fakeAPI{"GET " + pathOfLog: func(w http.ResponseWriter, r *http.Request) {
		calls++
		says(http.StatusOK, listJSON("more", many...))(w, r)
	}})})
	text := d.read("/tenants/acme/deliveries.csv").Body.String()
	require.Equal(t, maxCSVRows/csvPage, calls)
	require.True(t, strings.HasSuffix(text, "\"cut after 10,000 rows: there are more; choose a shorter time, or read them from the API\"\n"), text[len(text)-120:])
}

// A file that could not be finished is not taken for the whole.
func TestDeliveries_CSVBreaksOff(t *testing.T) {
	t.Parallel()
	d := newTest(t, Options{API: logAPI(readsAll, fakeAPI{"GET " + pathOfLog: func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("cursor") {
			says(http.StatusInternalServerError, `{"status":500,"title":"Internal error","detail":"","code":"internal"}`)(w, r)
			return
		}
		says(http.StatusOK, listJSON("two", deliveryJSON(deliveryOfLog, "exhausted", 6)))(w, r)
	}})})
	require.PanicsWithError(t, http.ErrAbortHandler.Error(), func() { d.read("/tenants/acme/deliveries.csv") })
}

func TestCSVText(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "＝1", "\u200e=1", "\x00=1", "\tplain", "|calc"} {
		require.Equal(t, "'"+bad, csvText(bad), "%q", bad)
	}
	for _, good := range []string{"", "the receiver answered 503", "1-1", "https://a.example/?x=1", " plain"} {
		require.Equal(t, good, csvText(good))
	}
}

// streamed is a page of the live tail as the browser gets it.
type streamed struct {
	Rows []struct{ ID, HTML string }
}

// readStream returns the events of a live tail, one by one, and "" once it has ended.
func readStream(t *testing.T, d *Dashboard, server *httptest.Server, path string) func() (name string, page streamed) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, http.NoBody)
	require.NoError(t, err)
	r.AddCookie(&http.Cookie{Name: d.cookieName(sessionCookie), Value: sign(d.opts.SigningKeys[0], "wbs_1")})
	answer, err := server.Client().Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { _ = answer.Body.Close() })
	require.Equal(t, http.StatusOK, answer.StatusCode)
	require.Equal(t, "text/event-stream", answer.Header.Get("Content-Type"))
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	return func() (name string, page streamed) {
		for lines.Scan() {
			line := lines.Text()
			if after, ok := strings.CutPrefix(line, "event: "); ok {
				name = after
			}
			if after, ok := strings.CutPrefix(line, "data: "); ok {
				require.NoError(t, json.Unmarshal([]byte(after), &page))
				return name, page
			}
		}
		return "", page
	}
}

func (d *Dashboard) openStreams() int {
	d.streams.mu.Lock()
	defer d.streams.mu.Unlock()
	return d.streams.open
}

// The live tail sends what changed, longer than the server lets a request take, and ends with the session.
func TestTail(t *testing.T) {
	t.Parallel()
	var rows, session atomic.Value
	rows.Store(listJSON("", deliveryJSON(deliveryOfLog, "retrying", 1)))
	session.Store(readsAll)
	d := newTest(t, Options{API: logAPI(readsAll, fakeAPI{"GET " + pathOfLog: func(w http.ResponseWriter, r *http.Request) {
		if session.Load() == "" {
			says(http.StatusUnauthorized, unauthorized)(w, r)
			return
		}
		says(http.StatusOK, rows.Load().(string))(w, r)
	}})})
	d.tailEvery = 400 * time.Millisecond
	server := httptest.NewUnstartedServer(d)
	server.Config.ReadTimeout, server.Config.WriteTimeout = time.Second, time.Second
	server.Start()
	t.Cleanup(server.Close)

	next := readStream(t, d, server, "/tenants/acme/deliveries/tail?status=retrying")
	name, page := next()
	require.Equal(t, "page", name)
	require.Len(t, page.Rows, 1)
	require.Contains(t, page.Rows[0].HTML, ">order.confirmed</a>")

	rows.Store(listJSON("", deliveryJSON(otherOfLog, "retrying", 1), deliveryJSON(deliveryOfLog, "retrying", 1)))
	_, page = next()
	require.Len(t, page.Rows, 2)
	require.Contains(t, page.Rows[0].HTML, otherOfLog)
	require.Empty(t, page.Rows[1].HTML, "the browser has it")

	rows.Store(listJSON("", deliveryJSON(otherOfLog, "retrying", 1), deliveryJSON(deliveryOfLog, "retrying", 2)))
	_, page = next()
	require.Empty(t, page.Rows[0].HTML)
	require.Contains(t, page.Rows[1].HTML, `data-version="retrying.2.`)

	rows.Store(listJSON("", deliveryJSON(otherOfLog, "retrying", 1)))
	_, page = next()
	require.Len(t, page.Rows, 1, "one that matches no more is gone")

	session.Store("")
	name, _ = next()
	require.Equal(t, "ended", name)
	name, _ = next()
	require.Empty(t, name)
	require.Eventually(t, func() bool { return d.openStreams() == 0 }, 5*time.Second, 10*time.Millisecond)
}

// A session and a process have so many live tails, and all end when the process stops.
func TestTail_Bounded(t *testing.T) {
	t.Parallel()
	d := newTest(t, Options{API: logAPI(readsAll, fakeAPI{"GET " + pathOfLog: says(http.StatusOK, listJSON(""))})})
	server := httptest.NewServer(d)
	t.Cleanup(server.Close)
	var streams []func() (string, streamed)
	for range maxSessionStreams {
		next := readStream(t, d, server, "/tenants/acme/deliveries/tail")
		name, _ := next()
		require.Equal(t, "page", name)
		streams = append(streams, next)
	}
	name, _ := readStream(t, d, server, "/tenants/acme/deliveries/tail")()
	require.Equal(t, "busy", name)

	d.EndStreams()
	for _, next := range streams {
		name, _ := next()
		require.Empty(t, name)
	}

	s := newStreams()
	for i := range maxStreams {
		require.True(t, s.enter(fmt.Sprint(i)))
	}
	require.False(t, s.enter("one more"))
	s.leave("0")
	require.True(t, s.enter("one more"))
}

// What the API refuses ends the browser's attempts: the page says why.
func TestTail_Refused(t *testing.T) {
	t.Parallel()
	d := newTest(t, Options{API: logAPI(readsAll, fakeAPI{"GET " + pathOfLog: says(http.StatusUnprocessableEntity, `{"status":422,"title":"Invalid","detail":"no","code":"invalid"}`)})})
	require.Equal(t, http.StatusUnprocessableEntity, d.read("/tenants/acme/deliveries/tail?endpoint=x").Code)
}
