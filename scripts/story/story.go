// Package story shows in a minute what Waybill is for: an endpoint that fails and recovers by itself, one that stays down, is
// disabled and tells its people by mail, and what brings everything to it that it missed.
package story

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"waybill/scripts/platforms"
)

// Options say where the story takes place.
type Options struct {
	// Client calls a Waybill that may call this machine by plain http.
	Client *platforms.Client
	// Mails returns the mails that came for an address, the oldest first; nil: mail is not part of the story.
	Mails func(ctx context.Context, to string) ([]Mail, error)
	// Dashboard is where the tenant's pages begin, to say at the end; "": it is not said.
	Dashboard string
	// Say prints a line.
	Say func(format string, args ...any)
}

// Mail is what the story tells of a mail.
type Mail struct {
	To      []string `json:"to"`
	Subject string   `json:"subject"`
	Text    string   `json:"text"`
}

// patience is how long the story waits for what has to come.
const patience = time.Minute

// Tell tells the story with a tenant and a receiver of its own. It fails when an event does not arrive exactly once.
func Tell(ctx context.Context, o Options) (err error) {
	shop, err := openShop(ctx, o.Say)
	if err != nil {
		return err
	}
	defer shop.close(&err)
	id := "story-" + uuid.NewString()[:8]
	t := &teller{Options: o, shop: shop, tenant: id, path: "/v1/tenants/" + id, contact: "ops@" + id + ".example"}
	tenant := map[string]any{"id": id, "name": "A story", "dialect": "standard", "contact_email": t.contact}
	if err := o.Client.Call(ctx, http.MethodPost, "/v1/tenants", tenant, nil); err != nil {
		return fmt.Errorf("create the story's tenant: %w", err)
	}
	for _, scene := range []func(context.Context) error{t.recovers, t.breaks, t.mended} {
		if err := scene(ctx); err != nil {
			return err
		}
	}
	return t.end()
}

type teller struct {
	Options
	shop                  *shop
	tenant, path, contact string
	// broken is the endpoint that stays down.
	broken string
	// published are the ids of all events.
	published []string
}

// recovers tells of an endpoint whose receiver has a bad moment.
func (t *teller) recovers(ctx context.Context) error {
	t.Say("\n1. A receiver has a bad moment. Waybill tries again, after 1, 2 and 4 seconds.\n")
	t.shop.fail("/orders", 2)
	_, err := t.endpoint(ctx, map[string]any{
		"url": t.shop.url + "/orders", "event_types": []string{"order.*"}, "retry": map[string]any{"schedule": []string{"1s", "2s", "4s"}},
	})
	if err != nil {
		return err
	}
	if err := t.publish(ctx, "order.confirmed"); err != nil {
		return err
	}
	return t.await(ctx, "the order to be delivered", func() (bool, error) { return t.count(ctx, "delivered", 1) })
}

// breaks tells of an endpoint whose receiver stays down.
func (t *teller) breaks(ctx context.Context) (err error) {
	t.Say("\n2. A receiver is down for good. After 6 failed attempts in a row its endpoint is disabled, and its people get a mail.\n")
	t.shop.fail("/stock", -1)
	t.broken, err = t.endpoint(ctx, map[string]any{
		"url": t.shop.url + "/stock", "event_types": []string{"stock.*"}, "retry": map[string]any{"schedule": []string{"1s"}},
		"auto_disable": map[string]any{"failures": 6},
	})
	if err != nil {
		return err
	}
	for range 3 {
		if err := t.publish(ctx, "stock.changed"); err != nil {
			return err
		}
	}
	var e endpoint
	err = t.await(ctx, "the endpoint to be disabled", func() (bool, error) {
		err := t.Client.Call(ctx, http.MethodGet, t.path+"/endpoints/"+t.broken, nil, &e)
		return e.Status == "disabled", err
	})
	if err != nil {
		return err
	}
	t.Say("           the endpoint is disabled by %s: %s", e.Disabled.By, e.Disabled.Reason)
	t.Say("           what is published now is held for it, not lost:")
	for range 2 {
		if err := t.publish(ctx, "stock.changed"); err != nil {
			return err
		}
	}
	if err := t.await(ctx, "two deliveries to be held", func() (bool, error) { return t.count(ctx, "held", 2) }); err != nil {
		return err
	}
	return t.mail(ctx, 1)
}

// mended tells how everything arrives after all.
func (t *teller) mended(ctx context.Context) error {
	t.Say("\n3. The receiver is mended. A test goes first; it is accepted, so the endpoint is enabled, and what was held arrives.\n")
	t.shop.fail("/stock", 0)
	if err := t.Client.Call(ctx, http.MethodPost, t.path+"/endpoints/"+t.broken+"/enable", map[string]any{"test": true}, nil); err != nil {
		return fmt.Errorf("enable the endpoint: %w", err)
	}
	if err := t.await(ctx, "what was held to arrive", func() (bool, error) { return t.count(ctx, "delivered", 3) }); err != nil {
		return err
	}
	var counted struct{ Matched int }
	recovery := map[string]any{"endpoint_id": t.broken, "since": time.Now().Add(-10 * time.Minute).UTC().Format(time.RFC3339), "dry_run": true}
	if err := t.Client.Call(ctx, http.MethodPost, t.path+"/recoveries", recovery, &counted); err != nil {
		return fmt.Errorf("count what the endpoint missed: %w", err)
	}
	t.Say("\n           A recovery sends what had failed for good before: it counts %d.\n", counted.Matched)
	recovery["dry_run"], recovery["reason"] = false, "the receiver was down"
	if err := t.Client.Call(ctx, http.MethodPost, t.path+"/recoveries", recovery, nil); err != nil {
		return fmt.Errorf("recover what the endpoint missed: %w", err)
	}
	if err := t.await(ctx, "what had failed to arrive", func() (bool, error) { return t.count(ctx, "delivered", 6) }); err != nil {
		return err
	}
	return t.mail(ctx, 2)
}

// end holds what arrived against what was published.
func (t *teller) end() error {
	for _, id := range t.published {
		if n := t.shop.accepted(id); n != 1 {
			return fmt.Errorf("event %s was accepted %d times and not once", id, n)
		}
	}
	t.Say("\nPublished: %d events. Accepted: %d, each once, after %d attempts.", len(t.published), len(t.published), t.shop.attempts())
	if t.Dashboard != "" {
		t.Say("See it in the dashboard: %s/tenants/%s", strings.TrimSuffix(t.Dashboard, "/"), t.tenant)
	}
	return nil
}
