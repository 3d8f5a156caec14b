package main_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// verifyAuction is Auction Excellence's "Signature Verification": HMAC-SHA256 over the raw request body, with the
// webhook secret, in X-Webhook-Signature.
func verifyAuction(rawBody []byte, h http.Header, secret string) error {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(rawBody)
	if h.Get("X-Webhook-Signature") != "sha256="+hex.EncodeToString(mac.Sum(nil)) {
		return errors.New("X-Webhook-Signature does not match")
	}
	return nil
}

// auctionEvent is a payload by the document's "Common Fields".
type auctionEvent struct {
	event, webhookID, auctionID string
	timestamp                   time.Time
	data                        json.RawMessage
}

// receiveAuction checks a whole request: signature, payload and "Additional Headers".
func receiveAuction(a *arrival, secret string) (*auctionEvent, error) {
	if err := verifyAuction(a.body, a.header, secret); err != nil {
		return nil, err
	}
	e, err := envelope(a.body, "event", "timestamp", "webhook_id", "auction_id", "data")
	if err != nil {
		return nil, err
	}
	out := &auctionEvent{event: text(e["event"]), webhookID: text(e["webhook_id"]), auctionID: text(e["auction_id"]), data: e["data"]}
	if out.timestamp, err = time.Parse(time.RFC3339Nano, text(e["timestamp"])); err != nil {
		return nil, err
	}
	if !uuidForm.MatchString(out.webhookID) || !uuidForm.MatchString(out.auctionID) {
		return nil, fmt.Errorf("webhook_id %q and auction_id %q are UUIDs", out.webhookID, out.auctionID)
	}
	return out, errors.Join(
		header(a.header, "X-Webhook-ID", out.webhookID),
		header(a.header, "X-Webhook-Event", out.event),
		header(a.header, "Content-Type", "application/json"),
		header(a.header, "User-Agent", "AuctionExcellence-Webhook/1.0"),
		recent(a.header.Get("X-Webhook-Timestamp")),
	)
}
