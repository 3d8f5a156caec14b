package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"waybill/client"
)

// A tenant, an endpoint, and an event that is published to it.
func Example() {
	ctx := context.Background()
	c, err := client.New(server(), adminKey)
	if err != nil {
		panic(err)
	}
	tenant := unique()
	if _, err := c.CreateTenant(ctx, client.TenantCreate{ID: tenant, Name: "Acme", Dialect: client.DialectStandard}); err != nil {
		panic(err)
	}
	endpoint, err := c.CreateEndpoint(ctx, tenant, client.EndpointCreate{
		URL:        "https://receiver.example/hooks",
		EventTypes: []string{"order.*"},
		Retry:      &client.RetryPolicy{Policy: new(client.RetryPolicyPolicyTable5)},
	})
	if err != nil {
		panic(err)
	}
	receipt, err := c.PublishEvent(ctx, tenant, client.EventCreate{
		ID:   new("order-1001"),
		Type: "order.confirmed",
		Data: map[string]any{"order": 1001, "total": "49.90"},
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(receipt.ID, "goes to", len(receipt.Deliveries), "endpoint")
	fmt.Println("the secret is shown this once:", (*endpoint.Secret)[:6])
	// Output:
	// order-1001 goes to 1 endpoint
	// the secret is shown this once: whsec_
}

// An iterator goes through all pages of a list.
func ExampleClient_Deliveries() {
	ctx, c, tenant := context.Background(), dial(), withEvents(5)
	n := 0
	for delivery, err := range c.Deliveries(ctx, tenant, &client.ListDeliveriesParams{Status: new("pending"), Limit: new(2)}) {
		if err != nil {
			panic(err)
		}
		if delivery.EventType == "order.confirmed" {
			n++
		}
	}
	fmt.Println(n, "wait")
	// Output: 5 wait
}

// An answer that says no has a stable code, and names the fields.
func ExampleError() {
	_, err := dial().CreateTenant(context.Background(), client.TenantCreate{ID: unique(), Name: "Acme", Dialect: "klingon"})
	var refused *client.Error
	if errors.As(err, &refused) {
		fmt.Println(refused.Status, refused.Code, refused.Fields[0].Field)
	}
	fmt.Println(client.HasCode(err, client.ErrorCodeInvalid))
	// Output:
	// 422 invalid dialect
	// true
}

// A change that is made only if nobody else made one in between.
func ExampleWithIfMatch() {
	ctx, c, tenant := context.Background(), dial(), withEvents(0)
	var header http.Header
	if _, err := c.GetTenant(ctx, tenant, client.WithAnswerHeader(&header)); err != nil {
		panic(err)
	}
	etag := header.Get("ETag")
	_, err := c.UpdateTenant(ctx, tenant, client.TenantPatch{Name: new("Acme Limited"), ContactEmail: client.Set("ops@acme.example")}, client.WithIfMatch(etag))
	fmt.Println("first:", err)
	_, err = c.UpdateTenant(ctx, tenant, client.TenantPatch{ContactEmail: client.Clear[string]()}, client.WithIfMatch(etag))
	fmt.Println("second was too late:", client.HasCode(err, client.ErrorCodePreconditionFailed))
	// Output:
	// first: <nil>
	// second was too late: true
}

// A batch has a result for each of its events.
func ExampleClient_PublishBatch() {
	tenant := withEvents(0)
	results, err := dial().PublishBatch(context.Background(), tenant, client.PublishBatchRequest{Events: []client.EventCreate{
		{ID: new("order-1"), Type: "order.confirmed", Data: 1},
		{ID: new("order-2"), Type: "not a type", Data: 2},
	}})
	if err != nil {
		panic(err)
	}
	for _, result := range results.Results {
		if err := result.Err(); err != nil {
			fmt.Println(result.Status, client.HasCode(err, client.ErrorCodeInvalid))
			continue
		}
		fmt.Println(result.Status, result.ID)
	}
	// Output:
	// 202 order-1
	// 422 true
}

// A receiver reads the raw body, verifies it, answers at once, and does its work afterwards, once for each event.
func ExampleVerify() {
	const secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	http.HandleFunc("POST /hooks", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			http.Error(w, "too large", http.StatusRequestEntityTooLarge)
			return
		}
		if err := client.Verify(client.DialectStandard, secret, r.Header, body); err != nil {
			http.Error(w, "not verified", http.StatusUnauthorized)
			return
		}
		// Keep webhook-id, and leave out an event whose id is there already.
		w.WriteHeader(http.StatusNoContent)
	})

	err := client.Verify(client.DialectStandard, secret, http.Header{"Webhook-Id": {"evt_1"}}, []byte(`{}`))
	fmt.Println(errors.Is(err, client.ErrMissingHeader))
	// Output: true
}

// withEvents makes a tenant with an endpoint and n events.
func withEvents(n int) string {
	ctx, c, tenant := context.Background(), dial(), unique()
	_, err := c.CreateTenant(ctx, client.TenantCreate{ID: tenant, Name: "Acme", Dialect: client.DialectStandard})
	must(err)
	_, err = c.CreateEndpoint(ctx, tenant, client.EndpointCreate{URL: "https://receiver.example/hooks", EventTypes: []string{"*"}})
	must(err)
	for range n {
		_, err = c.PublishEvent(ctx, tenant, client.EventCreate{Type: "order.confirmed", Data: 1})
		must(err)
	}
	return tenant
}
