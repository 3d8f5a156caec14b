package api_test

import (
	"strings"

	"waybill/api"
	"waybill/webhook"
)

// portalMay is a decision about portal sessions.
type portalMay string

const (
	yes portalMay = "yes"
	no  portalMay = "no"
)

// matrixRow says who may use a route, and what the route answers them in matrixWorld.
type matrixRow struct {
	// needs is "public", "any" (any valid key), "admin", or the scope of a tenant's key.
	needs string
	// portal is whether a portal session may use it, with the scope: who adds a route decides. "" is for what anybody may use.
	portal portalMay
	status int
	body   string
	// makes: naming what is not there is no error, because the call makes it.
	makes bool
	// query follows the path, with its question mark.
	query string
	// with is a scope that a key needs besides, because nobody passes on what he does not have.
	with webhook.Scope
	// session is what a session is answered; 0: status.
	session int
	// confined is a body that a session with a filter sends in place of body.
	confined string
	// dialect is that of the tenant; "": standard.
	dialect string
}

// matrix has a row for every route: who adds a route decides here who may use it. It says so again on purpose, so that a slip in
// routes.go does not pass unseen.
var matrix = map[string]matrixRow{
	"GET /healthz":      {needs: "public", status: 200},
	"GET /readyz":       {needs: "public", status: 200},
	"GET /metrics":      {portal: no, needs: "admin", status: 200},
	"GET /openapi.yaml": {needs: "public", status: 200},
	"GET /openapi.json": {needs: "public", status: 200},

	"GET /v1/dialects":           {portal: yes, needs: "any", status: 200},
	"GET /v1/dialects/{dialect}": {portal: yes, needs: "any", status: 200},
	"GET /v1/egress":             {portal: yes, needs: "any", status: 200},

	"POST /v1/sessions":                      {portal: no, needs: "any", status: 201},
	"GET /v1/session":                        {portal: yes, needs: "any", status: 200},
	"DELETE /v1/session":                     {portal: yes, needs: "any", status: 409, session: 204}, // a key is no session
	"POST /v1/sign-in-links":                 {portal: no, needs: "admin", status: 201},
	"POST /v1/portal-sessions":               {needs: "public", status: 401, body: `{"token":"none"}`},
	"POST /v1/tenants/{tenant}/portal-links": {portal: no, needs: "manage", status: 201, body: `{"scopes":["read"]}`, with: webhook.ScopeRead},

	"POST /v1/tenants":                {portal: no, needs: "admin", status: 201, body: `{"id":"new","name":"N","dialect":"standard"}`},
	"GET /v1/tenants":                 {portal: no, needs: "admin", status: 200},
	"GET /v1/tenants/{tenant}":        {portal: yes, needs: "read", status: 200},
	"PATCH /v1/tenants/{tenant}":      {portal: no, needs: "manage", status: 200, body: `{"name":"M"}`},
	"DELETE /v1/tenants/{tenant}":     {portal: no, needs: "admin", status: 202, query: "?confirm={tenant}"},
	"GET /v1/erasures/{erasure}":      {portal: no, needs: "admin", status: 200},
	"GET /v1/tenants/{tenant}/secret": {portal: no, needs: "manage", status: 200, dialect: "shared"},

	"POST /v1/tenants/{tenant}/rotate-secret": {portal: no, needs: "manage", status: 200, dialect: "shared"},
	"POST /v1/tenants/{tenant}/retire-secret": {portal: no, needs: "manage", status: 200, dialect: "shared"},

	"POST /v1/tenants/{tenant}/keys":         {portal: no, needs: "manage", status: 201, body: `{"name":"n","scopes":["manage"]}`},
	"GET /v1/tenants/{tenant}/keys":          {portal: no, needs: "manage", status: 200},
	"DELETE /v1/tenants/{tenant}/keys/{key}": {portal: no, needs: "manage", status: 204},

	"POST /v1/tenants/{tenant}/keys/{key}/rotate": {portal: no, needs: "manage", status: 201},

	"GET /v1/tenants/{tenant}/event-types":           {portal: yes, needs: "read", status: 200},
	"GET /v1/tenants/{tenant}/event-types/{type}":    {portal: yes, needs: "read", status: 200},
	"PUT /v1/tenants/{tenant}/event-types/{type}":    {portal: no, needs: "manage", status: 200, body: `{"description":"e"}`, makes: true},
	"DELETE /v1/tenants/{tenant}/event-types/{type}": {portal: no, needs: "manage", status: 204},

	"POST /v1/tenants/{tenant}/endpoints": {portal: yes, needs: "manage", status: 201, body: `{"url":"https://r.example","event_types":["*"]}`,
		confined: `{"url":"https://r.example","event_types":["*"],"filter":{"auction_id":["a"]}}`},
	"GET /v1/tenants/{tenant}/endpoints":                                {portal: yes, needs: "read", status: 200},
	"GET /v1/tenants/{tenant}/endpoints/{endpoint}":                     {portal: yes, needs: "read", status: 200},
	"PATCH /v1/tenants/{tenant}/endpoints/{endpoint}":                   {portal: yes, needs: "manage", status: 200, body: `{"description":"d"}`},
	"DELETE /v1/tenants/{tenant}/endpoints/{endpoint}":                  {portal: yes, needs: "manage", status: 204},
	"POST /v1/tenants/{tenant}/endpoints/{endpoint}/disable":            {portal: yes, needs: "manage", status: 200},
	"POST /v1/tenants/{tenant}/endpoints/{endpoint}/enable":             {portal: yes, needs: "manage", status: 200},
	"POST /v1/tenants/{tenant}/endpoints/{endpoint}/test":               {portal: yes, needs: "manage", status: 202},
	"POST /v1/tenants/{tenant}/endpoints/{endpoint}/verify":             {portal: yes, needs: "manage", status: 200},
	"POST /v1/tenants/{tenant}/endpoints/{endpoint}/verify-signature":   {portal: yes, needs: "read", status: 200, body: `{"headers":{},"body":""}`},
	"GET /v1/tenants/{tenant}/endpoints/{endpoint}/secret":              {portal: yes, needs: "manage", status: 200},
	"GET /v1/tenants/{tenant}/endpoints/{endpoint}/public-key":          {portal: yes, needs: "read", status: 200, dialect: "asymmetric"},
	"GET /v1/tenants/{tenant}/.well-known/jwks.json":                    {needs: "public", status: 200},
	"POST /v1/tenants/{tenant}/endpoints/{endpoint}/rotate-secret":      {portal: yes, needs: "manage", status: 200},
	"POST /v1/tenants/{tenant}/endpoints/{endpoint}/retire-secret":      {portal: yes, needs: "manage", status: 200},
	"GET /v1/tenants/{tenant}/endpoints/{endpoint}/stats":               {portal: yes, needs: "read", status: 200},
	"GET /v1/tenants/{tenant}/stats":                                    {portal: yes, needs: "read", status: 200},
	"DELETE /v1/tenants/{tenant}/events/{event}":                        {portal: no, needs: "manage", status: 204},
	"POST /v1/tenants/{tenant}/events":                                  {portal: no, needs: "publish", status: 202, body: `{"type":"a.b","data":1}`},
	"POST /v1/tenants/{tenant}/events/batch":                            {portal: no, needs: "publish", status: 200, body: `{"events":[{"type":"a.b","data":1}]}`},
	"GET /v1/tenants/{tenant}/events":                                   {portal: yes, needs: "read", status: 200},
	"GET /v1/tenants/{tenant}/events/{event}":                           {portal: yes, needs: "read", status: 200},
	"GET /v1/tenants/{tenant}/events/{event}/deliveries":                {portal: yes, needs: "read", status: 200},
	"GET /v1/tenants/{tenant}/events/{event}/history":                   {portal: yes, needs: "read", status: 200},
	"GET /v1/tenants/{tenant}/deliveries":                               {portal: yes, needs: "read", status: 200},
	"GET /v1/tenants/{tenant}/deliveries/{delivery}":                    {portal: yes, needs: "read", status: 200},
	"POST /v1/tenants/{tenant}/deliveries/{delivery}/retry":             {portal: yes, needs: "manage", status: 202},
	"POST /v1/tenants/{tenant}/deliveries/{delivery}/cancel":            {portal: yes, needs: "manage", status: 200},
	"GET /v1/tenants/{tenant}/deliveries/{delivery}/attempts":           {portal: yes, needs: "read", status: 200},
	"GET /v1/tenants/{tenant}/deliveries/{delivery}/attempts/{attempt}": {portal: yes, needs: "read", status: 200},

	"POST /v1/tenants/{tenant}/recoveries":                   {portal: yes, needs: "manage", status: 201, body: `{"endpoint_id":"{endpoint}"}`},
	"GET /v1/tenants/{tenant}/recoveries":                    {portal: yes, needs: "read", status: 200},
	"GET /v1/tenants/{tenant}/recoveries/{recovery}":         {portal: yes, needs: "read", status: 200},
	"POST /v1/tenants/{tenant}/recoveries/{recovery}/cancel": {portal: yes, needs: "manage", status: 200},

	"GET /v1/status":                       {portal: no, needs: "admin", status: 200},
	"GET /v1/dispatches":                   {portal: no, needs: "admin", status: 200},
	"POST /v1/dispatches/{dispatch}/retry": {portal: no, needs: "admin", status: 202},
	"GET /v1/tenants/{tenant}/audit":       {portal: no, needs: "manage", status: 200},
	"GET /v1/audit":                        {portal: no, needs: "admin", status: 200},

	"GET /v1/quarantine":                   {portal: no, needs: "admin", status: 200},
	"GET /v1/quarantine/{position}":        {portal: no, needs: "admin", status: 200},
	"POST /v1/quarantine/{position}/retry": {portal: no, needs: "admin", status: 202},
	"DELETE /v1/quarantine/{position}":     {portal: no, needs: "admin", status: 204},
}

// fill replaces the variables of a route's path.
func fill(path string, values map[string]string) string {
	for name, value := range values {
		path = strings.ReplaceAll(path, "{"+name+"}", value)
	}
	return path
}

// bodyFor returns a body that a route accepts.
func bodyFor(rt api.Route, values map[string]string) string {
	return fill(matrix[rt.Method+" "+rt.Path].body, values)
}

// world is a tenant "acme" with one of everything, and the path variables that name it.
func (b *testBundle) world() map[string]string {
	b.t.Helper()
	b.tenant("acme", "standard")
	values := map[string]string{"tenant": "acme", "endpoint": b.endpoint("acme"), "event": "e1", "dialect": "standard"}
	values["delivery"] = b.publish("acme", `{"type":"a.b","data":1,"id":"e1"}`)
	attempt := webhook.NewID[webhook.AttemptID](b.store.uuid())
	b.store.record(webhook.Attempt{
		ID: attempt, DeliveryID: parseID[webhook.DeliveryID](b.t, values["delivery"]),
		AttemptSummary: webhook.AttemptSummary{Number: 1, Outcome: webhook.OutcomeRetryable},
	})
	values["attempt"] = attempt.String()
	key := into[object](b.admin("POST", "/v1/tenants/acme/keys", `{"name":"k","scopes":["manage"]}`).want(201))
	values["key"] = key["id"].(string)
	recovery := into[object](b.admin("POST", "/v1/tenants/acme/recoveries", `{"endpoint_id":"`+values["endpoint"]+`"}`).want(201))
	values["recovery"] = recovery["id"].(string)
	values["type"] = "parcel.moved"
	b.putType("acme", values["type"], `{"description":"d"}`).want(201)
	return values
}
