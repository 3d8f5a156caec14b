package dashboard

import (
	"net/url"
	"strings"
	"time"

	"waybill/webhook"
)

// endpointRoutes lists the pages of endpoints and of their recoveries.
func endpointRoutes() []route {
	const path = tenantPath + "/endpoints/{endpoint}"
	return []route{
		{"GET", tenantPath + "/endpoints", ofTenant, listEndpoints},
		{"GET", tenantPath + "/new-endpoint", ofTenant, showNewEndpoint},
		{"POST", tenantPath + "/new-endpoint", ofTenant, createEndpoint},
		{"GET", path, ofTenant, showEndpoint},
		{"GET", path + "/edit", ofTenant, showEditEndpoint},
		{"POST", path + "/edit", ofTenant, editEndpoint},
		{"GET", path + "/test", ofTenant, showEndpointTest},
		{"POST", path + "/test", ofTenant, testEndpoint},
		{"GET", path + "/test/{delivery}", ofTenant, showEndpointTest},
		{"GET", path + "/secret", ofTenant, showSecret},
		{"POST", path + "/secret", ofTenant, changeSecret},
		{"GET", path + "/retire-secret", ofTenant, askRetireSecret},
		{"GET", path + "/disable", ofTenant, askDisable},
		{"POST", path + "/disable", ofTenant, disableEndpoint},
		{"GET", path + "/enable", ofTenant, askEnable},
		{"POST", path + "/enable", ofTenant, enableEndpoint},
		{"GET", path + "/verify", ofTenant, askVerify},
		{"POST", path + "/verify", ofTenant, verifyEndpoint},
		{"GET", path + "/delete", ofTenant, askDeleteEndpoint},
		{"POST", path + "/delete", ofTenant, deleteEndpoint},
		{"GET", path + "/recover", ofTenant, showRecover},
		{"POST", path + "/recover", ofTenant, recoverEndpoint},
		{"GET", tenantPath + "/recoveries", ofTenant, listRecoveries},
		{"GET", tenantPath + "/recoveries/{recovery}", ofTenant, showRecovery},
		{"GET", tenantPath + "/recoveries/{recovery}/cancel", ofTenant, askCancelRecovery},
		{"POST", tenantPath + "/recoveries/{recovery}/cancel", ofTenant, cancelRecovery},
	}
}

// endpoint is an endpoint as the API shows it.
type endpoint struct {
	webhook.Endpoint
	Status   string `json:"status"`
	Disabled *struct {
		At     time.Time `json:"at"`
		By     string    `json:"by"`
		Reason string    `json:"reason"`
	} `json:"disabled"`
	AutoDisableInForce webhook.AutoDisable `json:"auto_disable_in_force"`
	Headers            map[string]string   `json:"headers"`
	SigningInForce     webhook.Signing     `json:"signing"`
	Verification       *struct {
		webhook.Verification
		VerifiedAt  *time.Time `json:"verified_at"`
		AllowedRate int        `json:"allowed_rate"`
	} `json:"verification"`
	PublicKey string     `json:"public_key"`
	Secret    string     `json:"secret"`
	Stats     *listStats `json:"stats"`
}

// listStats is what an endpoint of a list did within a day, in attempts.
type listStats struct {
	Delivered   int64      `json:"delivered"`
	Failed      int64      `json:"failed"`
	SuccessRate *float64   `json:"success_rate"`
	P95         *int64     `json:"p95_ms"`
	Series      statsSpans `json:"series"`
}

// DisabledBy says in words who disabled the endpoint.
func (e *endpoint) DisabledBy() string {
	switch e.Disabled.By {
	case webhook.ByFailures:
		return "Waybill, because its attempts failed"
	case webhook.ByReceiver:
		return "its receiver, which answered 410 Gone"
	case webhook.BySignal, webhook.ByTemporal:
		return "an operator, in Temporal"
	case webhook.ByWaybill, webhook.ByVerification:
		return "Waybill"
	}
	switch kind, _, _ := strings.Cut(e.Disabled.By, "_"); kind {
	case "pln":
		return "a person who came by the portal link " + e.Disabled.By
	case "key":
		return "the API key " + e.Disabled.By
	default:
		return e.Disabled.By
	}
}

// Title is the first line of the description, or the URL.
func (e *endpoint) Title() string {
	if e.Description == "" {
		return e.URL
	}
	return firstLine(e.Description)
}

// listEndpoints is GET .../endpoints. Its filters are those of the API.
func listEndpoints(c *call) error {
	query := url.Values{"stats": {"24h"}}
	filtered := false
	for _, name := range []string{"q", "status", "trouble", "failing", "event_type", "cursor"} {
		if value := c.Query(name); value != "" {
			query.Set(name, value)
			filtered = filtered || name != "cursor"
		}
	}
	var found list[endpoint]
	err := c.get(c.path("endpoints"), query, &found)
	wrong := mendable(err)
	if err != nil && wrong == nil {
		return err
	}
	v := view{Title: "Endpoints", Section: "endpoints", Data: struct {
		list[endpoint]
		Filtered bool
		Problem  *problem
	}{found, filtered, wrong}}
	if wrong != nil {
		v.Status = wrong.Status
	}
	return c.show("endpoints", v)
}
