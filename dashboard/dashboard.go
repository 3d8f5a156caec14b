package dashboard

import (
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/gorilla/mux"
)

// Options are the dependencies and the settings of a Dashboard. API and SigningKeys are required.
type Options struct {
	// API answers the HTTP API of this process.
	API http.Handler
	// ClientAddress tells where a request came from, for the limit of attempts to sign in; the zero address: it is not known.
	ClientAddress func(*http.Request) netip.Addr
	// SigningKeys sign the cookies: the first signs, all are accepted. Each has 32 bytes or more.
	SigningKeys [][]byte
	// PublicURL is where people reach this Waybill; "": it is not known. With https cookies are sent over TLS only.
	PublicURL string
	// TemporalURL is the base of Temporal's Web UI, and TemporalNamespace where the workflows are; "": pages have no links to it.
	TemporalURL, TemporalNamespace string
	// FrameAncestors are the origins that may show a portal session in a frame. None: nobody may.
	FrameAncestors []string
	// Logger gets failures; nil: nothing is logged.
	Logger *slog.Logger
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

func (o *Options) setDefaults() {
	if o.ClientAddress == nil {
		o.ClientAddress = func(*http.Request) netip.Addr { return netip.Addr{} }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// Dashboard serves the pages.
type Dashboard struct {
	opts     Options
	log      *slog.Logger
	assets   assets
	pages    pages
	attempts *attempts
	dialects dialects
	streams  *streams
	// tailEvery is how often a live tail looks; tests look oftener.
	tailEvery time.Duration
	secure    bool
	handler   http.Handler
}

// New returns a Dashboard that is ready to serve.
func New(o Options) *Dashboard {
	o.setDefaults()
	d := &Dashboard{opts: o, log: o.Logger, assets: readAssets(), attempts: newAttempts(), streams: newStreams(), tailEvery: tailEvery}
	d.pages = readPages(d.assets)
	if at, err := url.Parse(o.PublicURL); err == nil {
		d.secure = at.Scheme == "https"
	}
	// A form of another site must not act for a person who is signed in here. The cookie is not sent along either, except where a
	// portal may be shown in a frame.
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(d.serve(route{visitors: anybody, page: d.refuseForged}))
	d.handler = protection.Handler(d.router())
	return d
}

// ServeHTTP answers one request.
func (d *Dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) { d.handler.ServeHTTP(w, r) }

// Close ends the background work. The dashboard may not be used afterwards.
func (d *Dashboard) Close() {
	d.EndStreams()
	d.attempts.close()
}

// visitors says who may open a page.
type visitors int

const (
	anybody    visitors = iota
	signedIn            // any session
	ofTenant            // a session that may see the tenant of the path
	publishers          // of these, one with the scope publish
	tenantKeys          // of these, one with the scope manage that did not come by a portal link
	operators           // the administrator's sessions
)

// page answers one request of a person; an error that it returns is shown as a page.
type page func(c *call) error

type route struct {
	method, path string
	visitors     visitors
	page         page
}

// tenantPath begins the paths of everything that belongs to a tenant.
const tenantPath = "/tenants/{tenant}"

// routes lists the pages, a line each.
func (d *Dashboard) routes() []route {
	return slices.Concat(
		tenantRoutes(),
		endpointRoutes(),
		deliveryRoutes(),
		eventRoutes(),
		keyRoutes(),
		auditRoutes(),
		settingsRoutes(),
		quarantineRoutes(),
		ownRoutes(),
	)
}

// ownRoutes lists the pages of signing in, of the start and of what all pages share.
func ownRoutes() []route {
	return []route{
		{"GET", "/", signedIn, showStart},
		{"GET", "/sign-in", anybody, showSignIn},
		{"POST", "/sign-in", anybody, signIn},
		{"POST", "/sign-out", anybody, signOut},
		{"GET", "/portal/{token}", anybody, showPortal},
		{"POST", "/portal", anybody, openPortal},
	}
}

func (d *Dashboard) router() http.Handler {
	m := mux.NewRouter()
	for _, rt := range d.routes() {
		methods := []string{rt.method}
		if rt.method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
		m.Handle(rt.path, d.serve(rt)).Methods(methods...)
	}
	m.PathPrefix("/assets/").Handler(d.assets).Methods(http.MethodGet, http.MethodHead)
	m.NotFoundHandler = d.serve(route{visitors: anybody, page: showNotFound})
	m.MethodNotAllowedHandler = m.NotFoundHandler
	return m
}

// Pages returns the paths that answer GET, as the router has them, such as /tenants/{tenant}/endpoints. A test opens them all.
func Pages() []string {
	var paths []string
	for _, rt := range (&Dashboard{}).routes() {
		if rt.method == http.MethodGet {
			paths = append(paths, rt.path)
		}
	}
	return paths
}
