package api

import (
	"cmp"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/google/uuid"
	"github.com/maypok86/otter/v2"
	"github.com/prometheus/client_golang/prometheus"

	"waybill/tracing"
	"waybill/webhook"
)

// Default limits of request bodies.
const (
	DefaultMaxBodyBytes  = 256 << 10
	DefaultMaxBatchBytes = 8 << 20
)

// DefaultMaxInflightBytes bounds the requests that are held at one time, by the bytes of their bodies. The values decoded from a body take
// several times its size. 64 publishers of batches of 500 reached 22,000 events/s with this bound, 12,000 with 16 MiB and 4,000
// without one, because the garbage collector worked against its memory limit.
const DefaultMaxInflightBytes = 8 << 20

// How long this process may use cached values after another process changed them.
const (
	keyStaleness    = 2 * time.Second
	tenantStaleness = time.Second
	// unknownStaleness only bounds how long a key that is unknown takes up room.
	unknownStaleness = time.Minute
)

// Options are the dependencies and the settings of a Server. Store, Engine, Schemas and Dialects are required.
type Options struct {
	Store    Store
	Engine   Engine
	Schemas  webhook.Schemas
	Dialects map[string]*webhook.Dialect

	// Operational are the event types that the operator's tenant has besides its dialect's.
	Operational []webhook.EventType

	// AdminKeys allow everything. None: there is no admin.
	AdminKeys []AdminKey
	// KeyRate is how many requests a second each key of a tenant may send, and at once after a pause; 0: no limit.
	KeyRate int
	// TrustedProxies are believed when they say in X-Forwarded-For where a request came from.
	TrustedProxies []netip.Prefix
	// AllowHTTP allows http endpoints where the dialect requires https.
	AllowHTTP bool
	// CheckAddress refuses a host and port that no endpoint of the tenant may have, such as a literal private address; its
	// error text is shown to the caller. Nil: no check. It must not resolve names: the transport checks addresses at dial time.
	CheckAddress func(tenant, host string, port uint16) error
	// EgressAddresses are where deliveries come from, for receivers that let in known addresses only. Empty: nothing is known.
	EgressAddresses []netip.Prefix
	// Backlog refuses publications while too many events wait; nil: no limit.
	Backlog Backlog
	// MaxBodyBytes bounds a request body, and each event of a batch; 0: DefaultMaxBodyBytes.
	MaxBodyBytes int64
	// MaxBatchBytes bounds the body of a batch; 0: DefaultMaxBatchBytes.
	MaxBatchBytes int64

	// MaxInflightBytes bounds the requests held at one time, from their arrival until the answer, by the bytes of their bodies and at least
	// 8 KiB each; one body may exceed it. A request that finds no room gets CodeOverloaded. 0: DefaultMaxInflightBytes.
	MaxInflightBytes int64

	// PublicURL is where people reach this Waybill, without a slash at its end; "": links begin with what the request that makes them
	// was sent to.
	PublicURL string

	// Retention is how long events and deliveries are kept; 0: webhook.DefaultRetention.
	Retention time.Duration

	// Version is which Waybill this is, as people name it; "": unknown.
	Version string

	// OpenAPI is YAML, served at /openapi.yaml and as JSON at /openapi.json.
	OpenAPI []byte
	// Metrics serves /metrics, with the API to the administrator only; nil: no such route.
	Metrics http.Handler
	// Registerer registers the API's metrics; nil: they are not exported.
	Registerer prometheus.Registerer
	// Tracer starts the spans of publications; nil: there are none.
	Tracer *tracing.Tracer
	// Failpoint is called at "before-reply" of accepted events, and at "after-create" of what a POST made, for tests that kill the
	// process there.
	Failpoint func(name string)
	// Logger gets failures and who did what; nil: nothing is logged.
	Logger *slog.Logger

	// Now is the clock, NewUUID makes UUIDv7s, and Random is the source of secrets; nil: time.Now, uuid.NewV7 and
	// crypto/rand.
	Now     func() time.Time
	NewUUID func() [16]byte
	Random  io.Reader
}

// AdminKey is a key of an administrator. Its name tells in the log which one was used; "": it has none.
type AdminKey struct{ Name, Key string }

// admin is an AdminKey as it is kept.
type admin struct {
	name string
	hash keyHash
}

func (o *Options) setDefaults() {
	o.MaxBodyBytes = cmp.Or(o.MaxBodyBytes, DefaultMaxBodyBytes)
	o.MaxBatchBytes = cmp.Or(o.MaxBatchBytes, DefaultMaxBatchBytes)
	o.MaxInflightBytes = cmp.Or(o.MaxInflightBytes, DefaultMaxInflightBytes)
	o.Version = cmp.Or(o.Version, "unknown")
	o.Random = cmp.Or(o.Random, rand.Reader)
	o.Retention = cmp.Or(o.Retention, webhook.DefaultRetention)
	if o.Backlog == nil {
		o.Backlog = noBacklog{}
	}
	if o.Failpoint == nil {
		o.Failpoint = func(string) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.NewUUID == nil {
		o.NewUUID = func() [16]byte { return uuid.Must(uuid.NewV7()) }
	}
}

// Server answers the HTTP API.
type Server struct {
	store    Store
	engine   Engine
	backlog  Backlog
	schemas  webhook.Schemas
	dialects map[string]*webhook.Dialect
	// reserved are headers that no endpoint of any dialect may add.
	reserved map[string]bool
	log      *slog.Logger
	opts     Options
	admins   []admin

	inflight *inflight
	// tests are the calls that wait for a test to be attempted, or for the answer to a challenge.
	tests *testShares
	// checks are the requests whose signatures are being verified.
	checks  chan struct{}
	metrics *metrics
	handler http.Handler
	// openAPIJSON makes the document once.
	openAPIJSON func() ([]byte, error)
	keys        *otter.Cache[keyHash, *webhook.APIKey]
	sessions    *otter.Cache[keyHash, *session]
	// unknown are keys and sessions that the database does not have. They never become valid.
	unknown *otter.Cache[keyHash, struct{}]
	uses    *keyUses
	tenants *otter.Cache[string, *webhook.Tenant]
	// keySets are encoded sets of public keys, by tenant.
	keySets *otter.Cache[string, []byte]
}

// New returns a Server that is ready to serve.
func New(o Options) *Server {
	s := newServer(o, (*Server).routes)
	s.uses.write(s.store, s.log)
	return s
}

// NewOperation returns a Server with only the routes for operating a process: /healthz, /readyz and /metrics, for anybody who
// reaches it. It needs only Store and Engine.
func NewOperation(o Options) *Server {
	return newServer(o, func(s *Server) []route { return s.operationRoutes(public) })
}

func newServer(o Options, list func(*Server) []route) *Server {
	o.setDefaults()
	s := &Server{
		store: o.Store, engine: o.Engine, backlog: o.Backlog, schemas: o.Schemas, dialects: o.Dialects, reserved: webhook.ReservedHeaders(o.Dialects), log: o.Logger, opts: o,
		keys:     newCache[keyHash, *webhook.APIKey](10_000, keyStaleness),
		sessions: newCache[keyHash, *session](10_000, keyStaleness),
		unknown:  newCache[keyHash, struct{}](10_000, unknownStaleness),
		tenants:  newCache[string, *webhook.Tenant](10_000, tenantStaleness),
		uses:     newKeyUses(o.KeyRate),
		keySets:  newKeySets(),
	}
	for _, k := range o.AdminKeys {
		s.admins = append(s.admins, admin{k.Name, hashKey(k.Key)})
	}
	s.opts.AdminKeys = nil
	s.inflight = newInflight(o.MaxInflightBytes)
	s.tests = newTestShares()
	s.checks = make(chan struct{}, maxChecks)
	s.openAPIJSON = jsonOf(o.OpenAPI)
	routes := list(s)
	s.metrics = newMetrics(o.Registerer, s.inflight)
	s.handler = s.observe(s.router(routes))
	return s
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Close records the last uses of keys and ends the caches' background work. The server may not be used afterwards.
func (s *Server) Close() {
	s.uses.close()
	s.keys.StopAllGoroutines()
	s.sessions.StopAllGoroutines()
	s.unknown.StopAllGoroutines()
	s.tenants.StopAllGoroutines()
	s.keySets.StopAllGoroutines()
	s.tests.close()
}

func newCache[K comparable, V any](size int, staleness time.Duration) *otter.Cache[K, V] {
	return otter.Must(&otter.Options[K, V]{
		MaximumSize:      size,
		ExpiryCalculator: otter.ExpiryWriting[K, V](staleness),
	})
}

// now is the current time in UTC, in microseconds, which is the precision of the database.
func (s *Server) now() time.Time { return s.opts.Now().UTC().Truncate(time.Microsecond) }
