package dashboard

import (
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

// secretPage is about a signing secret: of an endpoint, or of a tenant whose endpoints share it.
type secretPage struct {
	form
	// Owner is whose secret it is, at OwnerHref. Shared says that all endpoints of the tenant are signed with it.
	Owner, OwnerHref string
	Shared           bool
	// Href is below which the pages are, api below which the API's paths are, and section the entry of the navigation.
	Href    string
	api     string
	section string
	// Secrets is nil until somebody asked to see them. Done says what was done.
	Secrets *secrets
	Done    string
	// Lists says that a header has the signatures of both secrets while they overlap, and Single that one has a single signature.
	Lists, Single bool
	// Algorithms are those to choose from, and Algorithm is the one of now.
	Algorithms     []webhook.Algorithm
	Algorithm      webhook.Algorithm
	DefaultOverlap webhook.Duration
}

// secretPage is about the endpoint of the path, or about the tenant where the path has none.
func (c *call) secretPage() (*secretPage, error) {
	p := &secretPage{form: newForm(nil), DefaultOverlap: webhook.Duration(webhook.DefaultOverlap)}
	p.Lists = slices.ContainsFunc(c.Dialect.Signatures, func(s webhook.Signature) bool { return s.List })
	p.Single = slices.ContainsFunc(c.Dialect.Signatures, func(s webhook.Signature) bool { return !s.List })
	if c.part("endpoint") == "" {
		if c.Dialect.Secret.Scope != webhook.SecretOfTenant {
			return nil, notFound("Each endpoint of this tenant has a secret of its own. Its page shows and rotates it.")
		}
		p.Owner, p.OwnerHref, p.Shared = c.Tenant.Name, c.Href("settings"), true
		p.Href, p.api, p.section = c.Href(), c.path(), "settings"
		return p, nil
	}
	e, err := c.findEndpoint()
	if err != nil {
		return nil, err
	}
	if !c.Manages() || c.Dialect.Secret.Scope != webhook.SecretOfEndpoint {
		return nil, notFound("This endpoint has no signing secret of its own, or this session may not see it.")
	}
	p.Owner, p.OwnerHref, p.Href, p.api, p.section = e.Title(), c.back(e), c.back(e), c.path("endpoints", e.ID.String()), "endpoints"
	p.Algorithms, p.Algorithm = c.Dialect.Algorithms(), e.SigningInForce.Algorithm
	return p, nil
}

func (p *secretPage) show(c *call) error {
	return c.show("secret", view{Title: "Signing secret", Section: p.section, Status: p.status(), Data: p})
}

// showSecret is GET .../endpoints/{endpoint}/secret and GET /tenants/{tenant}/secret. It shows no secret.
func showSecret(c *call) error {
	p, err := c.secretPage()
	if err != nil {
		return err
	}
	return p.show(c)
}

// changeSecret is POST to the same: it reveals, rotates or retires. The answer is the page itself, because a secret is in no address and
// no cookie.
func changeSecret(c *call) error {
	p, err := c.secretPage()
	if err != nil {
		return err
	}
	found := &secrets{}
	switch c.r.PostFormValue("act") {
	case "rotate":
		p.Done = "The secret is rotated. Give the new one to the receiver."
		if p.Shared {
			p.Done = "The secret is rotated. Give the new one to the receivers."
		}
		err = c.postOnce(p.api+"/rotate-secret", c.posted().Once, c.rotation(), found)
	case "retire":
		p.Done = "The previous secret signs no more."
		err = c.send(http.MethodPost, p.api+"/retire-secret", nil, found)
	default:
		err = c.get(p.api+"/secret", nil, found)
	}
	if p.refusedBy(err) {
		p.Done = ""
		return p.show(c)
	}
	if err != nil {
		return err
	}
	p.Secrets = found
	return p.show(c)
}

// askRetireSecret is GET .../retire-secret.
func askRetireSecret(c *call) error {
	p, err := c.secretPage()
	if err != nil {
		return err
	}
	receivers := "A receiver of " + p.Owner + " that still verifies with the previous one refuses what follows. This cannot be undone."
	return c.confirm(p.section, confirmation{
		Title: "Retire the previous secret?", Button: "Retire it", Danger: true, Action: p.Href + "/secret", Back: p.Href + "/secret",
		Effects: []string{"A rotation that is not over ends now: the current secret alone signs.", receivers},
		Fields:  []confirmField{{Kind: "hidden", Name: "act", Value: "retire"}},
	})
}

// rotation is the form as the API takes it.
func (c *call) rotation() map[string]any {
	in := map[string]any{}
	for _, name := range []string{"secret", "overlap", "algorithm"} {
		if value := c.r.PostFormValue(name); value != "" {
			in[name] = value
		}
	}
	if at := c.r.PostFormValue("switch_at"); at != "" {
		in["switch_at"] = inUTC(at)
	}
	return in
}
