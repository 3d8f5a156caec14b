package main_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// verifyRheo is Rheo's "Signature verification": X-Rheo-Signature is sha256=<hex> of HMAC-SHA256(rawBody,
// webhookSecret), where webhookSecret is the whsec_... value.
func verifyRheo(rawBody []byte, h http.Header, webhookSecret string) error {
	given, ok := strings.CutPrefix(h.Get("X-Rheo-Signature"), "sha256=")
	if !ok {
		return fmt.Errorf("X-Rheo-Signature is %q", h.Get("X-Rheo-Signature"))
	}
	mac := hmac.New(sha256.New, []byte(webhookSecret))
	mac.Write(rawBody)
	if given != hex.EncodeToString(mac.Sum(nil)) {
		return errors.New("X-Rheo-Signature does not match")
	}
	return nil
}

// receiveRheo checks a whole request and returns its event id and type.
func receiveRheo(a *arrival, webhookSecret string) (eventID, eventType string, err error) {
	if err := verifyRheo(a.body, a.header, webhookSecret); err != nil {
		return "", "", err
	}
	e, err := envelope(a.body, "eventId", "eventType", "timestamp", "data")
	if err != nil {
		return "", "", err
	}
	if !strings.HasPrefix(text(e["eventId"]), "evt_") {
		return "", "", fmt.Errorf("eventId is %s", e["eventId"])
	}
	if !isoSeconds.MatchString(text(e["timestamp"])) {
		return "", "", fmt.Errorf("timestamp is %s", e["timestamp"])
	}
	return text(e["eventId"]), text(e["eventType"]), header(a.header, "Content-Type", "application/json")
}
