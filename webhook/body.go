package webhook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

// Body is the rendered JSON body of an event. Every attempt of a delivery sends the same bytes. A dialect may put the
// delivery's UUID into the body; its 36 bytes are spliced in at DeliveryIDAt (-1: nowhere), so that one stored body
// serves all deliveries.
type Body struct {
	Bytes        []byte
	DeliveryIDAt int
	// Bytes[DataFrom:DataTo] is the published data.
	DataFrom, DataTo int
}

// For returns the bytes that are sent for a delivery. The result may share memory with b.
func (b Body) For(id DeliveryID) []byte {
	if b.DeliveryIDAt < 0 {
		return b.Bytes
	}
	out := make([]byte, 0, len(b.Bytes)+36)
	out = append(out, b.Bytes[:b.DeliveryIDAt]...)
	out = append(out, id.UUID()...)
	return append(out, b.Bytes[b.DeliveryIDAt:]...)
}

// Data returns the published data: the caller's bytes, or their ASCII form where the dialect sends only ASCII.
func (b Body) Data() json.RawMessage { return b.Bytes[b.DataFrom:b.DataTo] }

// Render writes the dialect's envelope around the event's data. Data is copied byte for byte, except that ASCIIOnly
// escapes non-ASCII characters.
func (d *Dialect) Render(e *Event) Body {
	var buf bytes.Buffer
	buf.Grow(len(e.Data) + 256)
	body := Body{DeliveryIDAt: -1}
	buf.WriteByte('{')
	for _, f := range d.Envelope {
		if !f.covers(e.Type) {
			continue
		}
		if buf.Len() > 1 {
			buf.WriteByte(',')
		}
		writeString(&buf, f.Name, d.ASCIIOnly)
		buf.WriteByte(':')
		switch f.From {
		case FromDeliveryID:
			buf.WriteByte('"')
			body.DeliveryIDAt = buf.Len()
			buf.WriteByte('"')
		case FromData:
			body.DataFrom = buf.Len()
			writeRaw(&buf, e.Data, d.ASCIIOnly)
			body.DataTo = buf.Len()
		case FromEventID:
			writeString(&buf, e.ID, d.ASCIIOnly)
		case FromType:
			writeString(&buf, e.Type, d.ASCIIOnly)
		case FromOccurredAt:
			writeString(&buf, e.OccurredAt.UTC().Format(d.TimeFormat.layout()), d.ASCIIOnly)
		case FromAttribute:
			if value, ok := e.Attributes[f.Attribute]; ok {
				writeString(&buf, value, d.ASCIIOnly)
			} else {
				buf.WriteString("null")
			}
		}
	}
	buf.WriteByte('}')
	body.Bytes = buf.Bytes()
	return body
}

func (f EnvelopeField) covers(eventType string) bool {
	return len(f.Types) == 0 || slices.ContainsFunc(f.Types, func(p string) bool { return matchType(p, eventType) })
}

// carries reports whether the envelope for the event type has a member for its data.
func (d *Dialect) carries(eventType string) bool {
	return slices.ContainsFunc(d.Envelope, func(f EnvelopeField) bool { return f.From == FromData && f.covers(eventType) })
}

// writeString writes s as a JSON string without escaping <, > and &. A receiver that encodes the body again to check the
// signature would not expect them escaped.
func writeString(buf *bytes.Buffer, s string, asciiOnly bool) {
	var quoted bytes.Buffer
	enc := json.NewEncoder(&quoted)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	writeRaw(buf, bytes.TrimSuffix(quoted.Bytes(), []byte("\n")), asciiOnly)
}

// writeRaw copies JSON text. In valid JSON a non-ASCII character can only be inside a string, where \uXXXX (a surrogate
// pair above U+FFFF) means the same.
func writeRaw(buf *bytes.Buffer, text []byte, asciiOnly bool) {
	if !asciiOnly {
		buf.Write(text)
		return
	}
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r < utf8.RuneSelf:
			buf.WriteByte(text[0])
		case r <= 0xFFFF:
			fmt.Fprintf(buf, `\u%04x`, r)
		default:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(buf, `\u%04x\u%04x`, high, low)
		}
		text = text[size:]
	}
}
