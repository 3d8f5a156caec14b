package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/client"
)

// batchAPI takes batches, at most so many events each, and fails for good at the nth batch, 0: never.
func batchAPI(t *testing.T, most int, failAt int64, sizes *[]int) *httptest.Server {
	var batches atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Events []struct{ ID string } }
		raw, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(raw, &in)
		problem := func(status int, code string) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"type":"about:blank","title":"t","status":%d,"detail":"no","code":%q}`, status, code)
		}
		if len(in.Events) > most {
			problem(413, "payload_too_large")
			return
		}
		if batches.Add(1) == failAt {
			problem(403, "forbidden")
			return
		}
		*sizes = append(*sizes, len(in.Events))
		w.Header().Set("Content-Type", "application/json")
		results := make([]string, len(in.Events))
		for i, e := range in.Events {
			results[i] = fmt.Sprintf(`{"status":202,"id":%q,"deliveries":[]}`, e.ID)
		}
		fmt.Fprintf(w, `{"results":[%s]}`, strings.Join(results, ","))
	}))
	t.Cleanup(s.Close)
	return s
}

func batchOf(t *testing.T, url, in string) result {
	return newPerson(t, "WAYBILL_URL="+url, "WAYBILL_KEY=k").run(t, in, "batch", "--tenant", "acme")
}

// Batches have at most 500 lines, and what the server does not take at once is halved.
func TestBatch_Sizes(t *testing.T) {
	t.Parallel()
	var sizes []int
	r := batchOf(t, batchAPI(t, 300, 0, &sizes).URL, strings.Repeat(`{"type":"a.b","data":1}`+"\n", 1001))
	require.Zero(t, r.code, r.messages)
	require.Equal(t, "1001 published, 0 had been before, 0 failed.\n", r.out)
	require.Equal(t, []int{250, 250, 250, 250, 1}, sizes)

	sizes = nil
	line := `{"type":"a.b","data":"` + strings.Repeat("x", 1<<20) + `"}` + "\n"
	r = batchOf(t, batchAPI(t, 500, 0, &sizes).URL, strings.Repeat(line, 6))
	require.Zero(t, r.code, r.messages)
	require.Equal(t, []int{4, 2}, sizes, "what is held is bounded in bytes too")
}

// The longest line is taken and one that is longer is told, without being held.
func TestBatch_LongLine(t *testing.T) {
	t.Parallel()
	var sizes []int
	head, tail := `{"type":"a.b","data":"`, `"}`+"\n"
	longest := head + strings.Repeat("x", maxLine-len(head)-len(tail)) + tail
	r := batchOf(t, batchAPI(t, 500, 0, &sizes).URL, longest+head+strings.Repeat("x", maxLine+1-len(head)-len(tail))+tail+`{"type":"a.b","data":1}`)
	require.Equal(t, 1, r.code)
	require.Equal(t, "2 published, 0 had been before, 1 failed.\n", r.out)
	require.Contains(t, r.messages, "line 2: the line is longer than 2 MiB")
}

// A batch that the server refuses ends the run, which says how far it came and what to do.
func TestBatch_Stops(t *testing.T) {
	t.Parallel()
	var sizes []int
	r := batchOf(t, batchAPI(t, 500, 2, &sizes).URL, strings.Repeat(`{"type":"a.b","data":1}`+"\n", 1200))
	require.Equal(t, 1, r.code)
	require.Equal(t, "500 published, 0 had been before, 0 failed.\n", r.out)
	require.Contains(t, r.messages, "It stopped after line 500. Run it again with the same input")
}

// A line that no server can read stops no other.
func TestBatch_LinesThatAreNoEvents(t *testing.T) {
	t.Parallel()
	var sizes []int
	good := `{"type":"a.b","data":"é"}` + "\n"
	r := batchOf(t, batchAPI(t, 300, 0, &sizes).URL, good+`{"type":"a.b","data":"`+"\xff"+`"}`+"\n"+"[]\n\"x\"\nnull\n"+good)
	require.Equal(t, ExitFailed, r.code)
	require.Equal(t, []int{2}, sizes)
	require.Equal(t, "2 published, 0 had been before, 4 failed.\n", r.out)
	for _, line := range []string{
		"line 2: a byte is not UTF-8\n", "line 3: not an event, which is a JSON object: array\n", "line 4: not an event, which is a JSON object: string\n",
		"line 5: the event has no type\n",
	} {
		require.Contains(t, r.messages, line)
	}
}

// Events that the server cannot take at the moment are sent again, alone, and do not count as failed.
func TestBatch_SendsAgain(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	var ids sync.Map
	var sizes []int
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Events []struct{ ID string } }
		raw, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(raw, &in)
		sizes = append(sizes, len(in.Events))
		n := asked.Add(1)
		var results []string
		for i, e := range in.Events {
			_, repeated := ids.LoadOrStore(e.ID, true)
			switch {
			case n < 3 && i%2 == 1:
				ids.Delete(e.ID)
				results = append(results, `{"status":503,"problem":{"type":"about:blank","title":"t","status":503,"detail":"the database is not available","code":"unavailable","request_id":"r"}}`)
			default:
				results = append(results, fmt.Sprintf(`{"status":202,"id":%q,"deliveries":[],"repeated":%t}`, e.ID, repeated))
			}
		}
		if n == 2 { // the answer is lost
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"results":[%s]}`, strings.Join(results, ","))
	}))
	t.Cleanup(s.Close)
	in := strings.Repeat(`{"type":"a.b","data":1}`+"\n", 4)
	p := newPerson(t, "WAYBILL_URL="+s.URL, "WAYBILL_KEY=k")
	for _, args := range [][]string{{}, {"--new-ids"}} {
		asked.Store(0)
		sizes = nil
		r := p.run(t, in, append([]string{"batch", "--tenant", "acme"}, args...)...)
		require.Zero(t, r.code, r.messages)
		require.Equal(t, "3 published, 1 had been before, 0 failed.\n", r.out, "the lost answer's event is known by its id")
		require.Equal(t, []int{4, 2, 2}, sizes)
	}
	n := 0
	ids.Range(func(any, any) bool { n++; return true })
	require.Equal(t, 8, n)
}

// What the server does not take in all the time ends the run, which waits aloud.
func TestBatch_Patience(t *testing.T) {
	t.Parallel()
	url := steps{"POST /v1/tenants/a/events/batch": {`{"results":[{"status":503,"problem":{"status":503,"detail":"not now","code":"unavailable","request_id":"r"}}]}`}}.serve(t)
	w, err := client.New(url, "k")
	require.NoError(t, err)
	var said strings.Builder
	b := &batch{
		ctx: t.Context(), client: w, tenant: "a", env: Env{Err: &said}, progress: &progress{out: &said}, patience: 500 * time.Millisecond, quiet: 10 * time.Millisecond,
	}
	err = b.run(strings.NewReader(`{"type":"a.b","data":1}`))
	require.ErrorContains(t, err, "not now (unavailable, 503, request r)\nIt stopped after line 0. Run it again with the same input")
	require.Contains(t, said.String(), "0 published, 0 failed; waiting for Waybill to take what follows line 0")
	require.Zero(t, b.counts.Failed)

	b.newIDs = true
	require.ErrorContains(t, b.stopped(io.ErrUnexpectedEOF), "The same input again would publish all of it again")
}

// An interrupted command ends, also while it waits for its input.
func TestCommands_InterruptedInput(t *testing.T) {
	t.Parallel()
	url := steps{"GET /none": {"{}"}}.serve(t)
	for _, args := range [][]string{
		{"batch", "--tenant", "a"}, {"publish", "--tenant", "a", "--type", "x.y", "--data", "-"}, {"tenants", "create", "a", "--json", "-"},
		{"profiles", "add", "a", "--url", url}, {"verify", "--secret", "x", "--capture", "-"},
	} {
		t.Run(args[0], func(t *testing.T) {
			t.Parallel()
			in, out := io.Pipe()
			t.Cleanup(func() { _ = out.Close() })
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			r := newPerson(t, "WAYBILL_URL="+url, "WAYBILL_KEY=k").runIn(ctx, in, args...)
			require.Equal(t, 1, r.code)
			require.Contains(t, r.messages, "interrupted")
		})
	}
}
