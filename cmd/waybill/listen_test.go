package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/postgres/postgrestest"
)

// A process whose address another one has ends before it has begun any work.
func TestServe_AddressInUse(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, taken.Close()) })
	schema := postgrestest.Schema(t)
	for variable, commands := range map[string][]string{
		"WAYBILL_LISTEN": {"serve", "api"}, "WAYBILL_WORKER_LISTEN": {"worker"}, "WAYBILL_METRICS_LISTEN": {"serve"}, "WAYBILL_PPROF_LISTEN": {"worker"},
	} {
		for _, command := range commands {
			code, _, messages := called(t, tested(postgrestest.URL(t), schema, "WAYBILL_LISTEN=127.0.0.1:0", variable+"="+taken.Addr().String()), command)
			require.Equal(t, 1, code, messages)
			require.Contains(t, messages, "waybill: "+variable+": ")
			require.Contains(t, messages, "address already in use")
			require.NotContains(t, messages, "mail is off", "the worker has begun")
		}
	}
}

// A process that is told to stop while it starts begins nothing, and ends as every process that was told so.
func TestServe_StoppedAtTheStart(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, command := range []string{"serve", "worker"} {
		messages := &bytes.Buffer{}
		code := run(ctx, invocation{
			args: []string{command}, environ: tested("postgres://u:p@127.0.0.1:1/w", "public", "WAYBILL_LISTEN=localhost:0", "WAYBILL_WORKER_LISTEN=localhost:0"),
			in: strings.NewReader(""), out: io.Discard, err: messages,
		})
		require.Zero(t, code, messages)
		require.NotContains(t, messages.String(), "mail is off", "the worker has begun")
	}
}

// Two addresses of one process that are the same are wrong settings. Those of which a command uses only one are not.
func TestConfig_Addresses(t *testing.T) {
	t.Parallel()
	for _, same := range [][2]string{
		{"WAYBILL_METRICS_LISTEN=127.0.0.1:8080", "WAYBILL_METRICS_LISTEN is the address of WAYBILL_LISTEN too: choose another port"},
		{"WAYBILL_METRICS_LISTEN=:8080", "WAYBILL_METRICS_LISTEN is the address of WAYBILL_LISTEN too"},
		{"WAYBILL_PPROF_LISTEN=0.0.0.0:8080", "WAYBILL_PPROF_LISTEN is the address of WAYBILL_LISTEN too"},
		{"WAYBILL_PPROF_LISTEN=[::]:8080", "WAYBILL_PPROF_LISTEN is the address of WAYBILL_LISTEN too"},
		{"WAYBILL_PPROF_LISTEN=6060", `WAYBILL_PPROF_LISTEN is host:port such as 127.0.0.1:6060, not "6060"`},
	} {
		_, err := parse(nil, good(same[0]))
		require.ErrorContains(t, err, same[1])
	}
	for _, apart := range []string{
		"WAYBILL_METRICS_LISTEN=127.0.0.2:8080", "WAYBILL_METRICS_LISTEN=127.0.0.1:9464", "WAYBILL_WORKER_LISTEN=127.0.0.1:8080", "WAYBILL_METRICS_LISTEN=[::1]:8080",
	} {
		_, err := parse(nil, good(apart))
		require.NoError(t, err, apart)
	}
	_, err := parse(nil, good("WAYBILL_LISTEN=127.0.0.1:0", "WAYBILL_METRICS_LISTEN=127.0.0.1:0"))
	require.NoError(t, err, "some free port each")
	worker := map[string]string{
		"WAYBILL_DATABASE_URL": "postgres://127.0.0.1/w", "WAYBILL_ENCRYPTION_KEYS": testKey, "WAYBILL_METRICS_LISTEN": "127.0.0.1:8080",
	}
	_, err = readSettings("worker", worker)
	require.NoError(t, err, "a worker does not listen at WAYBILL_LISTEN")
	worker["WAYBILL_WORKER_LISTEN"] = ":8080"
	_, err = readSettings("worker", worker)
	require.ErrorContains(t, err, "WAYBILL_METRICS_LISTEN is the address of WAYBILL_WORKER_LISTEN too")
}
