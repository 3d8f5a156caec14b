package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	// eventType is every event's.
	eventType = "bench.happened"
	// dataSize is the length of every event's data in bytes.
	dataSize = 512
)

// apiClient calls Waybill's API as its administrator, over connections that are kept.
type apiClient struct {
	base, key string
	http      *http.Client
}

func newAPIClient(base, key string) *apiClient {
	return &apiClient{base: base, key: key, http: newHTTPClient(time.Minute)}
}

// newHTTPClient returns a client that keeps as many connections as are ever in use.
func newHTTPClient(timeout time.Duration) *http.Client {
	const conns = 256
	return &http.Client{Timeout: timeout, Transport: &http.Transport{MaxIdleConns: 0, MaxIdleConnsPerHost: conns}}
}

func (c *apiClient) close() { c.http.CloseIdleConnections() }

// send makes one call and returns the body of its answer, which is an error unless it is 2xx.
func (c *apiClient) send(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("call Waybill: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: read the answer: %w", method, path, err)
	}
	if res.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s answered %d: %s", method, path, res.StatusCode, answer)
	}
	return answer, nil
}

// call sends in as JSON, unless it is nil, and reads the answer into out, unless that is nil.
func (c *apiClient) call(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
	}
	answer, err := c.send(ctx, method, path, body)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s %s: read the answer: %w", method, path, err)
	}
	return nil
}

// createTenant creates a tenant whose retry schedule is the given one; none means the dialect's.
func (c *apiClient) createTenant(ctx context.Context, id string, express bool, schedule ...string) error {
	tenant := map[string]any{"id": id, "name": id, "dialect": "standard", "express": express}
	if len(schedule) > 0 {
		tenant["retry"] = map[string]any{"schedule": schedule}
	}
	return c.call(ctx, http.MethodPost, "/v1/tenants", tenant, nil)
}

// createEndpoint creates an endpoint for the events of the other cases and returns its id.
func (c *apiClient) createEndpoint(ctx context.Context, tenant, url string) (string, error) {
	return c.createEndpointFor(ctx, tenant, url, eventType)
}

func (c *apiClient) createEndpointFor(ctx context.Context, tenant, url, eventType string) (string, error) {
	var created struct {
		ID string `json:"id"`
	}
	in := map[string]any{"url": url, "event_types": []string{eventType}}
	err := c.call(ctx, http.MethodPost, "/v1/tenants/"+tenant+"/endpoints", in, &created)
	return created.ID, err
}

// eventBody returns the request that publishes one event.
func eventBody(eventType string) []byte {
	return fmt.Appendf(nil, `{"type":%q,"data":%s}`, eventType, eventData())
}

// eventData returns the data of every event, of dataSize bytes.
func eventData() string {
	return `{"text":"` + strings.Repeat("x", dataSize-len(`{"text":""}`)) + `"}`
}

// publisher returns a call that publishes one event.
func (c *apiClient) publisher(tenant string) publish {
	path, body := "/v1/tenants/"+tenant+"/events", eventBody(eventType)
	return func(ctx context.Context) ([]eventID, int, error) {
		answer, err := c.send(ctx, http.MethodPost, path, body)
		if err != nil {
			return nil, 1, err
		}
		var r receipt
		if err := json.Unmarshal(answer, &r); err != nil {
			return nil, 1, fmt.Errorf("read a receipt: %w", err)
		}
		return []eventID{r.ID}, 0, nil
	}
}

// publishing is batchPublisher, or publisher where batch is 0.
func (c *apiClient) publishing(tenant string, batch int) publish {
	if batch > 0 {
		return c.batchPublisher(tenant, batch)
	}
	return c.publisher(tenant)
}

// batchPublisher returns a call that publishes a batch of events.
func (c *apiClient) batchPublisher(tenant string, size int) publish {
	return c.batchOf(tenant, eventType, size)
}

// batchOf returns a call that publishes a batch of events of a type.
func (c *apiClient) batchOf(tenant, eventType string, size int) publish {
	events := bytes.Repeat(append(eventBody(eventType), ','), size)
	path, body := "/v1/tenants/"+tenant+"/events/batch", fmt.Appendf(nil, `{"events":[%s]}`, bytes.TrimSuffix(events, []byte(",")))
	return func(ctx context.Context) ([]eventID, int, error) {
		answer, err := c.send(ctx, http.MethodPost, path, body)
		if err != nil {
			return nil, size, err
		}
		return readBatch(answer)
	}
}

type receipt struct {
	ID eventID `json:"id"`
}

// readBatch returns the events of a batch that were accepted, how many were not, and why the first of those was not.
func readBatch(answer []byte) (ids []eventID, refused int, first error) {
	var batch struct {
		Results []struct {
			Status int `json:"status"`
			receipt
			Problem json.RawMessage `json:"problem"`
		} `json:"results"`
	}
	if err := json.Unmarshal(answer, &batch); err != nil {
		return nil, 0, fmt.Errorf("read the results of a batch: %w", err)
	}
	if len(batch.Results) == 0 {
		return nil, 0, errors.New("a batch was answered without results")
	}
	for _, r := range batch.Results {
		if r.Status == http.StatusAccepted {
			ids = append(ids, r.ID)
			continue
		}
		if refused++; first == nil {
			first = fmt.Errorf("an event of a batch was refused: %s", r.Problem)
		}
	}
	return ids, refused, first
}
