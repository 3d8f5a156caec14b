package main_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// gallery is a Waybill with something on each page: a shop whose webhooks work, fail, wait and are recovered.
type gallery struct {
	*tenant
	good, bad, unproven                      *endpoint
	event, delivered, failed, held, retrying string
	attempt, test, key, recovery, running    string
	erasure                                  string
	quarantined                              int64
	hosts                                    map[string]string // of receivers, to what pictures show in their place
}

// pages are the paths to open for each page, by how the router has it. Several show it in several states.
func (g *gallery) pages() map[string][]string {
	shop := "/tenants/shop"
	var good, bad, unproven string
	if g.tenant != nil {
		good, bad, unproven = shop+"/endpoints/"+g.good.ID, shop+"/endpoints/"+g.bad.ID, shop+"/endpoints/"+g.unproven.ID
	}
	return map[string][]string{
		"/sign-in":                      {"/sign-in"},
		"/portal/{token}":               {"/portal/wbl_0123456789012345678901234567890123456789012"},
		"/tenants":                      {"/tenants", "/tenants?q=nobody"},
		"/new-tenant":                   {"/new-tenant"},
		"/instance":                     {"/instance"},
		"/audit":                        {"/audit"},
		"/quarantine":                   {"/quarantine"},
		"/quarantine/{position}":        {fmt.Sprint("/quarantine/", g.quarantined)},
		"/quarantine/{position}/delete": {fmt.Sprint("/quarantine/", g.quarantined, "/delete")},
		"/erasures/{erasure}":           {"/erasures/" + g.erasure},

		"/tenants/{tenant}":                 {shop, "/tenants/empty"},
		"/tenants/{tenant}/endpoints":       {shop + "/endpoints", "/tenants/empty/endpoints", shop + "/endpoints?q=nothing"},
		"/tenants/{tenant}/new-endpoint":    {shop + "/new-endpoint", "/tenants/empty/new-endpoint"},
		"/tenants/{tenant}/recoveries":      {shop + "/recoveries", "/tenants/empty/recoveries"},
		"/tenants/{tenant}/deliveries":      {shop + "/deliveries", "/tenants/empty/deliveries", shop + "/deliveries?status=exhausted"},
		"/tenants/{tenant}/events":          {shop + "/events", "/tenants/empty/events"},
		"/tenants/{tenant}/publish":         {shop + "/publish"},
		"/tenants/{tenant}/event-types":     {shop + "/event-types", "/tenants/empty/event-types"},
		"/tenants/{tenant}/new-event-type":  {shop + "/new-event-type"},
		"/tenants/{tenant}/keys":            {shop + "/keys", "/tenants/empty/keys"},
		"/tenants/{tenant}/new-key":         {shop + "/new-key"},
		"/tenants/{tenant}/new-portal-link": {shop + "/new-portal-link"},
		"/tenants/{tenant}/audit":           {shop + "/audit"},
		"/tenants/{tenant}/settings":        {shop + "/settings"},
		"/tenants/{tenant}/secret":          {"/tenants/stock/secret"},
		"/tenants/{tenant}/retire-secret":   {"/tenants/stock/retire-secret"},
		"/tenants/{tenant}/erase":           {shop + "/erase"},

		"/tenants/{tenant}/endpoints/{endpoint}":                 {good, bad, unproven},
		"/tenants/{tenant}/endpoints/{endpoint}/edit":            {good + "/edit"},
		"/tenants/{tenant}/endpoints/{endpoint}/test":            {good + "/test"},
		"/tenants/{tenant}/endpoints/{endpoint}/test/{delivery}": {good + "/test/" + g.test},
		"/tenants/{tenant}/endpoints/{endpoint}/secret":          {good + "/secret"},
		"/tenants/{tenant}/endpoints/{endpoint}/retire-secret":   {good + "/retire-secret"},
		"/tenants/{tenant}/endpoints/{endpoint}/disable":         {good + "/disable"},
		"/tenants/{tenant}/endpoints/{endpoint}/enable":          {bad + "/enable"},
		"/tenants/{tenant}/endpoints/{endpoint}/verify":          {unproven + "/verify"},
		"/tenants/{tenant}/endpoints/{endpoint}/delete":          {good + "/delete"},
		"/tenants/{tenant}/endpoints/{endpoint}/recover":         {good + "/recover"},

		"/tenants/{tenant}/recoveries/{recovery}":                              {shop + "/recoveries/" + g.running, shop + "/recoveries/" + g.recovery},
		"/tenants/{tenant}/recoveries/{recovery}/cancel":                       {shop + "/recoveries/" + g.running + "/cancel"},
		"/tenants/{tenant}/deliveries/{delivery}":                              {shop + "/deliveries/" + g.failed, shop + "/deliveries/" + g.delivered, shop + "/deliveries/" + g.held, shop + "/deliveries/" + g.retrying},
		"/tenants/{tenant}/deliveries/{delivery}/retry":                        {shop + "/deliveries/" + g.failed + "/retry"},
		"/tenants/{tenant}/deliveries/{delivery}/cancel":                       {shop + "/deliveries/" + g.retrying + "/cancel"},
		"/tenants/{tenant}/deliveries/{delivery}/attempts/{attempt}/signature": {shop + "/deliveries/" + g.delivered + "/attempts/" + g.attempt + "/signature"},
		"/tenants/{tenant}/events/{event}":                                     {shop + "/events/" + g.event},
		"/tenants/{tenant}/events/{event}/erase":                               {shop + "/events/" + g.event + "/erase"},
		"/tenants/{tenant}/event-types/{type}":                                 {shop + "/event-types/order.confirmed"},
		"/tenants/{tenant}/event-types/{type}/edit":                            {shop + "/event-types/order.confirmed/edit"},
		"/tenants/{tenant}/event-types/{type}/delete":                          {shop + "/event-types/order.confirmed/delete"},
		"/tenants/{tenant}/keys/{key}/revoke":                                  {shop + "/keys/" + g.key + "/revoke"},
		"/tenants/{tenant}/keys/{key}/rotate":                                  {shop + "/keys/" + g.key + "/rotate"},
	}
}

// orderType is an entry of the shop's own catalogue.
const orderType = `{"description":"A buyer has paid, and the order is to be packed.","schema":{"type":"object","required":["order_id","total"],"properties":{
	"order_id":{"type":"string","description":"as the shop shows it"},"total":{"type":"number","minimum":0},"currency":{"enum":["NOK","SEK","EUR"]},
	"lines":{"type":"array","items":{"type":"object","properties":{"sku":{"type":"string"},"quantity":{"type":"integer"}}}}}},
	"example":{"data":{"order_id":"A-1042","total":1249.5,"currency":"NOK","lines":[{"sku":"LAMP-OAK","quantity":2}]},"attributes":{"shop":"oslo"}}}`

func order(n int) fields {
	return fields{"type": "order.confirmed", "attributes": fields{"shop": "oslo"}, "data": fields{
		"order_id": fmt.Sprint("A-", 1042+n), "total": 1249.5 + float64(n), "currency": "NOK", "lines": []fields{{"sku": "LAMP-OAK", "quantity": 2}},
	}}
}

// newGallery fills a Waybill.
func newGallery(t *testing.T) *gallery {
	t.Helper()
	group := ownGroup(t, groupOptions{})
	s := group.own(t, "serve", "WAYBILL_TEMPORAL_UI_URL=http://temporal.example")
	g := &gallery{tenant: &tenant{caller: s.admin(), id: "shop", path: "/v1/tenants/shop"}, hosts: map[string]string{}}
	for id, name := range map[string]string{"shop": "Nordic Lamps", "empty": "Corner Shop"} {
		g.call(t, "POST", "/v1/tenants", fields{"id": id, "name": name, "dialect": "standard", "retry": fields{"schedule": []string{"1s"}}}).is(t, 201, nil)
	}
	g.call(t, "POST", "/v1/tenants", fields{"id": "stock", "name": "Nordic Stock", "dialect": "tradevine"}).is(t, 201, nil)
	for _, name := range []string{"order.confirmed", "order.canceled", "shipment.sent", "product.updated"} {
		g.call(t, "PUT", g.path+"/event-types/"+name, orderType).is(t, 201, nil)
	}
	g.addEndpoints(t)
	g.fillLog(t)
	g.fillRest(t)
	return g
}

func (g *gallery) receiverNamed(t *testing.T, name string, script ...reply) *receiver {
	t.Helper()
	r := newReceiver(t, script...)
	g.hosts[r.url] = "https://" + name
	return r
}

func (g *gallery) addEndpoints(t *testing.T) {
	t.Helper()
	good := g.receiverNamed(t, "hooks.warehouse.example", reply{body: `{"ok":true,"queued":1}`, header: map[string]string{"Content-Type": "application/json"}})
	bad := g.receiverNamed(t, "erp.partner.example", reply{status: 503, body: "<h1>Service Unavailable</h1>"})
	g.good = g.endpoint(t, good, fields{"description": "Warehouse", "event_types": []string{"order.*", "shipment.sent"}, "metadata": fields{"team": "logistics"}})
	g.bad = g.endpoint(t, bad, fields{"event_types": []string{"order.confirmed"}, "filter": fields{"shop": []string{"oslo"}}, "headers": fields{"X-Api-Key": "k"}, "auto_disable": fields{"failures": 12, "span": "0s"}})
	slow := g.endpoint(t, g.receiverNamed(t, "api.bookkeeping.example", reply{status: 500, body: "try later"}),
		fields{"description": "Bookkeeping", "event_types": []string{"order.canceled"}, "retry": fields{"schedule": []string{"30m", "2h"}}})
	g.unproven = g.endpoint(t, g.receiverNamed(t, "new.customer.example", reply{status: 404}), fields{"event_types": []string{"product.updated"}, "verification": fields{"method": "token"}})
	require.NotEmpty(t, slow.ID)
}

func (g *gallery) fillLog(t *testing.T) {
	t.Helper()
	var failed []string
	for n := range 6 {
		r := g.publish(t, order(n), 2)
		g.event, g.delivered = r.ID, r.to(t, g.good)
		failed = append(failed, r.to(t, g.bad))
	}
	g.failed = failed[0]
	await(t, patience, "an endpoint to be disabled", func() error { return g.endpointIs(t, g.bad.ID, "disabled") })
	g.held = g.publish(t, order(6), 2).to(t, g.bad)
	g.waitDelivery(t, g.held, "held", 0)
	g.waitDelivery(t, g.failed, "exhausted", 2)
	g.waitDelivery(t, g.delivered, "delivered", 1)
	g.attempt = g.attempts(t, g.delivered)[0].ID
	for _, d := range g.publish(t, order(7).with(fields{"type": "order.canceled"}), 2).Deliveries {
		if d.EndpointID != g.good.ID {
			g.retrying = d.ID
		}
	}
	g.waitDelivery(t, g.retrying, "retrying", 1)
	var test receipt
	g.call(t, "POST", g.path+"/endpoints/"+g.good.ID+"/test", fields{"type": "order.confirmed"}).is(t, 202, &test)
	g.test = test.Deliveries[0].ID
}

func (g *gallery) fillRest(t *testing.T) {
	t.Helper()
	g.key, _ = g.keyOf(t, "publish", "read")
	g.call(t, "POST", g.path+"/portal-links", fields{}).is(t, 201, nil)
	g.waitDelivery(t, g.test, "delivered", 1)
	g.recovery = g.recover(t, g.good, fields{"missed": true, "statuses": []string{"exhausted"}, "reason": "the warehouse was closed"}).ID
	g.waitRecovery(t, g.recovery, "completed", completed)
	archive := g.endpoint(t, g.receiverNamed(t, "archive.nordic-lamps.example", reply{after: 55 * time.Second}),
		fields{"description": "Archive", "event_types": []string{"order.confirmed"}, "timeout": "60s"})
	g.running = g.recover(t, archive, fields{"missed": true, "reason": "the archive is new", "rate": 1}).ID
	group := g.server.group
	_, err := group.db.ExecContext(t.Context(), `SELECT `+group.publishCall(`'nobody', 'order.confirmed', '{"order_id": "A-1042"}'`))
	require.NoError(t, err)
	var quarantine struct{ Data []struct{ Position int64 } }
	await(t, patience, "a row in quarantine", func() error {
		if g.call(t, "GET", "/v1/quarantine", nil).is(t, 200, &quarantine); len(quarantine.Data) == 0 {
			return fmt.Errorf("there is none")
		}
		return nil
	})
	g.quarantined = quarantine.Data[0].Position
	g.call(t, "POST", "/v1/tenants", fields{"id": "gone", "name": "Gone", "dialect": "standard"}).is(t, 201, nil)
	g.call(t, "DELETE", "/v1/tenants/gone?confirm=gone", nil).is(t, 202, nil)
	g.erasure = "gone"
}
