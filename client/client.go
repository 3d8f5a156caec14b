package client

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Defaults of a Client.
const (
	// DefaultTimeout is how long one request of a call may take. It is longer than the API waits for a receiver that it tests.
	DefaultTimeout = 90 * time.Second
	// DefaultRetries is how often a call is repeated at most.
	DefaultRetries = 4
	// DefaultRetryTime is how long after its begin a call may be repeated.
	DefaultRetryTime = time.Minute
)

// MaxAnswerBytes is the largest answer that is read. The API's own are far smaller.
const MaxAnswerBytes = 16 << 20

// Client calls the API of one Waybill with one key. It is safe for concurrent use.
type Client struct {
	base      string
	key       string
	userAgent string
	http      *http.Client
	timeout   time.Duration
	retries   int
	retryTime time.Duration
}

// Option changes a Client that New makes.
type Option func(*Client)

// WithHTTPClient takes the transport of h, for a proxy or certificates of your own. Redirects are refused whatever h says of them,
// and its cookie jar is not used.
func WithHTTPClient(h *http.Client) Option {
	return func(c *Client) { c.http.Transport = h.Transport }
}

// WithTLS sets how the server is verified and how the client proves itself.
func WithTLS(config *tls.Config) Option {
	return func(c *Client) {
		t := newTransport()
		t.TLSClientConfig = config
		c.http.Transport = t
	}
}

// WithUserAgent puts a product before the client's own in the header User-Agent.
func WithUserAgent(product string) Option {
	return func(c *Client) { c.userAgent = product + " " + c.userAgent }
}

// WithTimeout sets how long one request of a call may take; the context bounds the whole call.
func WithTimeout(d time.Duration) Option { return func(c *Client) { c.timeout = d } }

// WithRetries sets how often a call is repeated at most, and how long after its begin; 0 repeats nothing.
func WithRetries(n int, within time.Duration) Option {
	return func(c *Client) { c.retries, c.retryTime = n, within }
}

// New returns a client of the Waybill at an address such as https://waybill.example. key is an API key or the token of a session;
// "" is for what needs none, such as GetHealth. It fails when the address or the key cannot be one, and never shows the key.
func New(address, key string, options ...Option) (*Client, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, errors.New("client: the address is not a URL")
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return nil, fmt.Errorf("client: the address is like https://waybill.example, not %q", u.Redacted())
	case u.User != nil, u.RawQuery != "", u.Fragment != "":
		return nil, fmt.Errorf("client: the address has no user, query or fragment: %q", u.Redacted())
	}
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("client: the key has a space, a line break or another character that no key has")
	}
	c := &Client{
		base: strings.TrimSuffix(u.String(), "/"), key: key, userAgent: "waybill-go/1",
		timeout: DefaultTimeout, retries: DefaultRetries, retryTime: DefaultRetryTime,
		http: &http.Client{
			Transport: newTransport(),
			// Whoever redirects would get the key.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	for _, option := range options {
		option(c)
	}
	return c, nil
}

func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   32,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
}

// CallOption changes one call.
type CallOption func(*callOptions)

type callOptions struct {
	header http.Header
	answer *http.Header
}

// WithIdempotencyKey makes a call safe to repeat under a key of your own, also by another process: see the API's Idempotency-Key. Without
// it, each call of an operation that takes one has a random one.
func WithIdempotencyKey(key string) CallOption { return withHeader("Idempotency-Key", key) }

// WithIfMatch makes a change only if the resource still has the ETag. Otherwise the error has the code ErrorCodePreconditionFailed.
func WithIfMatch(etag string) CallOption { return withHeader("If-Match", etag) }

// WithRequestID names the call in the logs of the server.
func WithRequestID(id string) CallOption { return withHeader("X-Request-Id", id) }

// WithAnswerHeader stores the headers of the answer, for ETag, Location and Idempotent-Replayed.
func WithAnswerHeader(into *http.Header) CallOption { return func(o *callOptions) { o.answer = into } }

// check refuses headers that cannot be sent, however often one tries.
func (o *callOptions) check() error {
	for name, values := range o.header {
		if strings.ContainsFunc(values[0], func(r rune) bool { return r < ' ' || r > '~' }) {
			return fmt.Errorf("%s has a line break or another character that no header has", name)
		}
	}
	return nil
}

func withHeader(name, value string) CallOption {
	return func(o *callOptions) { o.header.Set(name, value) }
}
