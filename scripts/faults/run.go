package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// run is one running scenario: its tenant, its load, and what was done to the processes.
type run struct {
	*world
	scenario  *scenario
	rnd       *rand.Rand
	tenant    string
	dir       string
	ids       map[string]string // endpoints by name
	receivers *receivers
	sent      *ledger
	answers   *ledger
	arrivals  *ledger
	disables  *ledger
	// server is the first to be started, up when the scenario begins.
	server *server
	http   *http.Client
	// front, when set, is asked in place of the server.
	front atomic.Pointer[string]

	mu      sync.Mutex
	kills   int
	windows []window
}

// window is a time in which a request may have gone without its record.
type window struct{ from, to time.Time }

// reach is how long before the end of a process a request that it never recorded may have arrived.
const reach = 3 * time.Second

// killed notes the end of a process without warning.
func (r *run) killed(at time.Time) { r.outage(at, at.Add(time.Second)) }

// outage notes that something was killed and when it was back.
func (r *run) outage(from, to time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kills++
	r.windows = append(r.windows, window{from.Add(-reach), to})
}

// newRun starts a server and makes the scenario's tenant and endpoints.
func (w *world) newRun(ctx context.Context, sc *scenario, seed uint64) (*run, error) {
	w.runs++
	r := &run{
		world: w, scenario: sc, rnd: rand.New(rand.NewPCG(seed, uint64(w.runs))), ids: map[string]string{},
		tenant: fmt.Sprintf("faults-%d-%d", seed%1_000_000, w.runs), http: &http.Client{Timeout: 15 * time.Second},
	}
	r.dir = filepath.Join(w.dir, r.tenant)
	if err := os.Mkdir(r.dir, 0o700); err != nil {
		return nil, err
	}
	if err := r.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare %s: %w", sc.name, err), w.endServers())
	}
	return r, nil
}

func (r *run) path(name string) string { return filepath.Join(r.dir, name) }

func (r *run) open(ctx context.Context) (err error) {
	if err := r.openLedgers(ctx); err != nil {
		return err
	}
	if r.server, err = r.startServer(ctx, cmp.Or(r.scenario.command, "serve"), r.scenario.env...); err != nil {
		return err
	}
	return r.subscribe(ctx)
}

// openLedgers begins what is written down, and the receiver.
func (r *run) openLedgers(ctx context.Context) (err error) {
	for name, l := range map[string]**ledger{"sent": &r.sent, "answers": &r.answers, "arrivals": &r.arrivals, "disables": &r.disables} {
		if *l, err = openLedger(r.path(name)); err != nil {
			return err
		}
	}
	r.receivers, err = newReceivers(ctx, r.arrivals, r.authority)
	return err
}

// subscribe makes the tenant and the endpoints.
func (r *run) subscribe(ctx context.Context) error {
	tenant := map[string]any{"id": r.tenant, "name": r.tenant, "dialect": "standard"}
	if err := r.call(ctx, "POST", "/v1/tenants", tenant, nil); err != nil {
		return err
	}
	for _, b := range r.scenario.endpoints {
		url, err := r.receivers.listen(ctx, &b)
		if err != nil {
			return err
		}
		in := map[string]any{"url": url, "event_types": []string{eventType}, "retry": map[string]any{"schedule": b.schedule}}
		if b.headers != nil {
			in["headers"] = b.headers
		}
		if b.autoDisable != nil {
			in["auto_disable"] = b.autoDisable
		}
		if b.timeout != "" {
			in["timeout"] = b.timeout
		}
		var created struct{ ID, Secret string }
		if err := r.call(ctx, "POST", "/v1/tenants/"+r.tenant+"/endpoints", in, &created); err != nil {
			return err
		}
		r.ids[b.name] = created.ID
		if err := r.receivers.add(&b, created.Secret); err != nil {
			return err
		}
	}
	return nil
}

// perform runs the scenario under load, lets everything settle and judges.
func (r *run) perform(ctx context.Context) (*verdict, error) {
	if r.scenario.story != nil {
		v, err := r.scenario.story(ctx, r)
		if err = errors.Join(err, r.close()); err != nil {
			return nil, fmt.Errorf("%s: %w", r.scenario.name, err)
		}
		return v, nil
	}
	if r.scenario.before != nil {
		if err := r.scenario.before(ctx, r); err != nil {
			return nil, errors.Join(fmt.Errorf("prepare %s: %w", r.scenario.name, err), r.close())
		}
	}
	loading, stop := context.WithCancel(ctx)
	var load sync.WaitGroup
	failed := make(chan error, 1)
	load.Go(func() { failed <- r.submit(loading) })
	err := r.scenario.faults(ctx, r)
	stop()
	load.Wait()
	if err = errors.Join(err, <-failed); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", r.scenario.name, err), r.close())
	}
	ended := time.Now()
	unsettled := r.settle(ctx)
	settled := time.Since(ended)
	if err := r.close(); err != nil {
		return nil, fmt.Errorf("%s: %w", r.scenario.name, err)
	}
	v, err := r.judge(ctx)
	if err == nil && r.scenario.also != nil {
		err = r.scenario.also(ctx, r, v)
	}
	if err != nil {
		return nil, fmt.Errorf("judge %s: %w", r.scenario.name, err)
	}
	v.settled = settled
	if unsettled != nil {
		v.wrong("not settled: %s", unsettled)
	}
	return v, nil
}

// settle waits until no delivery of the tenant is unsettled.
func (r *run) settle(ctx context.Context) error {
	limit := r.scenario.settleWithin
	if limit == 0 {
		limit = 4 * time.Minute
	}
	query := `SELECT (SELECT count(*) FROM ` + r.table("deliveries") + ` WHERE tenant_id = $1 AND status IN ('pending', 'retrying')),
		(SELECT count(*) FROM ` + r.table("dispatches") + ` d JOIN ` + r.table("events") + ` e ON e.id = d.event_key WHERE e.tenant_id = $1)
		+ (SELECT count(*) FROM ` + r.table("outbox") + ` WHERE tenant_id = $1)`
	return until(ctx, limit, func() error {
		var open, waiting int
		if err := r.db.QueryRowContext(ctx, query, r.tenant).Scan(&open, &waiting); err != nil {
			return err
		}
		if open+waiting > 0 {
			return fmt.Errorf("%d deliveries are open and %d events are not dispatched", open, waiting)
		}
		return nil
	})
}

// close ends the processes, those that may still send first, and the ledgers last.
func (r *run) close() error {
	err := errors.Join(r.endServers(), r.receivers.close(), r.sent.close(), r.answers.close(), r.arrivals.close(), r.disables.close())
	r.http.CloseIdleConnections()
	return err
}

// call calls the API as the administrator and reads the answer into out, unless that is nil.
func (r *run) call(ctx context.Context, method, path string, in, out any) error {
	status, answer, err := r.ask(ctx, "http://"+r.address(0), method, path, in)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if status/100 != 2 {
		return fmt.Errorf("%s %s answered %d: %s", method, path, status, answer)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}

// ask calls the API at base and returns its status and answer. headers are names and values in turn.
func (r *run) ask(ctx context.Context, base, method, path string, in any, headers ...string) (int, []byte, error) {
	body, ok := in.([]byte)
	if !ok && in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return 0, nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, base+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+r.apiKey)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := r.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	return res.StatusCode, answer, err
}
