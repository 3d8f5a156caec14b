package workflows

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"

	"waybill/webhook"
)

// AllEndpoints as the EndpointID of a signal or an update means every endpoint of the event.
const AllEndpoints = "*"

// decodeSignal reads input that a person may have typed. It refuses unknown fields: a guess could apply to all endpoints a
// command that was meant for one.
//
//workflowcheck:ignore encoding/json uses reflection; the same bytes decode to the same signal in every replay
func decodeSignal(payload *commonpb.Payload) (EndpointSignal, error) {
	var s EndpointSignal
	if payload == nil {
		return s, errors.New(`there is no input such as {"endpoint_id": "ep_..."}`)
	}
	if encoding := string(payload.GetMetadata()[converter.MetadataEncoding]); encoding != converter.MetadataEncodingJSON {
		return s, fmt.Errorf("the input is not JSON but %q", encoding)
	}
	data := bytes.TrimSpace(payload.GetData())
	if !bytes.HasPrefix(data, []byte("{")) {
		return s, errors.New(`the input is not an object such as {"endpoint_id": "ep_..."}`)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return EndpointSignal{}, explain(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return EndpointSignal{}, errors.New("something follows the input's object")
	}
	switch s.EndpointID {
	case "":
		return EndpointSignal{}, errors.New(`endpoint_id is missing; "*" means every endpoint of the event`)
	case AllEndpoints:
		return s, nil
	}
	var id webhook.EndpointID
	if err := id.UnmarshalText([]byte(s.EndpointID)); err != nil {
		return EndpointSignal{}, fmt.Errorf("endpoint_id: %w", err)
	}
	return s, nil
}

// explain tells who typed the input what is wrong with it, in the terms of JSON.
func explain(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return fmt.Errorf("the input's %s must not be a JSON %s", wrong.Field, wrong.Value)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fmt.Errorf(`the input has an unknown field %s; known are "endpoint_id" and "reason"`, name)
	}
	return fmt.Errorf("the input is not JSON: %w", err)
}

// decodeAsBefore reads a signal as it was read before change strict-signals, in today's terms, and reports whether it could be.
func decodeAsBefore(payload *commonpb.Payload, name string) (EndpointSignal, bool) {
	var s EndpointSignal
	if err := converter.GetDefaultDataConverter().FromPayload(payload, &s); err != nil {
		return s, false
	}
	switch {
	case s.EndpointID == AllEndpoints:
		s.EndpointID = "none" // matches no endpoint
	case s.EndpointID == "" && !switches(name):
		s.EndpointID = AllEndpoints
	}
	return s, true
}

// maxReasonBytes bounds the reason that a person gives.
const maxReasonBytes = 500

// cleanReason bounds a reason and removes its control characters, because it is stored and shown in terminals.
func cleanReason(reason string) string { return webhook.CleanLine(reason, maxReasonBytes) }

func reasonOr(reason, name string) string {
	return cmp.Or(cleanReason(reason), "signaled "+name)
}
