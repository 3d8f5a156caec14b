package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/api"
	"waybill/webhook"
)

// An announced body takes no room; received bytes do.
func TestInflight_AnnouncedIsNotHeld(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	key := b.key("acme", webhook.ScopePublish)
	server := httptest.NewServer(b.server)
	t.Cleanup(server.Close)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)

	const connections = 100
	for range connections {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		_, err = fmt.Fprintf(conn, "POST /v1/tenants/acme/events/batch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"+
			"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n{", key, api.DefaultMaxBatchBytes)
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return b.server.InflightBytes() == connections*8<<10 }, 20*time.Second, 5*time.Millisecond,
		"each holds its first 4 KiB, and counts twice that")
	runtime.ReadMemStats(&after)
	require.Less(t, int64(after.HeapInuse)-int64(before.HeapInuse), int64(100<<20), "of the 800 MiB announced")
}

// untouched is a body that nobody may read.
type untouched struct{ t *testing.T }

func (u untouched) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

// full is a server whose 64 KiB are held by a request that stalls after so many bytes. It goes on with end.
func full(t *testing.T) (b *testBundle, end func(rest string) int) {
	t.Helper()
	b = setup(t, func(o *api.Options) { o.MaxInflightBytes = 64 << 10 })
	b.tenant("acme", "standard")
	body, stalled := io.Pipe()
	answered := make(chan int, 1)
	go func() {
		w := httptest.NewRecorder()
		b.server.ServeHTTP(w, b.publishing("/events/batch", body))
		answered <- w.Code
	}()
	_, err := io.WriteString(stalled, `{"events":[{"type":"a.b","data":1}`+strings.Repeat(" ", 20<<10))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return b.server.InflightBytes() == 64<<10 }, 10*time.Second, time.Millisecond)
	return b, func(rest string) int {
		_, err := io.WriteString(stalled, rest)
		require.NoError(t, err)
		require.NoError(t, stalled.Close())
		return <-answered
	}
}

// publishing is a request of the admin to publish for acme.
func (b *testBundle) publishing(path string, body io.Reader) *http.Request {
	r := httptest.NewRequest("POST", "/v1/tenants/acme"+path, body)
	r.Header.Set("Authorization", "Bearer "+adminKey)
	r.Header.Set("Content-Type", "application/json")
	return r
}

func TestInflight_NoRoom(t *testing.T) {
	t.Parallel()
	b, end := full(t)
	b.server.SetInflightWait(10 * time.Millisecond)
	for path, size := range map[string]int64{"/events": 1000, "/events/batch": -1} {
		r := b.publishing(path, untouched{t})
		r.ContentLength = size
		w := httptest.NewRecorder()
		b.server.ServeHTTP(w, r)
		a := &answer{t, w.Code, w.Header(), w.Body.Bytes()}
		a.problem(429, webhook.CodeOverloaded)
		require.Equal(t, "1", a.header.Get("Retry-After"))
		b.spec.check(t, r, "", a, true)
	}
	b.admin("GET", "/v1/tenants/acme", "").want(200)
	require.Zero(t, b.store.called("Accept"))

	require.Equal(t, 200, end("]}"), "who has begun may end")
	require.Zero(t, b.server.InflightBytes())
	b.admin("POST", "/v1/tenants/acme/events", `{"type":"a.b","data":1}`).want(202)
}

// A tenant whose requests stall shuts out itself, and nobody else.
func TestInflight_OneTenantStalls(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) { o.MaxInflightBytes = 64 << 10 })
	b.tenant("acme", "standard")
	b.tenant("quiet", "standard")
	b.server.SetInflightWait(time.Minute)
	ctx, hangUp := context.WithCancel(t.Context())
	var stalled sync.WaitGroup
	for range 40 {
		body, _ := io.Pipe()
		stalled.Go(func() {
			b.server.ServeHTTP(httptest.NewRecorder(), b.publishing("/events/batch", body).WithContext(ctx))
		})
		t.Cleanup(func() { _ = body.Close() })
		context.AfterFunc(ctx, func() { _ = body.Close() })
	}
	require.Eventually(t, func() bool { return b.server.InflightBytes() == 48<<10 }, 10*time.Second, time.Millisecond,
		"a tenant holds three quarters")
	b.admin("POST", "/v1/tenants/quiet/events", `{"type":"a.b","data":1}`).want(202)
	hangUp()
	stalled.Wait()
	require.Zero(t, b.server.InflightBytes())
}

// One body that is larger than the bound, and stalls, keeps its own tenant waiting and nobody else.
func TestInflight_OneBodyStalls(t *testing.T) {
	t.Parallel()
	b, end := full(t)
	b.tenant("quiet", "standard")
	b.server.SetInflightWait(10 * time.Millisecond)
	b.admin("POST", "/v1/tenants/quiet/events", `{"type":"a.b","data":1}`).want(202)
	b.admin("POST", "/v1/tenants/acme/events", `{"type":"a.b","data":1}`).problem(429, webhook.CodeOverloaded)
	require.Equal(t, 200, end("]}"))
	require.Zero(t, b.server.InflightBytes())
}

// However small requests are, a process holds so many at a time, and so many wait. What else comes is refused at once, and a tenant's crowd
// leaves room for another's.
func TestInflight_Many(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) { o.MaxInflightBytes = 64 << 10 })
	b.tenant("acme", "standard")
	b.tenant("quiet", "standard")
	b.server.SetInflightWait(time.Minute)
	holding, release := make(chan struct{}, 1000), make(chan struct{})
	b.store.fail = func(call string) error {
		if call == "Accept" {
			holding <- struct{}{}
			<-release
		}
		return nil
	}
	codes := make(chan int, 1000)
	var crowd sync.WaitGroup
	publish := func(tenant string, n int) {
		for range n {
			crowd.Go(func() { codes <- b.admin("POST", "/v1/tenants/"+tenant+"/events", `{"type":"a.b","data":1}`).status })
		}
	}
	publish("acme", 6)
	for range 6 {
		<-holding
	}
	require.EqualValues(t, 48<<10, b.server.InflightBytes(), "each counts 8 KiB, and a tenant has three quarters")
	publish("acme", 200)
	for range 8 {
		require.Equal(t, 429, <-codes, "of acme 192 may wait")
	}
	publish("quiet", 2)
	for range 2 {
		<-holding
	}
	require.EqualValues(t, 64<<10, b.server.InflightBytes())
	publish("quiet", 70)
	for range 6 {
		require.Equal(t, 429, <-codes, "256 may wait")
	}
	require.Empty(t, codes)
	close(release)
	crowd.Wait()
	close(codes)
	for code := range codes {
		require.Equal(t, 202, code)
	}
	require.Zero(t, b.server.InflightBytes())
}

// Requests without a body count too, but for the administrator's, who must see what is going on.
func TestInflight_Lists(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) { o.MaxInflightBytes = 64 << 10 })
	b.tenant("acme", "standard")
	b.tenant("quiet", "standard")
	acme, quiet := b.key("acme", webhook.ScopeRead), b.key("quiet", webhook.ScopeRead)
	b.server.SetInflightWait(10 * time.Millisecond)
	holding, release := make(chan struct{}, 10), make(chan struct{})
	b.store.fail = func(call string) error {
		if call == "Endpoints" {
			holding <- struct{}{}
			<-release
		}
		return nil
	}
	var crowd sync.WaitGroup
	codes := make(chan int, 10)
	list := func(key, tenant string) {
		crowd.Go(func() { codes <- b.call(key, "GET", "/v1/tenants/"+tenant+"/endpoints", "").status })
		<-holding
	}
	for range 6 {
		list(acme, "acme")
	}
	require.EqualValues(t, 48<<10, b.server.InflightBytes())
	b.call(acme, "GET", "/v1/tenants/acme/endpoints", "").problem(429, webhook.CodeOverloaded)
	list(quiet, "quiet")
	list(adminKey, "acme")
	require.EqualValues(t, 56<<10, b.server.InflightBytes())
	close(release)
	crowd.Wait()
	for range 8 {
		require.Equal(t, 200, <-codes)
	}
	require.Zero(t, b.server.InflightBytes())
}

// A request that finds no room gets it as soon as another is answered.
func TestInflight_WaitsForRoom(t *testing.T) {
	t.Parallel()
	b, end := full(t)
	b.server.SetInflightWait(time.Minute)
	waited := make(chan int, 1)
	go func() {
		w := httptest.NewRecorder()
		b.server.ServeHTTP(w, b.publishing("/events", strings.NewReader(`{"type":"a.b","data":2}`)))
		waited <- w.Code
	}()
	require.Equal(t, 200, end("]}"))
	require.Equal(t, 202, <-waited)
	require.Zero(t, b.server.InflightBytes())
}

// A caller who hangs up while waiting leaves no trace.
func TestInflight_CallerGone(t *testing.T) {
	t.Parallel()
	b, end := full(t)
	b.server.SetInflightWait(time.Minute)
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp()
	w := httptest.NewRecorder()
	b.server.ServeHTTP(w, b.publishing("/events", untouched{t}).WithContext(ctx))
	require.Equal(t, 503, w.Code)
	require.Equal(t, 200, end("]}"))
	require.Zero(t, b.server.InflightBytes())
}

// bigBatch has one event of about so many bytes.
func bigBatch(bytes int) string {
	return `{"events":[{"type":"a.b","data":"` + strings.Repeat("x", bytes) + `"}]}`
}

func TestInflight_LargerThanTheBound(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) { o.MaxInflightBytes = 32 << 10 })
	b.tenant("acme", "standard")
	b.admin("POST", "/v1/tenants/acme/events/batch", bigBatch(200<<10)).want(200)
	require.Zero(t, b.server.InflightBytes())
}

// A crowd whose bodies exceed the bound many times gets through, one after another, within the bound and one body.
func TestInflight_Crowd(t *testing.T) {
	t.Parallel()
	const most, size = 256 << 10, 100 << 10
	b := setup(t, func(o *api.Options) { o.MaxInflightBytes = most })
	b.tenant("acme", "standard")
	b.server.SetInflightWait(time.Minute)
	var peak int64
	var mu sync.Mutex
	b.store.fail = func(string) error {
		mu.Lock()
		defer mu.Unlock()
		peak = max(peak, b.server.InflightBytes())
		return nil
	}
	var crowd sync.WaitGroup
	codes := make([]int, 50)
	for i := range codes {
		crowd.Go(func() {
			w := httptest.NewRecorder()
			r := b.publishing("/events/batch", strings.NewReader(bigBatch(size)))
			if i%2 == 0 {
				r.ContentLength = -1 // chunked
			}
			b.server.ServeHTTP(w, r)
			codes[i] = w.Code
		})
	}
	crowd.Wait()
	for _, code := range codes {
		require.Equal(t, 200, code)
	}
	require.Greater(t, peak, int64(size))
	require.LessOrEqual(t, peak, int64(most+4*size))
	require.Zero(t, b.server.InflightBytes())
}

// The bytes of a request are released however it ends.
func TestInflight_GivenBack(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) { o.MaxBodyBytes = 1000 })
	b.tenant("acme", "standard")
	for name, tc := range map[string]struct {
		body io.Reader
		code int
	}{
		"accepted":  {strings.NewReader(`{"type":"a.b","data":1}`), 202},
		"not JSON":  {strings.NewReader(`{`), 400},
		"too large": {strings.NewReader(strings.Repeat(" ", 1001)), 413},
		"broke off": {io.MultiReader(strings.NewReader(`{`), failing{}), 400},
	} {
		r := b.publishing("/events", tc.body)
		r.ContentLength = -1
		w := httptest.NewRecorder()
		b.server.ServeHTTP(w, r)
		require.Equal(t, tc.code, w.Code, name)
		require.Zero(t, b.server.InflightBytes(), name)
	}
	b.store.fail = func(string) error { panic("hush-hush") }
	b.admin("POST", "/v1/tenants/acme/events", `{"type":"a.b","data":1}`).problem(500, webhook.CodeInternal)
	require.Zero(t, b.server.InflightBytes(), "a panic")
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the connection is gone") }
