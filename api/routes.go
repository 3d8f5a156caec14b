package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gorilla/mux"

	"waybill/webhook"
)

// access says who may use a route: anybody, any valid key, the admin, or a key of the path's tenant with a scope.
type access string

const (
	public    access = "public"
	anyKey    access = "any"
	adminOnly access = "admin"
	publish          = access(webhook.ScopePublish)
	read             = access(webhook.ScopeRead)
	manage           = access(webhook.ScopeManage)

	// A portal session may use what ends in this, with the scope: no other route. So who adds a route decides.
	withPortals = "+portal"

	anyPortal    = anyKey + withPortals
	readPortal   = read + withPortals
	managePortal = manage + withPortals
)

// ofKeys is who may use a route but for portal sessions.
func (a access) ofKeys() access { return access(strings.TrimSuffix(string(a), withPortals)) }

// forPortals reports whether a portal session may use a route.
func (a access) forPortals() bool { return strings.HasSuffix(string(a), withPortals) }

// handler answers one request; the error it returns is written by Server.Error.
type handler func(w http.ResponseWriter, r *http.Request, c *call) error

type route struct {
	method, path string
	access       access
	handle       handler
}

// checkQuery refuses parameters of the query where a route changes something and has none: one that is misspelled, or is meant as a
// condition, must not be ignored. Routes with parameters check them themselves.
func (rt route) checkQuery(r *http.Request) error {
	reads := rt.method == http.MethodGet || rt.method == http.MethodDelete && (rt.path == tenantPath || rt.path == keyPath)
	if reads || r.URL.RawQuery == "" {
		return nil
	}
	return newQuery(r).err()
}

// Paths that several routes share.
const (
	tenantPath    = "/v1/tenants/{tenant}"
	keyPath       = tenantPath + "/keys/{key}"
	endpointPath  = tenantPath + "/endpoints/{endpoint}"
	eventTypePath = tenantPath + "/event-types/{type}"
	deliveryPath  = tenantPath + "/deliveries/{delivery}"
)

// routes lists the API, a line each. A route below {tenant} finds the tenant and its dialect in its call.
func (s *Server) routes() []route {
	return slices.Concat(s.publishRoutes(), s.operationRoutes(adminOnly), s.secretRoutes(), s.adminRoutes(), []route{
		{"GET", "/openapi.yaml", public, s.getOpenAPI},
		{"GET", "/openapi.json", public, s.getOpenAPIJSON},

		{"GET", "/v1/dialects", anyPortal, s.listDialects},
		{"GET", "/v1/dialects/{dialect}", anyPortal, s.getDialect},

		{"GET", "/v1/egress", anyPortal, s.getEgress},

		{"POST", "/v1/sessions", anyKey, s.createSession},
		{"GET", "/v1/session", anyPortal, s.getSession},
		{"DELETE", "/v1/session", anyPortal, s.endSession},
		{"POST", "/v1/sign-in-links", adminOnly, s.createSignInLink},
		{"POST", "/v1/portal-sessions", public, s.openLink},
		{"POST", tenantPath + "/portal-links", manage, s.createPortalLink},

		{"POST", "/v1/tenants", adminOnly, s.createTenant},
		{"GET", "/v1/tenants", adminOnly, s.listTenants},
		{"GET", tenantPath, readPortal, s.getTenant},
		{"PATCH", tenantPath, manage, s.updateTenant},
		{"DELETE", tenantPath, adminOnly, s.eraseTenant},

		{"POST", tenantPath + "/keys", manage, s.createKey},
		{"GET", tenantPath + "/keys", manage, s.listKeys},
		{"DELETE", keyPath, manage, s.revokeKey},
		{"POST", keyPath + "/rotate", manage, s.rotateKey},

		{"GET", tenantPath + "/event-types", readPortal, s.listEventTypes},
		{"GET", eventTypePath, readPortal, s.getEventType},
		{"PUT", eventTypePath, manage, s.putEventType},
		{"DELETE", eventTypePath, manage, s.deleteEventType},

		{"POST", tenantPath + "/endpoints", managePortal, s.createEndpoint},
		{"GET", tenantPath + "/endpoints", readPortal, s.listEndpoints},
		{"GET", endpointPath, readPortal, s.getEndpoint},
		{"PATCH", endpointPath, managePortal, s.updateEndpoint},
		{"DELETE", endpointPath, managePortal, s.deleteEndpoint},
		{"POST", endpointPath + "/disable", managePortal, s.disableEndpoint},
		{"POST", endpointPath + "/enable", managePortal, s.enableEndpoint},
		{"POST", endpointPath + "/test", managePortal, s.testEndpoint},
		{"POST", endpointPath + "/verify", managePortal, s.verifyEndpoint},
		{"POST", endpointPath + "/verify-signature", readPortal, s.verifySignature},
		{"GET", endpointPath + "/public-key", readPortal, s.getPublicKey},
		{"GET", tenantPath + "/.well-known/jwks.json", public, s.getKeySet},
		{"GET", endpointPath + "/stats", readPortal, s.getEndpointStats},
		{"GET", tenantPath + "/stats", readPortal, s.getTenantStats},

		{"GET", tenantPath + "/events", readPortal, s.listEvents},
		{"GET", tenantPath + "/events/{event}", readPortal, s.getEvent},
		{"DELETE", tenantPath + "/events/{event}", manage, s.eraseEvent},
		{"GET", tenantPath + "/events/{event}/deliveries", readPortal, s.listEventDeliveries},
		{"GET", tenantPath + "/events/{event}/history", readPortal, s.getHistory},

		{"GET", tenantPath + "/deliveries", readPortal, s.listDeliveries},
		{"GET", deliveryPath, readPortal, s.getDelivery},
		{"POST", deliveryPath + "/retry", managePortal, s.retryDelivery},
		{"POST", deliveryPath + "/cancel", managePortal, s.cancelDelivery},
		{"GET", deliveryPath + "/attempts", readPortal, s.listAttempts},
		{"GET", deliveryPath + "/attempts/{attempt}", readPortal, s.getAttempt},

		{"POST", tenantPath + "/recoveries", managePortal, s.createRecovery},
		{"GET", tenantPath + "/recoveries", readPortal, s.listRecoveries},
		{"GET", tenantPath + "/recoveries/{recovery}", readPortal, s.getRecovery},
		{"POST", tenantPath + "/recoveries/{recovery}/cancel", managePortal, s.cancelRecovery},

		{"GET", tenantPath + "/audit", manage, s.listTenantAudit},
		{"GET", "/v1/audit", adminOnly, s.listAudit},
	})
}

// publishRoutes lists the routes that most requests take. They come first, because the router tries one pattern after the other.
func (s *Server) publishRoutes() []route {
	return []route{
		{"POST", tenantPath + "/events", publish, s.publishEvent},
		{"POST", tenantPath + "/events/batch", publish, s.publishBatch},
	}
}

// secretRoutes lists the routes of signing secrets.
func (s *Server) secretRoutes() []route {
	return []route{
		{"GET", tenantPath + "/secret", manage, s.revealTenantSecret},
		{"POST", tenantPath + "/rotate-secret", manage, s.rotateSecret},
		{"POST", tenantPath + "/retire-secret", manage, s.retireSecret},
		{"GET", endpointPath + "/secret", managePortal, s.revealEndpointSecret},
		{"POST", endpointPath + "/rotate-secret", managePortal, s.rotateSecret},
		{"POST", endpointPath + "/retire-secret", managePortal, s.retireSecret},
	}
}

// adminRoutes lists what belongs to no tenant and only the administrator sees.
func (s *Server) adminRoutes() []route {
	return []route{
		{"GET", "/v1/status", adminOnly, s.getStatus},
		{"GET", "/v1/dispatches", adminOnly, s.listDispatches},
		{"POST", "/v1/dispatches/{dispatch}/retry", adminOnly, s.retryDispatch},
		{"GET", "/v1/quarantine", adminOnly, s.listQuarantine},
		{"GET", "/v1/quarantine/{position}", adminOnly, s.getQuarantined},
		{"POST", "/v1/quarantine/{position}/retry", adminOnly, s.retryQuarantined},
		{"DELETE", "/v1/quarantine/{position}", adminOnly, s.deleteQuarantined},
		{"GET", "/v1/erasures/{erasure}", adminOnly, s.getErasure},
	}
}

// operationRoutes lists the routes that every process serves. metrics is who may read the metrics: where the API is reached from
// anywhere, they are not for everybody.
func (s *Server) operationRoutes(metrics access) []route {
	list := []route{
		{"GET", "/healthz", public, s.getHealth},
		{"GET", "/readyz", public, s.getReadiness},
	}
	if s.opts.Metrics != nil {
		list = append(list, route{"GET", "/metrics", metrics, s.getMetrics})
	}
	return list
}

func (s *Server) router(routes []route) http.Handler {
	m := mux.NewRouter().SkipClean(true) // a cleaned path would be answered with a redirect, which turns a POST into a GET
	for _, rt := range routes {
		methods := []string{rt.method}
		if rt.method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
		// Path must come before Methods: otherwise mux answers 404 instead of 405 when a later route has the method and
		// another path.
		m.Path(rt.path).Methods(methods...).Handler(s.serve(rt))
	}
	m.NotFoundHandler = http.HandlerFunc(s.noRoute)
	m.MethodNotAllowedHandler = s.noMethod(m)
	return s.refuseEncodedSlash(m)
}

// refuseEncodedSlash answers 404 for a path with %2F, because mux matches the decoded path and would read it as a slash. No
// id has a slash.
func (s *Server) refuseEncodedSlash(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.RawPath, "%2F") || strings.Contains(r.URL.RawPath, "%2f") {
			s.noRoute(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// serve authenticates, authorizes, runs the handler and writes its error.
func (s *Server) serve(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		infoOf(r).route = rt.path
		c, err := s.admit(r, rt.access)
		s.uses.tell(w, infoOf(r).limited)
		if err == nil {
			err = rt.checkQuery(r)
		}
		if err == nil && c.counted() {
			err = infoOf(r).inflight.hold(r.Context(), requestBytes) // more, once the body is read
		}
		if err == nil {
			err = rt.handle(w, s.asActor(r, c, rt), c)
		}
		if err != nil {
			s.Error(w, r, err)
		}
	})
}

func (s *Server) noRoute(w http.ResponseWriter, r *http.Request) {
	s.Error(w, r, webhook.Errorf(webhook.CodeNotFound, "there is nothing at this path; the API's paths are in its /openapi.yaml"))
}

// noMethod answers 405 with the methods that the path has.
func (s *Server) noMethod(m *mux.Router) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var allowed []string
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
			other := r.Clone(r.Context())
			other.Method = method
			var match mux.RouteMatch
			if m.Match(other, &match) && match.MatchErr == nil {
				allowed = append(allowed, method)
			}
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		s.Error(w, r, webhook.Errorf(webhook.CodeMethodNotAllowed, "%s is not possible here; possible are %s", r.Method, strings.Join(allowed, ", ")))
	})
}
