package platforms

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// platform is one tenant of the demonstration.
type platform struct {
	Dialect string
	name    string
	// eventTypes has one list for each endpoint.
	eventTypes [][]string
	// sample is the event type to show first.
	sample string
}

// platforms are the default dialect and the four it was made for.
var platforms = []platform{
	{Dialect: "standard", name: "Standard Webhooks", eventTypes: [][]string{{"*"}}},
	{Dialect: "rheo", name: "Rheo", eventTypes: [][]string{{"*"}}, sample: "item.sold"},
	{Dialect: "tradly", name: "Tradly", eventTypes: [][]string{{"*"}}, sample: "order.confirmed"},
	// Tradevine's webhooks take exactly one event type each.
	{Dialect: "tradevine", name: "Tradevine", eventTypes: [][]string{{"product.created"}, {"sales_order.created"}}, sample: "sales_order.created"},
	{Dialect: "auction-excellence", name: "Auction Excellence", eventTypes: [][]string{{"*"}}},
}

// Tenant returns the id of a dialect's tenant.
func Tenant(dialect string) string { return "demo-" + dialect }

type endpoint struct {
	URL        string   `json:"url"`
	EventTypes []string `json:"event_types"`
}

// SetUp creates the tenants and endpoints that are missing, and returns the dialects whose tenant is new.
func (c *Client) SetUp(ctx context.Context, receiver string) ([]string, error) {
	var fresh []string
	for _, p := range platforms {
		tenant := map[string]string{
			"id": Tenant(p.Dialect), "name": "Demo: " + p.name, "dialect": p.Dialect,
			"contact_email": "ops@" + p.Dialect + ".example", "url": "https://" + p.Dialect + ".example",
		}
		err := c.Call(ctx, http.MethodPost, "/v1/tenants", tenant, nil)
		var answer *statusError
		switch {
		case err == nil:
			fresh = append(fresh, p.Dialect)
		case errors.As(err, &answer) && answer.status == http.StatusConflict:
		default:
			return nil, fmt.Errorf("create the demo tenant of %s: %w", p.Dialect, err)
		}
		if err := c.addEndpoints(ctx, p, receiver); err != nil {
			return nil, fmt.Errorf("create the demo endpoint of %s: %w", p.Dialect, err)
		}
	}
	return fresh, nil
}

// addEndpoints leaves a tenant alone that has endpoints, whatever they are: a person may have changed them.
func (c *Client) addEndpoints(ctx context.Context, p platform, receiver string) error {
	path := "/v1/tenants/" + Tenant(p.Dialect) + "/endpoints"
	var list struct {
		Data []endpoint `json:"data"`
	}
	if err := c.Call(ctx, http.MethodGet, path, nil, &list); err != nil {
		return err
	}
	// Fewer than wanted means that an earlier set-up was cut short.
	if len(list.Data) >= len(p.eventTypes) {
		return nil
	}
	for _, types := range p.eventTypes {
		has := func(e endpoint) bool { return slices.Equal(e.EventTypes, types) }
		if slices.ContainsFunc(list.Data, has) {
			continue
		}
		if err := c.Call(ctx, http.MethodPost, path, endpoint{URL: receiver + "/" + p.Dialect, EventTypes: types}, nil); err != nil {
			return err
		}
	}
	return nil
}

type example struct {
	Type    string `json:"type"`
	Example struct {
		Data       json.RawMessage `json:"data"`
		Attributes json.RawMessage `json:"attributes,omitempty"`
	} `json:"example"`
}

type dialect struct {
	Name       string    `json:"name"`
	EventTypes []example `json:"event_types"`
}

// Published is one example event that was accepted.
type Published struct {
	Tenant, Type, Event string
	Deliveries          int
}

// sampleOf returns the example to show first, as a list of one.
func sampleOf(d dialect) []example {
	i := slices.IndexFunc(platforms, func(p platform) bool { return p.Dialect == d.Name })
	wanted := func(e example) bool { return i >= 0 && e.Type == platforms[i].sample }
	return d.EventTypes[max(0, slices.IndexFunc(d.EventTypes, wanted)):][:1]
}

// dialects returns what Waybill knows of its dialects.
func (c *Client) dialects(ctx context.Context) ([]dialect, error) {
	var list struct {
		Data []dialect `json:"data"`
	}
	if err := c.Call(ctx, http.MethodGet, "/v1/dialects", nil, &list); err != nil {
		return nil, fmt.Errorf("read the dialects' examples: %w", err)
	}
	return list.Data, nil
}

// PublishSamples publishes one event for each of the named dialects and reports each to told.
func (c *Client) PublishSamples(ctx context.Context, dialects []string, told func(Published)) error {
	return c.publish(ctx, told, func(d dialect) []example {
		if !slices.Contains(dialects, d.Name) || len(d.EventTypes) == 0 {
			return nil
		}
		return sampleOf(d)
	})
}

// PublishAll publishes every example of every dialect and reports each to told.
func (c *Client) PublishAll(ctx context.Context, told func(Published)) error {
	return c.publish(ctx, told, func(d dialect) []example { return d.EventTypes })
}

func (c *Client) publish(ctx context.Context, told func(Published), choose func(dialect) []example) error {
	list, err := c.dialects(ctx)
	if err != nil {
		return err
	}
	for _, d := range list {
		if !slices.ContainsFunc(platforms, func(p platform) bool { return p.Dialect == d.Name }) {
			continue // a dialect without a demo tenant
		}
		for _, e := range choose(d) {
			p, err := c.publishExample(ctx, Tenant(d.Name), e)
			if err != nil {
				return fmt.Errorf("publish the example of %s %s: %w", d.Name, e.Type, err)
			}
			told(p)
		}
	}
	return nil
}

func (c *Client) publishExample(ctx context.Context, tenant string, e example) (Published, error) {
	event := map[string]any{"type": e.Type, "data": e.Example.Data}
	if e.Example.Attributes != nil {
		event["attributes"] = e.Example.Attributes
	}
	var accepted struct {
		ID         string            `json:"id"`
		Deliveries []json.RawMessage `json:"deliveries"`
	}
	err := c.Call(ctx, http.MethodPost, "/v1/tenants/"+tenant+"/events", event, &accepted)
	return Published{Tenant: tenant, Type: e.Type, Event: accepted.ID, Deliveries: len(accepted.Deliveries)}, err
}
