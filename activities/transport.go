package activities

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"waybill/webhook"
)

// MaxResponseBody is how much of an answer's body is read and kept. The rest is not read.
const MaxResponseBody = 16 << 10

// Limits of the transport. Without a hook for 1xx answers, net/http counts their headers towards
// maxResponseHeaderBytes as well, which ends a flood of them.
const (
	maxResponseHeaderBytes = 64 << 10
	maxIdleConns           = 2048
	maxIdleConnsPerHost    = 32
	// idleConnTimeout is shorter than the time for which receivers keep idle connections (Node: 5 s). Otherwise a receiver
	// could close a connection just when it is reused, and that attempt would fail, because a request is never sent twice
	// within an attempt.
	idleConnTimeout = 4 * time.Second
	// spareBodyTime is how long, within the timeout, a body is read that does not change the outcome, so that it does not
	// occupy a slot that other attempts wait for.
	spareBodyTime = time.Second
	pingAfter     = 15 * time.Second
	pingTimeout   = 10 * time.Second
)

// TransportOptions are an operator's rules for outbound calls.
type TransportOptions struct {
	Rules AddressRules
	// RootCAs are certificates in PEM form that are trusted in addition to the system's.
	RootCAs []byte
	// Proxy makes the connections, by CONNECT: an http or https URL that may have a user name and a password. Nil: receivers are
	// called directly.
	Proxy *url.URL
	// Resolver resolves the names of receivers; nil: the system's.
	Resolver *net.Resolver
}

// Transport makes every outbound call but mail. It dials only addresses that the guard allows, follows no redirects, uses no
// proxy but the operator's, decompresses nothing, verifies certificates, requires TLS 1.2, and reads at most 64 KiB of headers
// and MaxResponseBody of the body. It is safe for concurrent use.
type Transport struct {
	direct
	// own are the connections of tenants that have allowed networks of their own. No other tenant may use them.
	own map[string]direct
	// certified are the connections of endpoints with a client certificate.
	certified *certified
}

// direct are connections without a client certificate, and what makes them.
type direct struct {
	http   *http.Transport
	dialer *dialer
}

// NewTransport returns a Transport. The error names the invalid option.
func NewTransport(o TransportOptions) (*Transport, error) {
	if err := o.Rules.Validate(); err != nil {
		return nil, err
	}
	d, err := newDialer(newGuard(o.Rules, ""), o.RootCAs)
	if err != nil {
		return nil, err
	}
	d.net.Resolver = o.Resolver
	if o.Proxy != nil {
		if d.proxy, err = newProxy(o.Proxy, d.tls); err != nil {
			return nil, err
		}
	}
	t := &Transport{direct: direct{newHTTP(d), d}, own: map[string]direct{}, certified: newCertified()}
	for _, n := range o.Rules.Allow {
		if _, known := t.own[n.Tenant]; n.Tenant != "" && !known {
			own := d.guarded(newGuard(o.Rules, n.Tenant))
			t.own[n.Tenant] = direct{newHTTP(own), own}
		}
	}
	return t, nil
}

// newHTTP returns connections that the dialer makes.
func newHTTP(d *dialer) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	return &http.Transport{
		Proxy:                  nil, // a proxy from the environment would bypass the guard
		DialContext:            d.dialPlain,
		DialTLSContext:         d.dialTLS,
		DisableCompression:     true,
		MaxIdleConns:           maxIdleConns,
		MaxIdleConnsPerHost:    maxIdleConnsPerHost,
		IdleConnTimeout:        idleConnTimeout,
		MaxResponseHeaderBytes: maxResponseHeaderBytes,
		Protocols:              protocols,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}
}

// Request is one outbound request.
type Request struct {
	// Method is "" for POST.
	Method string
	// Tenant is whose allowed networks may be called besides everybody's.
	Tenant string
	URL    string
	// Headers are sent with their spelling. Of two with the same name the later one is sent.
	Headers []webhook.Header
	Body    []byte
	// Timeout covers dial, TLS, headers and body; 0: webhook.MaxTimeout.
	Timeout time.Duration
	// Identity is presented to a receiver that asks for a client certificate; nil: none is.
	Identity *Identity
	// HeadersSuffice makes the answer count once its headers have arrived. The part of the body that arrives soon after is
	// still read.
	HeadersSuffice bool
}

// Response is the result of a Request: an answer, or the reason why none arrived.
type Response struct {
	// StatusCode is 0 when no answer arrived.
	StatusCode int
	// RetryAfter is the delay that the Retry-After header asks for, at most webhook.MaxRetryDelay; 0: none.
	RetryAfter time.Duration
	Headers    http.Header
	// Body is the beginning of the answer's body, up to MaxResponseBody. Truncated says that the body is longer, or broke off.
	Body      []byte
	Truncated bool
	// ErrorClass is set when no answer arrived, and, unless HeadersSuffice, when a 2xx answer broke off or was not complete
	// in time. Error then says why. It contains no part of the URL, no header value and no address of this network.
	ErrorClass webhook.ErrorClass
	Error      string
	// Fault says that nothing was sent because of a fault on this side, of the operator's proxy. The receiver has no part in it,
	// so that it is no attempt. Nil: there was none. Only Started and Duration are set besides.
	Fault    error
	Started  time.Time
	Duration time.Duration
}

// CloseIdle closes idle connections.
func (t *Transport) CloseIdle() {
	t.http.CloseIdleConnections()
	for _, own := range t.own {
		own.http.CloseIdleConnections()
	}
	t.certified.closeIdle()
}

// Send makes the request. The Response tells failures too.
func (t *Transport) Send(ctx context.Context, r Request) Response {
	if r.Timeout <= 0 {
		r.Timeout = webhook.MaxTimeout
	}
	started := time.Now()
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	x := exchange{timeout: r.Timeout}
	if t.dialer.proxy != nil {
		ctx = context.WithValue(ctx, exchangeKey{}, &x)
	}
	out := t.send(x.watch(ctx), cancel, r, &x)
	out.Started, out.Duration = started, time.Since(started)
	return out
}

func (t *Transport) send(ctx context.Context, cancel func(), r Request, x *exchange) Response {
	req, err := newRequest(ctx, r)
	if err != nil {
		return x.failure(ctx, err)
	}
	through, err := t.connections(r.Tenant, r.Identity)
	if err != nil {
		return Response{ErrorClass: webhook.ErrorAuth, Error: err.Error()}
	}
	resp, err := through.RoundTrip(req)
	if p := (*panicError)(nil); errors.As(err, &p) {
		panic(p) // a panic of the dialing goroutine is not the receiver's failure
	}
	if err != nil {
		return x.failure(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode < 100 { // net/http takes 000 to 099, which are no status codes
		return Response{ErrorClass: webhook.ErrorProtocol, Error: "the answer is not valid HTTP: its status code is below 100"}
	}
	out := Response{
		StatusCode: resp.StatusCode,
		RetryAfter: parseRetryAfter(resp.Header.Get("Retry-After"), time.Now()),
		Headers:    resp.Header,
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return out // its body is the raw connection
	}
	if r.HeadersSuffice {
		defer time.AfterFunc(spareBodyTime, cancel).Stop()
	}
	out.Body, out.Truncated, err = readBody(resp.Body)
	if err != nil && !r.HeadersSuffice && resp.StatusCode >= 200 && resp.StatusCode <= 299 {
		// Only a complete 2xx answer acknowledges. A failure needs no body.
		out.ErrorClass, out.Error = x.classify(ctx, err)
	}
	return out
}

func (x *exchange) failure(ctx context.Context, err error) Response {
	if fault := x.fault(ctx, err); fault != nil {
		return Response{Fault: fault}
	}
	class, text := x.classify(ctx, err)
	return Response{ErrorClass: class, Error: text}
}

// readBody reads one byte past the limit. This detects a longer body and reaches the end of one that fits, which is
// required for reusing the connection. A body that broke off is truncated too.
func readBody(r io.Reader) (body []byte, truncated bool, err error) {
	body, err = io.ReadAll(io.LimitReader(r, MaxResponseBody+1))
	if len(body) > MaxResponseBody {
		return body[:MaxResponseBody], true, nil
	}
	return body, err != nil, err
}

func newRequest(ctx context.Context, r Request) (*http.Request, error) {
	u, err := url.Parse(r.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, &blockedError{text: "the endpoint's URL is not an absolute http or https URL"}
	}
	if _, err := strconv.ParseUint(u.Port(), 10, 16); u.Port() != "" && err != nil {
		return nil, &blockedError{text: "the endpoint's URL has a port that is none"}
	}
	u.User = nil
	req, err := http.NewRequestWithContext(ctx, cmp.Or(r.Method, http.MethodPost), u.String(), nil)
	if err != nil {
		return nil, errors.New("the request cannot be built")
	}
	// The body is not nil, even when it is empty, and net/http cannot get a second copy of it. So net/http never repeats
	// the request, neither after GOAWAY or REFUSED_STREAM nor because of an Idempotency-Key header.
	req.Body, req.ContentLength, req.GetBody = io.NopCloser(bytes.NewReader(r.Body)), int64(len(r.Body)), nil
	setHeaders(req.Header, r.Headers)
	return req, nil
}

func setHeaders(h http.Header, headers []webhook.Header) {
	spelled := make(map[string]string, len(headers))
	for _, x := range headers {
		name := http.CanonicalHeaderKey(x.Name)
		delete(h, spelled[name])
		spelled[name] = x.Name
		if name == "User-Agent" {
			spelled[name] = name // net/http would add its own header next to another spelling
		}
		h[spelled[name]] = []string{x.Value}
	}
	if spelled["User-Agent"] == "" {
		h["User-Agent"] = []string{"Waybill"}
	}
}
