package receiver

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// leanPost sends a webhook with an id as any HTTP client would, and returns the status.
func leanPost(ctx context.Context, url, id string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(strings.Repeat("x", 20_000)))
	if err != nil {
		return 0, err
	}
	req.Header["webhook-id"] = []string{id}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, errors.Join(err, res.Body.Close())
}

func TestLean(t *testing.T) {
	t.Parallel()
	r := NewLean()
	var ids []string
	url, err := r.Listen(t.Context(), func(id string, at time.Time) (int, error) {
		ids = append(ids, id)
		require.WithinDuration(t, time.Now(), at, time.Minute)
		return map[bool]int{true: 200, false: 429}[len(ids) == 2], nil
	})
	require.NoError(t, err)
	other, err := r.Listen(t.Context(), func(string, time.Time) (int, error) { return 500, nil })
	require.NoError(t, err)
	for _, want := range []int{429, 200, 429} {
		status, err := leanPost(t.Context(), url, "evt_1")
		require.NoError(t, err)
		require.Equal(t, want, status)
	}
	status, err := leanPost(t.Context(), other, "evt_1")
	require.NoError(t, err)
	require.Equal(t, 500, status)
	require.NoError(t, r.Close())
	require.Equal(t, []string{"evt_1", "evt_1", "evt_1"}, ids)
}

func TestLean_Malformed(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no request line": "\r\n",
		"no length":       "POST /0 HTTP/1.1\r\nwebhook-id: evt_1\r\n\r\n",
		"a bad length":    "POST /0 HTTP/1.1\r\nContent-Length: x\r\n\r\n",
		"not a POST":      "GET /0 HTTP/1.1\r\nContent-Length: 0\r\nWebhook-Id: evt_1\r\n\r\n",
		"no id":           "POST /0 HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := NewLean()
			url, err := r.Listen(t.Context(), func(id string, _ time.Time) (int, error) {
				if id == "" {
					return 0, errors.New("no id")
				}
				return 200, nil
			})
			require.NoError(t, err)
			conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/hook"))
			require.NoError(t, err)
			_, err = io.WriteString(conn, text)
			require.NoError(t, err)
			_, err = conn.Read(make([]byte, 1))
			require.ErrorIs(t, err, io.EOF, "the connection is cut")
			require.NoError(t, conn.Close())
			require.ErrorIs(t, r.Close(), ErrMalformed)
		})
	}
}
