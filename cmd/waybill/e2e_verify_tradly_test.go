package main_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// verifyTradly is Tradly's "To Verify the webhook signature": HMAC SHA256 with the webhook secret as secret and the
// event id as input message has to match X-Tradly-Signature.
func verifyTradly(body []byte, h http.Header, secret string) error {
	var event struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(body, &event); err != nil || event.ID == "" {
		return fmt.Errorf("the body has no id: %s", body)
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(event.ID))
	if h.Get("X-Tradly-Signature") != hex.EncodeToString(mac.Sum(nil)) {
		return errors.New("X-Tradly-Signature does not match")
	}
	return nil
}

// receiveTradly checks a whole request, the signature that protects its body too, and returns its type and data.
func receiveTradly(a *arrival, secret string) (eventType string, data json.RawMessage, err error) {
	if err := verifyTradly(a.body, a.header, secret); err != nil {
		return "", nil, err
	}
	library, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return "", nil, err
	}
	if err := library.Verify(a.body, a.header); err != nil {
		return "", nil, err
	}
	e, err := envelope(a.body, "id", "type", "created_at", "data")
	if err != nil {
		return "", nil, err
	}
	if !isoSeconds.MatchString(text(e["created_at"])) {
		return "", nil, fmt.Errorf("created_at is %s", e["created_at"])
	}
	return text(e["type"]), e["data"], header(a.header, "Content-Type", "application/json")
}
