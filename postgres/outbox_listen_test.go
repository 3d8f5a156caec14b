package postgres_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/postgres/postgrestest"
)

func TestListenOutbox(t *testing.T) {
	t.Parallel()
	b, other := setup(t), setup(t)
	woken := make(chan struct{}, 100)
	var listening sync.WaitGroup
	t.Cleanup(listening.Wait)
	listening.Go(func() { b.ListenOutbox(t.Context(), func() { woken <- struct{}{} }) })
	listener := `application_name = '` + b.Schema() + `' AND query ILIKE 'listen%'`
	listens := func() bool {
		return b.count(`SELECT count(*) FROM pg_stat_activity WHERE state = 'idle' AND `+listener) == 1
	}
	require.Eventually(t, listens, waiting, tick)

	other.call(`'acme', 'a', '1'`)
	b.call(`'acme', 'a', '1'`)
	isWoken := func() bool { return len(woken) > 0 }
	require.Eventually(t, isWoken, waiting, tick)
	<-woken
	require.Empty(t, woken, "not by another schema's")

	b.exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ` + listener)
	require.Eventually(t, isWoken, waiting, tick, "for what was missed")
	<-woken
	require.Eventually(t, listens, waiting, tick)
	require.Eventually(t, func() bool {
		b.call(`'acme', 'a', '1'`) // those within 50 ms are silent
		return isWoken()
	}, waiting, tick)
}

// A connection string may have any form that lib/pq reads.
func TestListenOutbox_KeywordURL(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, url := range []string{b.opts.URL + "&connect_timeout=7", keywords(t, b.opts.URL)} {
		o := b.opts
		o.URL = url
		s := postgrestest.Open(t, o)
		woken := make(chan struct{}, 100)
		var listening sync.WaitGroup
		t.Cleanup(listening.Wait)
		listening.Go(func() { s.ListenOutbox(t.Context(), func() { woken <- struct{}{} }) })
		require.Eventually(t, func() bool {
			b.call(`'acme', 'a', '1'`)
			return len(woken) > 0
		}, waiting, tick, strings.Fields(url)[0])
	}
}
