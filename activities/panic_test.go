package activities

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A panic in the goroutine that dials ends the attempt like any other, not the process, and is not the receiver's.
func TestTransport_Send_panicWhileDialing(t *testing.T) {
	t.Parallel()
	d, err := newDialer(&guard{}, nil) // it has no rule, so that asking it panics
	require.NoError(t, err)
	tr := &Transport{direct: direct{&http.Transport{DialContext: d.dialPlain, DialTLSContext: d.dialTLS}, d}}
	for _, url := range []string{"http://192.0.2.1/", "https://192.0.2.1/"} {
		err := safely(func() error {
			tr.Send(t.Context(), Request{URL: url, Timeout: 10 * time.Second})
			return nil
		})
		var p *panicError
		require.ErrorAs(t, err, &p, url)
		require.Contains(t, string(p.stack), "guard.go", "the stack is that of the goroutine that panicked")
	}
}
