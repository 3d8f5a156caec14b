package api

import (
	"cmp"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/maypok86/otter/v2"
	"github.com/prometheus/client_golang/prometheus"

	"waybill/webhook"
)

// Default limits of request bodies.
const (
	DefaultMaxBodyBytes  = 256 << 10
	DefaultMaxBatchBytes = 8 << 20
)

// DefaultMaxInflightBytes bounds the request bodies that are held at one time. What is made of a body takes several times
// its size. With 64 publishers of batches of 500 this bound got 22,000 events/s through, 16 MiB 12,000 and none 4,000: the
// garbage collector was busy keeping to its limit.
const DefaultMaxInflightBytes = 8 << 20

// How long this process may go on using what it has read, after another process changed it.
const (
	keyStaleness    = 2 * time.Second
	tenantStaleness = time.Second
)

// Options are the parts and the settings of a Server. Store, Engine, Schemas and Dialects are required.
type Options struct {
	Store    Store
	Engine   Engine
	Schemas  webhook.Schemas
	Dialects map[string]*webhook.Dialect

	// AdminKey may do everything. Empty: nobody is admin.
	AdminKey string
	// AllowHTTP lets endpoints be http where the dialect asks for https.
	AllowHTTP bool
	// CheckAddress refuses a host and port that no endpoint may have, such as a literal private address; its text goes to the
	// caller. Nil: no check. It must not resolve names: the transport judges addresses at dial time.
	CheckAddress func(host string, port uint16) error
	// Backlog sheds publications while too many events wait; nil: it never does.
	Backlog Backlog
	// MaxBodyBytes bounds a request body, and each event of a batch; 0: DefaultMaxBodyBytes.
	MaxBodyBytes int64
	// MaxBatchBytes bounds the body of a batch; 0: DefaultMaxBatchBytes.
	MaxBatchBytes int64

	// MaxInflightBytes bounds the bytes of request bodies held at one time, from their arrival until the answer; one body
	// may go beyond it. What finds no room is answered CodeOverloaded. 0: DefaultMaxInflightBytes.
	MaxInflightBytes int64

	// OpenAPI is YAML, served at /openapi.yaml and as JSON at /openapi.json.
	OpenAPI []byte
	// Metrics serves /metrics; nil: no such route.
	Metrics http.Handler
	// Registerer takes the API's own metrics; nil: they are counted and shown nowhere.
	Registerer prometheus.Registerer
	// Failpoint is called at "before-reply" of accepted events, for tests that kill the process there.
	Failpoint func(name string)
	// Logger defaults to one that discards.
	Logger *slog.Logger

	// Now, NewUUID (version 7) and Random default to the machine's.
	Now     func() time.Time
	NewUUID func() [16]byte
	Random  io.Reader
}

func (o *Options) setDefaults() {
	o.MaxBodyBytes = cmp.Or(o.MaxBodyBytes, DefaultMaxBodyBytes)
	o.MaxBatchBytes = cmp.Or(o.MaxBatchBytes, DefaultMaxBatchBytes)
	o.MaxInflightBytes = cmp.Or(o.MaxInflightBytes, DefaultMaxInflightBytes)
	o.Random = cmp.Or(o.Random, rand.Reader)
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
	// reserved are headers that no endpoint may add, of whichever dialect it is.
	reserved map[string]bool
	log      *slog.Logger
	opts     Options
	adminKey *keyHash // nil: nobody is admin

	inflight *inflight
	metrics  *metrics
	handler  http.Handler
	// openAPIJSON makes the document once.
	openAPIJSON func() ([]byte, error)
	keys        *otter.Cache[keyHash, *webhook.APIKey]
	tenants     *otter.Cache[string, *webhook.Tenant]
}

// New returns a Server that is ready to serve.
func New(o Options) *Server { return newServer(o, (*Server).routes) }

// NewOperation returns a Server of nothing but what watches over a process: /healthz, /readyz, /metrics. Of the parts it
// needs Store and Engine.
func NewOperation(o Options) *Server { return newServer(o, (*Server).operationRoutes) }

func newServer(o Options, list func(*Server) []route) *Server {
	o.setDefaults()
	s := &Server{
		store: o.Store, engine: o.Engine, backlog: o.Backlog, schemas: o.Schemas, dialects: o.Dialects, reserved: webhook.ReservedHeaders(o.Dialects), log: o.Logger, opts: o,
		keys:    newCache[keyHash, *webhook.APIKey](10_000, keyStaleness),
		tenants: newCache[string, *webhook.Tenant](10_000, tenantStaleness),
	}
	if o.AdminKey != "" {
		hash := hashKey(o.AdminKey)
		s.adminKey = &hash
	}
	s.opts.AdminKey = ""
	s.inflight = newInflight(o.MaxInflightBytes)
	s.openAPIJSON = jsonOf(o.OpenAPI)
	routes := list(s)
	s.metrics = newMetrics(o.Registerer, routes, s.inflight)
	s.handler = s.observe(s.router(routes))
	return s
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Close ends the caches' background work. The server may not be used afterwards.
func (s *Server) Close() {
	s.keys.StopAllGoroutines()
	s.tenants.StopAllGoroutines()
}

func newCache[K comparable, V any](size int, staleness time.Duration) *otter.Cache[K, V] {
	return otter.Must(&otter.Options[K, V]{
		MaximumSize:      size,
		ExpiryCalculator: otter.ExpiryWriting[K, V](staleness),
	})
}

// now is the moment that is stored and shown: UTC, in the microseconds that the database keeps.
func (s *Server) now() time.Time { return s.opts.Now().UTC().Truncate(time.Microsecond) }
