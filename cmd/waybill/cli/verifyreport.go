package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"waybill/client"
	"waybill/webhook"
)

// verdict is what the command verify says, and its JSON.
type verdict struct {
	Valid      bool                       `json:"valid"`
	Dialect    string                     `json:"dialect"`
	At         time.Time                  `json:"at"`
	Signatures []webhook.SignatureFinding `json:"signatures"`
	// Refused is why the client's Verify refuses the request; "": it does not, or it does not know the dialect.
	Refused string `json:"refused,omitempty"`
	// unread says that a header or the secret cannot be read, which Refused says and the signatures do not.
	unread bool
	// Notes say what is odd besides, and Advice what to do.
	Notes  []string `json:"notes,omitempty"`
	Advice []string `json:"advice,omitempty"`
}

// verify verifies with the step-by-step check that the API has, and with what receivers use.
func (v *toVerify) verify() *verdict {
	out := &verdict{Dialect: v.dialect.Name, At: v.at.UTC().Truncate(time.Second), Signatures: []webhook.SignatureFinding{}, Valid: true}
	if v.note != "" {
		out.Notes = append(out.Notes, v.note)
	}
	public := slices.ContainsFunc(v.secrets, isPublic)
	if !public {
		// The steps need the key that signs; a public one is enough for the verdict alone.
		v.explain(out)
	}
	switch {
	case v.known:
		options := []client.VerifyOption{client.WithClock(func() time.Time { return v.at })}
		for _, secret := range v.secrets[1:] {
			options = append(options, client.OrSecret(secret))
		}
		if err := client.Verify(v.dialect.Name, v.secrets[0], v.header, v.body, options...); err != nil {
			out.Valid, out.Refused = false, strings.TrimPrefix(err.Error(), "webhook: ")
			out.unread = errors.Is(err, client.ErrMalformed) || errors.Is(err, client.ErrBadSecret)
			v.advise(out, err)
		}
	case public:
		out.Valid, out.Refused = false, "a public key verifies with the dialects that come with Waybill only"
	}
	return out
}

func isPublic(secret string) bool { return strings.HasPrefix(secret, webhook.PublicKeyPrefix) }

// explain adds the steps of each signature.
func (v *toVerify) explain(out *verdict) {
	check := &webhook.SignatureCheck{
		Dialect: v.dialect, Keys: webhook.SigningKeys{Current: webhook.SecretFromText(strings.TrimSpace(v.secrets[0]))}, URL: v.url, Body: v.body, At: v.at, ShowExpected: true,
	}
	if len(v.secrets) == 2 {
		never := v.at.Add(time.Hour)
		check.Keys.Previous, check.Keys.PreviousUntil, check.Keys.SwitchAt = webhook.SecretFromText(strings.TrimSpace(v.secrets[1])), &never, nil
	}
	for name, values := range v.header {
		if message := http.CanonicalHeaderKey(name); v.url == "" && (message == "Signature" || message == "Signature-Input") {
			continue // it covers the URL
		}
		if slices.ContainsFunc(v.dialect.Signatures, func(s webhook.Signature) bool { return strings.EqualFold(s.Header, name) }) {
			for _, value := range values {
				check.Headers = append(check.Headers, webhook.Header{Name: name, Value: value})
			}
			continue
		}
		// A proxy may add one of these again, which means the same as a list.
		check.Headers = append(check.Headers, webhook.Header{Name: name, Value: strings.Join(values, ", ")})
	}
	if err := check.Validate(); err != nil {
		if v.known { // the verdict needs no steps
			out.Notes = append(out.Notes, "the steps of the signature are not shown, because the request is unusual: "+err.Error())
			return
		}
		out.Valid, out.Refused = false, err.Error()
		return
	}
	report := webhook.VerifySignature(check)
	out.Valid, out.Signatures = report.Valid, report.Signatures
}

// advise says what to do about a request that does not verify.
func (v *toVerify) advise(out *verdict, err error) {
	reasons := ""
	for i := range out.Signatures {
		reasons += out.Signatures[i].Reason + "\n"
	}
	add := func(text string) { out.Advice = append(out.Advice, text) }
	switch {
	case errors.Is(err, client.ErrWrongSignature) && len(v.body) == 0:
		add("The body is empty, and no webhook has an empty one: something has read it before. Take its bytes as they arrived: " + rawBody)
	case errors.Is(err, client.ErrTooOld), errors.Is(err, client.ErrTooNew):
		add("The signature is right, the clock is not: check the clock of the receiver. A capture that is verified later needs --at.")
	case strings.Contains(reasons, "parsed and written again"), strings.Contains(reasons, "white space"):
		add("This is the commonest mistake. Verify the bytes of the body as they arrived, before anything parses them: " + rawBody)
	case errors.Is(err, client.ErrMissingHeader):
		if all, err := ownDialects(); err == nil {
			if name := guessDialect(all, v.header); name != v.dialect.Name {
				add(fmt.Sprintf("The request has a signature header of the dialect %s: try --dialect %s.", name, name))
				return
			}
		}
		add("See whether a proxy before the receiver removes the header, and whether the request comes from Waybill at all.")
	case errors.Is(err, client.ErrBadSecret):
		add("Copy the secret anew, whole and as it is shown.")
	case errors.Is(err, client.ErrWrongSignature) && slices.ContainsFunc(v.secrets, isPublic):
		if !strings.Contains(v.header.Get("webhook-signature"), "v1a,") {
			add("The request was signed with a secret (v1), not with an Ed25519 key (v1a): verify it with the endpoint's secret.")
			return
		}
		add("Compare the public key with the endpoint's, which GET .../public-key shows.")
		add("If the key is right, the body is not the raw one, which is the commonest mistake. Take its bytes as they arrived: " + rawBody)
	case errors.Is(err, client.ErrWrongSignature) && (len(out.Signatures) == 0 || strings.Contains(reasons, "no secret of the endpoint")):
		add("Compare the secret's fingerprint, " + fingerprints(v.secrets) + ", with that of 'waybill endpoints secret', or of 'waybill tenants secret' where the tenant has it.")
		add("If the secret is right, the body is not the raw one, which is the commonest mistake. Take its bytes as they arrived: " + rawBody)
	}
}

// rawBody is how receivers get the raw body.
const rawBody = "express.raw({type: '*/*'}) in Node, request.get_data() in Flask, io.ReadAll(r.Body) in Go, Request.Body in C#."

func fingerprints(secrets []string) string {
	out := make([]string, len(secrets))
	for i, secret := range secrets {
		out[i] = webhook.SecretFromText(secret).Fingerprint()
	}
	return strings.Join(out, " or ")
}

// write writes the verdict for people.
func (o *verdict) write(out io.Writer) {
	if o.Valid {
		fmt.Fprintf(out, "The request verifies (dialect %s).\n", o.Dialect)
	} else {
		fmt.Fprintf(out, "The request does not verify (dialect %s, at %s).\n", o.Dialect, o.At.Format(time.RFC3339))
	}
	saysMore := true // the refusal says more than the signatures
	for i := range o.Signatures {
		f := &o.Signatures[i]
		saysMore = saysMore && f.Valid
		fmt.Fprintf(out, "\n%s: %s\n", f.Header, clean(f.Reason))
		if f.Valid && o.Valid {
			continue
		}
		for _, step := range f.Steps {
			fmt.Fprintf(out, "  %s: %s\n", step.Name, clean(step.Value))
		}
	}
	if o.Refused != "" && (saysMore || o.unread) {
		fmt.Fprintf(out, "\nA receiver refuses it: %s\n", clean(o.Refused))
	}
	for _, note := range o.Notes {
		fmt.Fprintf(out, "\nNote: %s\n", clean(note))
	}
	for _, advice := range o.Advice {
		fmt.Fprintf(out, "\n%s\n", Wrap(advice, ""))
	}
}
