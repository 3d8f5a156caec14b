// Package client calls the API of a Waybill, and verifies the webhooks that one sends.
//
// # Calls
//
// New makes a Client of an address and an API key. It has a method for each operation of the API, named as the operation is in
// schemas/openapi.yaml:
//
//	c, err := client.New("https://waybill.example", os.Getenv("WAYBILL_KEY"))
//	receipt, err := c.PublishEvent(ctx, "acme", client.EventCreate{
//		Type: "order.confirmed",
//		Data: map[string]any{"order": 1001},
//	})
//
// A field that may be left out is a pointer, a slice or a map; new("text") makes the pointer. In a patch, Set gives a field a value and
// Clear clears it.
//
// # Errors
//
// An answer that says no is an *Error with the API's stable code:
//
//	var refused *client.Error
//	if errors.As(err, &refused) && refused.Code == client.ErrorCodeInvalid { ... refused.Fields ... }
//
// HasCode is short for that. Any other error is of the network, the context, or of a value that cannot be sent.
//
// # Repeated calls
//
// A call is repeated after a fault of the network, 429, 502, 503 and 504, but only where nothing is done twice: a POST that takes an
// Idempotency-Key gets a random one, the same for all its requests, and a batch is repeated where each of its events has an id. Any other
// POST is repeated only after 429 and where no connection came about, because it was not carried out then. Retry-After is honored.
// WithRetries sets how often and how long; the context ends everything.
//
// # Lists
//
// Each list is a method for one page, and an iterator over all pages: ListDeliveries and Deliveries.
//
//	for delivery, err := range c.Deliveries(ctx, "acme", &client.ListDeliveriesParams{Status: new("exhausted")}) {
//		if err != nil { return err }
//		...
//	}
//
// # Receiving
//
// A receiver gives Verify the header and the raw body of a request, before it parses anything. See its example.
//
// The types and the methods in api.gen.go are generated; codegen/ says how.
package client

//go:generate go tool oapi-codegen -config codegen/config.yaml -o api.gen.go ../schemas/openapi.yaml
