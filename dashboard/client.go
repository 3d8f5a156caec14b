package dashboard

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"sync"

	"waybill/webhook"
)

// problem is what the API answers when it refuses, which people can read.
type problem struct {
	Status    int                  `json:"status"`
	Title     string               `json:"title"`
	Detail    string               `json:"detail"`
	Code      webhook.Code         `json:"code"`
	RequestID string               `json:"request_id"`
	Fields    []webhook.FieldError `json:"errors"`
}

// Error returns the title and the detail.
func (p *problem) Error() string { return p.Title + ": " + p.Detail }

// status is that of a page which shows the problem; nil: the usual one.
func (p *problem) status() int {
	if p == nil {
		return 0
	}
	return p.Status
}

func notFound(detail string) error {
	return &problem{Status: http.StatusNotFound, Title: "There is no such page", Detail: detail, Code: webhook.CodeNotFound}
}

func isStatus(err error, status int) bool {
	var p *problem
	return errors.As(err, &p) && p.Status == status
}

// list is a page of the API's lists.
type list[T any] struct {
	Data       []T    `json:"data"`
	NextCursor string `json:"next_cursor"`
}

// path is the path of a resource of the tenant in the API.
func (c *call) path(parts ...string) string {
	return "/v1" + c.Href(parts...) // pages have the paths of what they show
}

// get reads a resource of the API into out.
func (c *call) get(path string, query url.Values, out any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.ask(http.MethodGet, path, nil, nil, out)
}

// send asks the API to change something. in is the body, nil for none; the answer is read into out unless that is nil.
func (c *call) send(method, path string, in, out any) error {
	return c.sendWith(method, path, nil, in, out)
}

// postOnce posts with an Idempotency-Key, so that a form which is sent twice does what it asks once.
func (c *call) postOnce(path, once string, in, out any) error {
	return c.sendWith(http.MethodPost, path, http.Header{"Idempotency-Key": {once}}, in, out)
}

// sendWith is send with headers.
func (c *call) sendWith(method, path string, header http.Header, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("write a request to the API: %w", err)
		}
	}
	sent := http.Header{"Content-Type": {"application/json"}}
	maps.Copy(sent, header)
	return c.ask(method, path, sent, body, out)
}

// getTagged is get that also returns the ETag of what it read.
func (c *call) getTagged(path string, out any) (etag string, err error) {
	a, err := c.answerTo(http.MethodGet, path, nil, nil)
	if err != nil {
		return "", err
	}
	return a.header.Get("ETag"), a.read(out)
}

// ask calls the API in this process with the rights of the session and the address of the person. What the API refuses is a *problem.
func (c *call) ask(method, path string, header http.Header, body []byte, out any) error {
	a, err := c.answerTo(method, path, header, body)
	if err != nil {
		return err
	}
	return a.read(out)
}

func (c *call) answerTo(method, path string, header http.Header, body []byte) (*answer, error) {
	r, err := http.NewRequestWithContext(c.r.Context(), method, path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask the API: %w", err)
	}
	r.RequestURI, r.RemoteAddr, r.Host, r.TLS = path, c.r.RemoteAddr, c.r.Host, c.r.TLS
	for name, values := range header {
		r.Header[name] = values
	}
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "User-Agent"} {
		if values := c.r.Header.Values(name); len(values) > 0 {
			r.Header[name] = values
		}
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	answer := &answer{header: http.Header{}}
	c.opts.API.ServeHTTP(answer, r)
	return answer, nil
}

// answer keeps what the API answers.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header returns the answer's header.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader keeps the first status.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write keeps the body.
func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}

func (a *answer) read(out any) error {
	if a.status >= http.StatusBadRequest {
		p := &problem{}
		if err := json.Unmarshal(a.body.Bytes(), p); err != nil || p.Status == 0 {
			return fmt.Errorf("the API answered %d: %.200s", a.status, a.body.Bytes())
		}
		return p
	}
	if out == nil || a.body.Len() == 0 {
		return nil
	}
	if err := json.Unmarshal(a.body.Bytes(), out); err != nil {
		return fmt.Errorf("read the API's answer: %w", err)
	}
	return nil
}

// dialects keeps what GET /v1/dialects tells: it does not change while the process runs.
type dialects struct {
	mu    sync.Mutex
	known map[string]*webhook.Dialect
}

// get returns a dialect by its name.
func (d *dialects) get(c *call, name string) (*webhook.Dialect, error) {
	d.mu.Lock()
	known := d.known[name]
	d.mu.Unlock()
	if known != nil {
		return known, nil
	}
	var found webhook.Dialect
	// Nobody waits for another one's answer: it may take long, or end with the page that asked.
	if err := c.get("/v1/dialects/"+url.PathEscape(name), nil, &found); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil {
		d.known = map[string]*webhook.Dialect{}
	}
	d.known[name] = &found // there are as many as files of dialects
	return &found, nil
}
