package main_test

import (
	"bufio"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A live tail that somebody watches goes on by itself, and keeps no process from stopping.
func TestStop_LiveTail(t *testing.T) {
	t.Parallel()
	g := ownGroup(t, groupOptions{})
	s := g.own(t, "serve", "WAYBILL_DRAIN_TIMEOUT=1m")
	tn := newTenant(t, s, "standard", nil)
	base, page := "http://"+s.address, "/tenants/"+tn.id
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	browser := &http.Client{Jar: jar}
	form := url.Values{"key": {g.apiKey}, "next": {page + "/deliveries"}}.Encode()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/sign-in", strings.NewReader(form))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := browser.Do(r)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusOK, answer.StatusCode)

	r, err = http.NewRequestWithContext(t.Context(), http.MethodGet, base+page+"/deliveries/tail", http.NoBody)
	require.NoError(t, err)
	answer, err = browser.Do(r)
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	stream := bufio.NewReader(answer.Body)
	line, err := stream.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "event: page\n", line)

	told := time.Now()
	s.terminate(t)
	_, err = io.Copy(io.Discard, stream)
	require.NoError(t, err, "it ends as a stream does that is through")
	s.stopped(t)
	require.Less(t, time.Since(told), 20*time.Second)
}
