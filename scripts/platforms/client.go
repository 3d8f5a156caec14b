// Package platforms sets up the demonstration through Waybill's own API: a tenant for each dialect, endpoints at the
// demo receiver, and the dialects' example events.
package platforms

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Client calls a Waybill as its administrator.
type Client struct {
	base, key string
	http      *http.Client
}

// NewClient returns a client of the API at base, such as http://127.0.0.1:8080.
func NewClient(base, key string) *Client {
	return &Client{base: base, key: key, http: &http.Client{Timeout: 15 * time.Second}}
}

// SignInLink returns a link that opens the dashboard once, with the administrator's rights.
func (c *Client) SignInLink(ctx context.Context) (string, error) {
	var link struct{ URL string }
	if err := c.Call(ctx, http.MethodPost, "/v1/sign-in-links", struct{}{}, &link); err != nil {
		return "", err
	}
	return link.URL, nil
}

// statusError is an answer that is not 2xx.
type statusError struct {
	method, path string
	status       int
	body         string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s %s answered %d: %s", e.method, e.path, e.status, e.body)
}

// Call sends in as JSON, unless it is nil, and reads the answer into out, unless that is nil.
func (c *Client) Call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("call Waybill (is it up? start it with make run): %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("%s %s: read the answer: %w", method, path, err)
	}
	if res.StatusCode/100 != 2 {
		return &statusError{method: method, path: path, status: res.StatusCode, body: string(answer)}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s %s: read the answer: %w", method, path, err)
	}
	return nil
}
