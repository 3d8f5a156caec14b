package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"time"
)

// operation is one operation of the API with the values of a call.
type operation struct {
	method, path string
	// ids stand in the path, in turn.
	ids []any
	// query is a pointer to a struct of parameters; nil: none.
	query any
	// body becomes JSON; nil: none.
	body any
	// keyed says that the operation takes an Idempotency-Key.
	keyed bool
	// repeatable says that a repeated call changes nothing more, although its method promises nothing.
	repeatable bool
}

// optional makes a nil pointer a missing body.
func optional[T any](body *T) any {
	if body == nil {
		return nil
	}
	return body
}

// call makes a call and reads the answer as T.
func call[T any](ctx context.Context, c *Client, op *operation, options []CallOption) (*T, error) {
	text, err := callBytes(ctx, c, op, options)
	if err != nil {
		return nil, err
	}
	out := new(T)
	if _, none := any(out).(*struct{}); none && len(text) == 0 {
		return out, nil
	}
	if err := parse(text, out); err != nil {
		return nil, fmt.Errorf("client: %s %s: %w", op.method, op.path, err)
	}
	return out, nil
}

// parse reads an answer. Nothing and null, which somebody else than Waybill answers, are no empty answer.
func parse(text []byte, into any) error {
	err := json.Unmarshal(text, into)
	if err == nil && string(bytes.TrimSpace(text)) == "null" {
		err = errors.New("it is null")
	}
	if err != nil {
		return fmt.Errorf("the answer is not what Waybill answers: %w", err)
	}
	return nil
}

// callBytes makes a call, repeats it where that is safe and helps, and returns the body of the answer.
func callBytes(ctx context.Context, c *Client, op *operation, options []CallOption) ([]byte, error) {
	o := &callOptions{header: http.Header{}}
	if op.keyed {
		o.header.Set("Idempotency-Key", rand.Text())
	}
	for _, option := range options {
		option(o)
	}
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("client: %s %s: %w", op.method, op.path, err)
	}
	target, err := op.target()
	if err != nil {
		return nil, err
	}
	body, err := encode(op.body)
	if err != nil {
		return nil, fmt.Errorf("client: %s %s: %w", op.method, op.path, err)
	}
	r := &request{client: c, method: op.method, url: c.base + target, header: o.header, body: body}
	safe := op.safe(o.header)
	for begin, n := time.Now(), 0; ; n++ {
		a, err := r.send(ctx)
		if err == nil {
			err = a.err()
		}
		if err == nil {
			if o.answer != nil {
				*o.answer = a.header
			}
			return a.body, nil
		}
		wait, again := retry(err, n, safe)
		if !again || n >= c.retries || time.Since(begin)+wait > c.retryTime || !sleep(ctx, wait) {
			return nil, fmt.Errorf("client: %s %s: %w", op.method, op.path, err)
		}
	}
}

// encode writes JSON without the escapes that are for HTML, so that data arrives as it is.
func encode(body any) ([]byte, error) {
	if body == nil {
		return nil, nil
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(body); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// target is the path with its ids, and the query.
func (op *operation) target() (string, error) {
	var path strings.Builder
	rest := op.path
	for _, id := range op.ids {
		before, after, _ := strings.Cut(rest, "{")
		name, after, _ := strings.Cut(after, "}")
		text := fmt.Sprint(id)
		// A path with such a segment is another one.
		if text == "" || text == "." || text == ".." {
			return "", fmt.Errorf("client: %s %s: %q is no id of %s", op.method, op.path, text, name)
		}
		path.WriteString(before + url.PathEscape(text))
		rest = after
	}
	path.WriteString(rest)
	if query := values(op.query); len(query) > 0 {
		path.WriteString("?" + query.Encode())
	}
	return path.String(), nil
}

// values reads a struct of parameters by its tags. A map has a parameter for each of its names.
func values(params any) url.Values {
	out := url.Values{}
	v := reflect.ValueOf(params)
	if !v.IsValid() || v.IsNil() {
		return out
	}
	for i := range v.Elem().NumField() {
		name, field := v.Elem().Type().Field(i).Tag.Get("query"), v.Elem().Field(i)
		if field.IsZero() {
			continue
		}
		if field.Kind() == reflect.Map {
			for _, member := range field.MapKeys() {
				out.Set(name+member.String(), field.MapIndex(member).String())
			}
			continue
		}
		switch value := reflect.Indirect(field).Interface().(type) {
		case time.Time:
			out.Set(name, value.Format(time.RFC3339Nano))
		default:
			out.Set(name, fmt.Sprint(value))
		}
	}
	return out
}

// request is an HTTP request that can be sent more than once.
type request struct {
	client      *Client
	method, url string
	header      http.Header
	body        []byte
}

// answer is what the server answered.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// send makes one request. The error is of the network.
func (r *request) send(ctx context.Context) (*answer, error) {
	within, cancel := context.WithTimeout(ctx, r.client.timeout)
	defer cancel()
	var body io.Reader
	if r.body != nil {
		body = bytes.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(within, r.method, r.url, body)
	if err != nil {
		return nil, err
	}
	req.Header = r.header.Clone()
	req.Header.Set("User-Agent", r.client.userAgent)
	req.Header.Set("Accept", "application/json, application/problem+json, */*;q=0.1")
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.client.key != "" {
		req.Header.Set("Authorization", "Bearer "+r.client.key)
	}
	res, err := r.client.http.Do(req)
	if err != nil {
		return nil, cause(ctx, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, MaxAnswerBytes+1))
	if err != nil {
		return nil, cause(ctx, err)
	}
	if len(text) > MaxAnswerBytes {
		return nil, errTooLarge
	}
	return &answer{res.StatusCode, res.Header, text}, nil
}

// errTooLarge is about an answer that is not of Waybill.
var errTooLarge = fmt.Errorf("the answer is larger than %d MiB", MaxAnswerBytes>>20)

// cause says that the caller's context ended, where that is why a request did.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return err
}

// is reports whether the answer is of a media type.
func (a *answer) is(mediaType string) bool {
	given, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	return err == nil && given == mediaType
}
