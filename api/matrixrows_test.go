package api_test

import (
	"strings"

	"waybill/api"
	"waybill/webhook"
)

// matrixRow says who may use a route, and what the route answers them in matrixWorld.
type matrixRow struct {
	// needs is "public", "any" (any valid key), "admin", or the scope of a tenant's key.
	needs  string
	status int
	body   string
	// makes: naming what is not there is no error, because the call makes it.
	makes bool
	// query follows the path, with its question mark.
	query string
	// with is a scope that a key needs besides, because nobody passes on what he does not have.
	with webhook.Scope
	// dialect is that of the tenant; "": standard.
	dialect string
}

// matrix has a row for every route: who adds a route decides here who may use it. It says so again on purpose, so that a slip in
// routes.go does not pass unseen.
var matrix = map[string]matrixRow{
	"GET /healthz":      {needs: "public", status: 200},
	"GET /readyz":       {needs: "public", status: 200},
	"GET /metrics":      {needs: "public", status: 200},
	"GET /openapi.yaml": {needs: "public", status: 200},
	"GET /openapi.json": {needs: "public", status: 200},

	"GET /v1/dialects":           {needs: "any", status: 200},
	"GET /v1/dialects/{dialect}": {needs: "any", status: 200},
	"GET /v1/egress":             {needs: "any", status: 200},

	"POST /v1/sessions":                      {needs: "any", status: 201},
	"GET /v1/session":                        {needs: "any", status: 200},
	"DELETE /v1/session":                     {needs: "any", status: 409}, // a key is no session
	"POST /v1/sign-in-links":                 {needs: "admin", status: 201},
	"POST /v1/portal-sessions":               {needs: "public", status: 401, body: `{"token":"none"}`},
	"POST /v1/tenants/{tenant}/portal-links": {needs: "manage", status: 201, body: `{"scopes":["read"]}`, with: webhook.ScopeRead},

	"POST /v1/tenants":                {needs: "admin", status: 201, body: `{"id":"new","name":"N","dialect":"standard"}`},
	"GET /v1/tenants":                 {needs: "admin", status: 200},
	"GET /v1/tenants/{tenant}":        {needs: "read", status: 200},
	"PATCH /v1/tenants/{tenant}":      {needs: "manage", status: 200, body: `{"name":"M"}`},
	"DELETE /v1/tenants/{tenant}":     {needs: "admin", status: 202, query: "?confirm={tenant}"},
	"GET /v1/erasures/{erasure}":      {needs: "admin", status: 200},
	"GET /v1/tenants/{tenant}/secret": {needs: "manage", status: 200, dialect: "shared"},

	"POST /v1/tenants/{tenant}/rotate-secret": {needs: "manage", status: 200, dialect: "shared"},
	"POST /v1/tenants/{tenant}/retire-secret": {needs: "manage", status: 200, dialect: "shared"},

	"POST /v1/tenants/{tenant}/keys":         {needs: "manage", status: 201, body: `{"name":"n","scopes":["manage"]}`},
	"GET /v1/tenants/{tenant}/keys":          {needs: "manage", status: 200},
	"DELETE /v1/tenants/{tenant}/keys/{key}": {needs: "manage", status: 204},

	"POST /v1/tenants/{tenant}/keys/{key}/rotate": {needs: "manage", status: 201},

	"GET /v1/tenants/{tenant}/event-types":           {needs: "read", status: 200},
	"GET /v1/tenants/{tenant}/event-types/{type}":    {needs: "read", status: 200},
	"PUT /v1/tenants/{tenant}/event-types/{type}":    {needs: "manage", status: 200, body: `{"description":"e"}`, makes: true},
	"DELETE /v1/tenants/{tenant}/event-types/{type}": {needs: "manage", status: 204},

	"POST /v1/tenants/{tenant}/endpoints":                               {needs: "manage", status: 201, body: `{"url":"https://r.example","event_types":["*"]}`},
	"GET /v1/tenants/{tenant}/endpoints":                                {needs: "read", status: 200},
	"GET /v1/tenants/{tenant}/endpoints/{endpoint}":                     {needs: "read", status: 200},
	"PATCH /v1/tenants/{tenant}/endpoints/{endpoint}":                   {needs: "manage", status: 200, body: `{"description":"d"}`},
	"DELETE /v1/tenants/{tenant}/endpoints/{endpoint}":                  {needs: "manage", status: 204},
	"POST /v1/tenants/{tenant}/endpoints/{endpoint}/disable":            {needs: "manage", status: 200},
	"POST /v1/tenants/{tenant}/endpoints/{endpoint}/enable":             {needs: "manage", status: 200},
	"POST /v1/tenants/{tenant}/endpoints/{endpoint}/test":               {needs: "manage", status: 202},
	"POST /v1/tenants/{tenant}/endpoints/{endpoint}/verify":             {needs: "manage", status: 200},
	"POST /v1/tenants/{tenant}/endpoints/{endpoint}/verify-signature":   {needs: "read", status: 200, body: `{"headers":{},"body":""}`},
	"GET /v1/tenants/{tenant}/endpoints/{endpoint}/secret":              {needs: "manage", status: 200},
	"GET /v1/tenants/{tenant}/endpoints/{endpoint}/public-key":          {needs: "read", status: 200, dialect: "asymmetric"},
	"GET /v1/tenants/{tenant}/.well-known/jwks.json":                    {needs: "public", status: 200},
	"POST /v1/tenants/{tenant}/endpoints/{endpoint}/rotate-secret":      {needs: "manage", status: 200},
	"POST /v1/tenants/{tenant}/endpoints/{endpoint}/retire-secret":      {needs: "manage", status: 200},
	"GET /v1/tenants/{tenant}/endpoints/{endpoint}/stats":               {needs: "read", status: 200},
	"GET /v1/tenants/{tenant}/stats":                                    {needs: "read", status: 200},
	"DELETE /v1/tenants/{tenant}/events/{event}":                        {needs: "manage", status: 204},
	"POST /v1/tenants/{tenant}/events":                                  {needs: "publish", status: 202, body: `{"type":"a.b","data":1}`},
	"POST /v1/tenants/{tenant}/events/batch":                            {needs: "publish", status: 200, body: `{"events":[{"type":"a.b","data":1}]}`},
	"GET /v1/tenants/{tenant}/events":                                   {needs: "read", status: 200},
	"GET /v1/tenants/{tenant}/events/{event}":                           {needs: "read", status: 200},
	"GET /v1/tenants/{tenant}/events/{event}/deliveries":                {needs: "read", status: 200},
	"GET /v1/tenants/{tenant}/events/{event}/history":                   {needs: "read", status: 200},
	"GET /v1/tenants/{tenant}/deliveries":                               {needs: "read", status: 200},
	"GET /v1/tenants/{tenant}/deliveries/{delivery}":                    {needs: "read", status: 200},
	"POST /v1/tenants/{tenant}/deliveries/{delivery}/retry":             {needs: "manage", status: 202},
	"POST /v1/tenants/{tenant}/deliveries/{delivery}/cancel":            {needs: "manage", status: 200},
	"GET /v1/tenants/{tenant}/deliveries/{delivery}/attempts":           {needs: "read", status: 200},
	"GET /v1/tenants/{tenant}/deliveries/{delivery}/attempts/{attempt}": {needs: "read", status: 200},

	"POST /v1/tenants/{tenant}/recoveries":                   {needs: "manage", status: 201, body: `{"endpoint_id":"{endpoint}"}`},
	"GET /v1/tenants/{tenant}/recoveries":                    {needs: "read", status: 200},
	"GET /v1/tenants/{tenant}/recoveries/{recovery}":         {needs: "read", status: 200},
	"POST /v1/tenants/{tenant}/recoveries/{recovery}/cancel": {needs: "manage", status: 200},

	"GET /v1/status":                       {needs: "admin", status: 200},
	"GET /v1/dispatches":                   {needs: "admin", status: 200},
	"POST /v1/dispatches/{dispatch}/retry": {needs: "admin", status: 202},
	"GET /v1/tenants/{tenant}/audit":       {needs: "manage", status: 200},
	"GET /v1/audit":                        {needs: "admin", status: 200},

	"GET /v1/quarantine":                   {needs: "admin", status: 200},
	"GET /v1/quarantine/{position}":        {needs: "admin", status: 200},
	"POST /v1/quarantine/{position}/retry": {needs: "admin", status: 202},
	"DELETE /v1/quarantine/{position}":     {needs: "admin", status: 204},
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
