package postgres_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"waybill/postgres/postgrestest"
	"waybill/webhook"
)

// canceledWait is what Postgres says when it was asked to cancel while a COMMIT waited for the synchronous standby.
var canceledWait = message('N', "SWARNING", "VWARNING", "C01000", "Mcanceling wait for synchronous replication due to user request",
	"DThe transaction has already committed locally, but might not have been replicated to the standby.", "Fsyncrep.c", "L313", "RSyncRepWaitForLSN")

// message is a message of Postgres' protocol with fields.
func message(kind byte, fields ...string) []byte {
	var body []byte
	for _, f := range fields {
		body = append(append(body, f...), 0)
	}
	body = append(body, 0)
	out := binary.BigEndian.AppendUint32([]byte{kind}, uint32(4+len(body)))
	return append(out, body...)
}

// before puts the warning before each of these messages of the server.
func before(marks ...[]byte) func([]byte) []byte {
	return func(b []byte) []byte {
		for _, mark := range marks {
			b = bytes.ReplaceAll(b, mark, append(bytes.Clone(canceledWait), mark...))
		}
		return b
	}
}

// What the primary stored and the standby did not confirm counts as not made: nobody is told that it was.
func TestStore_StandbyDoesNotConfirm(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	d := b.delivery()
	p, o := b.proxied(t)
	p.start(t)
	o.MaxConns = 4
	s := postgrestest.Open(t, o)
	prepareCalls(t.Context(), s, d)
	told := len(b.accepted)
	committed := []byte("C\x00\x00\x00\x0bCOMMIT\x00")
	ended := []byte("Z\x00\x00\x00\x05I") // the end of what was no part of a transaction
	p.change(before(committed, ended))
	for name, call := range calls(t.Context(), s, d) {
		if name == "Ping" || name == "History" { // they change nothing, and History finds nothing before its transaction ends
			continue
		}
		err := call()
		requireCode(t, webhook.CodeUnavailable, err)
		require.ErrorContains(t, err, "standby did not confirm", name)
	}
	require.Len(t, b.accepted, told, "no workflow is started")
	p.change(nil)
	id := uuid.NewString()
	_, err := s.Accept(t.Context(), publication("acme", id))
	require.NoError(t, err, "the connections go on")
}
