package main_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// verifyTradevine is the C# sample of Tradevine's document, line by line: the payload is read as a string, and what
// Encoding.ASCII.GetBytes makes of it is hashed, which puts '?' for whatever is not ASCII.
func verifyTradevine(body []byte, h http.Header, consumerSecret string) error {
	var inputBytes []byte
	for _, r := range string(body) {
		switch {
		case r < 0x80:
			inputBytes = append(inputBytes, byte(r))
		case r > 0xffff: // two UTF-16 units in a C# string
			inputBytes = append(inputBytes, "??"...)
		default:
			inputBytes = append(inputBytes, '?')
		}
	}
	hasher := hmac.New(sha256.New, []byte(consumerSecret))
	hasher.Write(inputBytes)
	calculatedHash := strings.ToLower(hex.EncodeToString(hasher.Sum(nil)))
	if h.Get("X-Tradevine-Hmac-SHA256") != calculatedHash {
		return errors.New("X-Tradevine-Hmac-SHA256 does not match")
	}
	return nil
}

// receiveTradevine checks a whole request and returns its type and its payload: a product or a sales order.
func receiveTradevine(a *arrival, consumerSecret string) (eventType string, payload json.RawMessage, err error) {
	if err := verifyTradevine(a.body, a.header, consumerSecret); err != nil {
		return "", nil, err
	}
	found, err := members(a.body)
	if err != nil || len(found) != 4 {
		return "", nil, fmt.Errorf("the body is %s: %w", a.body, err)
	}
	group := "SalesOrder"
	if strings.HasPrefix(text(found[1].value), "product.") {
		group = "Product"
	}
	e, err := envelope(a.body, "EventID", "EventType", "CreatedDate", group)
	if err != nil {
		return "", nil, err
	}
	if !isoSeconds.MatchString(text(e["CreatedDate"])) || text(e["EventID"]) == "" {
		return "", nil, fmt.Errorf("the body is %s", a.body)
	}
	return text(e["EventType"]), e[group], nil
}
