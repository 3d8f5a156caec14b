package main

import (
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// It says where it listens, prints what arrives but not the questions of -check, and ends when told to.
func TestDemo(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, in := io.Pipe()
	printed, ended := make(chan string, 100), make(chan error, 1)
	go func() {
		ended <- run(ctx, "127.0.0.1:0", in)
		_ = in.Close()
	}()
	go func() {
		defer close(printed)
		buffer := make([]byte, 64<<10)
		for {
			n, err := out.Read(buffer)
			if err != nil {
				return
			}
			printed <- string(buffer[:n])
		}
	}()
	address := regexp.MustCompile(`http://([\d.:]+\d)`).FindStringSubmatch(<-printed)[1]
	require.NoError(t, ask(ctx, address))
	res, err := http.Post("http://"+address+"/standard/down", "application/json", strings.NewReader(`{"type":"order.confirmed"}`))
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	said := <-printed
	require.Contains(t, said, "POST /standard/down, attempt 1: answers 503", "the first thing that it prints is the webhook")
	require.Contains(t, said, `{"type":"order.confirmed"}`)
	stop()
	require.NoError(t, <-ended)
	require.Error(t, ask(t.Context(), address), "nobody listens any more")
}
