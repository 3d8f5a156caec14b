package dashboard

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"waybill/webhook"
)

// signaturePage shows of what a signature was made, and a box in which the developer of a receiver pastes what arrived there.
type signaturePage struct {
	Delivery webhook.Delivery
	Attempt  *attempt
	Form     signatureForm
	// AsSent says that the report is about what was sent, not about what somebody pasted.
	AsSent  bool
	Report  *webhook.SignatureReport
	Problem *problem

	sent []byte
}

// signatureForm is what somebody pastes.
type signatureForm struct {
	Headers, Body, At string
	// SentBody takes the body that was sent in place of Body, and Base64 says how Body is written.
	SentBody, Base64 bool
}

// SentBytes is the size of the body that was sent.
func (p *signaturePage) SentBytes() int { return len(p.sent) }

// Wrong is what the API says about a field, "" where it says nothing.
func (p *signaturePage) Wrong(name string) string {
	if p.Problem != nil {
		for _, field := range p.Problem.Fields {
			if field.Field == name || strings.HasPrefix(field.Field, name+".") || name == "body" && field.Field == "body_base64" {
				return strings.TrimPrefix(field.Field, name+".") + " " + field.Detail
			}
		}
	}
	return ""
}

// Difference is how far the receiver's clock is from the timestamp, in words.
func (p *signaturePage) Difference() string {
	d := time.Duration(p.Report.Tolerance.DifferenceS) * time.Second
	switch {
	case d == 0:
		return "of this second"
	case d < 0:
		return spell(-d) + " ahead"
	default:
		return spell(d) + " old"
	}
}

// showSignature is GET .../attempts/{attempt}/signature: what was sent, verified as a receiver would have.
func showSignature(c *call) error {
	p, err := c.findSigned()
	if err != nil {
		return err
	}
	p.AsSent = true
	kept := map[string]string{}
	for name, value := range p.Attempt.RequestHeaders {
		if value != redactedValue {
			kept[name] = value
		}
	}
	p.Form = signatureForm{Headers: headerLines(kept), At: p.Attempt.StartedAt.UTC().Format(time.RFC3339)}
	if canPaste(p.sent) {
		p.Form.Body = string(p.sent)
	} else {
		p.Form.SentBody = true
	}
	return p.show(c, kept)
}

// verifySignature is POST .../attempts/{attempt}/signature. It changes nothing.
func verifySignature(c *call) error {
	p, err := c.findSigned()
	if err != nil {
		return err
	}
	p.Form = signatureForm{
		Headers: c.r.PostFormValue("headers"), Body: lineEnds(c.r.PostFormValue("body")), At: strings.TrimSpace(c.r.PostFormValue("at")),
		SentBody: c.r.PostFormValue("sent_body") != "", Base64: c.r.PostFormValue("encoding") == "base64",
	}
	return p.show(c, readHeaders(p.Form.Headers))
}

// findSigned finds the attempt and what it sent.
func (c *call) findSigned() (*signaturePage, error) {
	p := &signaturePage{}
	id := c.part("delivery")
	if err := c.get(c.path("deliveries", id), nil, &p.Delivery); err != nil {
		return nil, err
	}
	if err := c.get(c.path("deliveries", id, "attempts", c.part("attempt")), nil, &p.Attempt); err != nil {
		return nil, err
	}
	if p.Attempt.RequestBody == nil {
		return p, nil
	}
	var err error
	p.sent, err = decodeBody(*p.Attempt.RequestBody, p.Attempt.RequestBodyEncoding)
	return p, err
}

// show asks the API whether and why it verifies.
func (p *signaturePage) show(c *call, headers map[string]string) error {
	in := map[string]any{"headers": headers}
	switch {
	case p.Form.SentBody:
		in["body_base64"] = p.sent
	case p.Form.Base64:
		in["body_base64"] = strings.Join(strings.Fields(p.Form.Body), "")
	default:
		in["body"] = p.Form.Body
	}
	if p.Form.At != "" {
		in["at"] = p.Form.At
	}
	v := view{Title: "Signature", Section: "deliveries", Data: p}
	err := c.send(http.MethodPost, c.path("endpoints", p.Delivery.EndpointID.String(), "verify-signature"), in, &p.Report)
	if refusal := refused(err); refusal != nil && refusal.Status != http.StatusUnauthorized {
		p.Problem, p.Report, v.Status, err = refusal, nil, refusal.Status, nil
	}
	if err != nil {
		return err
	}
	return c.show("signature", v)
}

// canPaste reports whether a body comes back from a box of a form as it is.
func canPaste(b []byte) bool {
	return len(b) <= maxShownBytes && utf8.Valid(b) && !strings.ContainsAny(string(b), "\r\x00")
}

// lineEnds undoes what browsers do to the lines of a box: they send each end as CR LF.
func lineEnds(text string) string { return strings.ReplaceAll(text, "\r\n", "\n") }

// readHeaders reads headers as people paste them: lines of names and values, as curl and many logs write them, or a JSON object. Of
// several lines of a name the values are listed (RFC 9110, section 5.3). What is no header stays a name, for the API to refuse.
func readHeaders(text string) map[string]string {
	out := map[string]string{}
	if json.Unmarshal([]byte(text), &out) == nil && out != nil {
		return out
	}
	out = map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(strings.TrimLeft(line, "<> ")) // as curl -v writes them
		if line == "" || strings.HasPrefix(line, "POST ") && strings.Contains(line, " HTTP/") {
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if before, ok := out[name]; ok {
			value = before + ", " + value
		}
		out[name] = value
	}
	return out
}
