package activities

import (
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"net/http"
	"time"

	"github.com/maypok86/otter/v2"

	"waybill/webhook"
)

// Bounds of the connections of endpoints with a client certificate.
const (
	maxCertified     = 500
	certifiedFor     = 10 * time.Minute // since they were last used
	idleCertified    = 32
	perHostCertified = 32
)

// Identity is the client certificate of one endpoint.
type Identity struct {
	Endpoint webhook.EndpointID
	// Certificate is a chain and Key its private key, both in PEM form.
	Certificate string
	Key         webhook.Secret
}

// certified are connections that present a client certificate. Each endpoint has its own: a connection that one endpoint has proved
// itself on must not carry what is for another, even if both name the same host.
type certified struct {
	pools *otter.Cache[certifiedKey, *http.Transport]
}

// certifiedKey names an endpoint with one of its certificates. The hash is of certificate and key, so that a change of either begins
// new connections.
type certifiedKey struct {
	endpoint webhook.EndpointID
	hash     [sha256.Size]byte
}

func newCertified() *certified {
	return &certified{otter.Must(&otter.Options[certifiedKey, *http.Transport]{
		MaximumSize:      maxCertified,
		ExpiryCalculator: otter.ExpiryAccessing[certifiedKey, *http.Transport](certifiedFor),
		// What is under way ends as usual, and its connections are closed soon after, because they are idle then.
		OnDeletion: func(e otter.DeletionEvent[certifiedKey, *http.Transport]) { e.Value.CloseIdleConnections() },
	})}
}

// connections returns those that a request goes through.
func (t *Transport) connections(tenant string, of *Identity) (*http.Transport, error) {
	through := t.direct
	if own, ok := t.own[tenant]; ok {
		through = own
	}
	if of == nil {
		return through.http, nil
	}
	return t.certified.of(of, through.dialer)
}

func (c *certified) of(who *Identity, d *dialer) (*http.Transport, error) {
	key := certifiedKey{who.Endpoint, sha256.Sum256([]byte(who.Certificate + "\x00" + who.Key.Reveal()))}
	if known, ok := c.pools.GetIfPresent(key); ok {
		return known, nil
	}
	certificate, err := tls.X509KeyPair([]byte(who.Certificate), []byte(who.Key.Reveal()))
	if err != nil {
		return nil, errors.New("the endpoint's client certificate cannot be used") // it was checked when it was stored
	}
	fresh := newHTTP(d.presenting(&certificate))
	fresh.MaxIdleConns, fresh.MaxIdleConnsPerHost = idleCertified, perHostCertified
	pool, _ := c.pools.SetIfAbsent(key, fresh)
	return pool, nil
}

func (c *certified) closeIdle() {
	for _, pool := range c.pools.All() {
		pool.CloseIdleConnections()
	}
}
