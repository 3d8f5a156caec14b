package dashboard

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"waybill/webhook"
)

// secrets is what the API tells of signing secrets.
type secrets struct {
	Secret              string     `json:"secret"`
	PublicKey           string     `json:"public_key"`
	Fingerprint         string     `json:"fingerprint"`
	PreviousValidUntil  *time.Time `json:"previous_valid_until"`
	PreviousFingerprint string     `json:"previous_fingerprint"`
	SwitchAt            *time.Time `json:"switch_at"`
}

// secretPage is about the signing secret of an endpoint.
type secretPage struct {
	Endpoint *endpoint
	// Secrets is nil until somebody asked to see them. Done says what was done.
	Secrets *secrets
	Done    string
	Problem *problem
	Once    string
	// Lists says that a header has the signatures of both secrets while they overlap, and Single that one has a single signature.
	Lists, Single  bool
	Algorithms     []webhook.Algorithm
	DefaultOverlap webhook.Duration
}

func (c *call) secretPage() (*secretPage, error) {
	e, err := c.findEndpoint()
	if err != nil {
		return nil, err
	}
	if !c.Manages() || c.Dialect.Secret.Scope != webhook.SecretOfEndpoint {
		return nil, notFound("This endpoint has no signing secret of its own, or this session may not see it.")
	}
	p := &secretPage{Endpoint: e, Once: newOnce(), Algorithms: c.Dialect.Algorithms(), DefaultOverlap: webhook.Duration(webhook.DefaultOverlap)}
	p.Lists = slices.ContainsFunc(c.Dialect.Signatures, func(s webhook.Signature) bool { return s.List })
	p.Single = slices.ContainsFunc(c.Dialect.Signatures, func(s webhook.Signature) bool { return !s.List })
	return p, nil
}

func (p *secretPage) show(c *call) error {
	v := view{Title: "Signing secret", Section: "endpoints", Data: p}
	if p.Problem != nil {
		v.Status = p.Problem.Status
	}
	return c.show("endpoint-secret", v)
}

// showEndpointSecret is GET .../endpoints/{endpoint}/secret. It shows no secret.
func showEndpointSecret(c *call) error {
	p, err := c.secretPage()
	if err != nil {
		return err
	}
	return p.show(c)
}

// changeSecret is POST .../endpoints/{endpoint}/secret: it reveals, rotates or retires. The answer is the page itself, because a secret
// is in no address and no cookie.
func changeSecret(c *call) error {
	p, err := c.secretPage()
	if err != nil {
		return err
	}
	path, found := []string{"endpoints", p.Endpoint.ID.String()}, &secrets{}
	switch c.r.FormValue("act") {
	case "rotate":
		p.Done = "The secret is rotated. Give the new one to the receiver."
		once := cmp.Or(c.r.FormValue("once"), p.Once)
		err = c.postOnce(c.path(append(path, "rotate-secret")...), once, c.rotation(), found)
	case "retire":
		p.Done = "The previous secret signs no more."
		err = c.send(http.MethodPost, c.path(append(path, "retire-secret")...), nil, found)
	default:
		err = c.get(c.path(append(path, "secret")...), nil, found)
	}
	if p.Problem = mendable(err); p.Problem != nil {
		p.Done = ""
		return p.show(c)
	}
	if err != nil {
		return err
	}
	p.Secrets = found
	return p.show(c)
}

// askRetireSecret is GET .../endpoints/{endpoint}/retire-secret.
func askRetireSecret(c *call) error {
	p, err := c.secretPage()
	if err != nil {
		return err
	}
	return c.confirm("endpoints", confirmation{
		Title: "Retire the previous secret?", Button: "Retire it", Danger: true, Action: c.back(p.Endpoint) + "/secret", Back: c.back(p.Endpoint) + "/secret",
		Effects: []string{"A rotation that is not over ends now: the current secret alone signs.",
			"A receiver of " + p.Endpoint.URL + " that still verifies with the previous one refuses what follows. This cannot be undone."},
		Fields: []confirmField{{Kind: "hidden", Name: "act", Value: "retire"}},
	})
}

// rotation is the form as the API takes it.
func (c *call) rotation() map[string]any {
	in := map[string]any{}
	for _, name := range []string{"secret", "overlap", "algorithm"} {
		if value := c.r.FormValue(name); value != "" {
			in[name] = value
		}
	}
	if at := c.r.FormValue("switch_at"); at != "" {
		in["switch_at"] = inUTC(at)
	}
	return in
}
