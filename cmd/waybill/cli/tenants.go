package cli

import (
	"context"
	"fmt"
	"iter"

	"github.com/spf13/cobra"

	"waybill/client"
)

var tenantColumns = []column[client.Tenant]{
	{"ID", false, func(t client.Tenant) string { return t.ID }},
	{"NAME", false, func(t client.Tenant) string { return t.Name }},
	{"DIALECT", false, func(t client.Tenant) string { return t.Dialect }},
	{"CONTACT", true, func(t client.Tenant) string { return orNone(t.ContactEmail) }},
	{"URL", true, func(t client.Tenant) string { return orNone(t.URL) }},
	{"EXPRESS", false, func(t client.Tenant) string { return yesNo(t.Express) }},
	{"RETRY", true, func(t client.Tenant) string { return compact(t.Retry) }},
	{"RETENTION", true, func(t client.Tenant) string { return orNone(t.Retention) }},
	{"ENDPOINTS AT MOST", true, func(t client.Tenant) string { return number(t.Limits.Endpoints) }},
	{"METADATA", true, func(t client.Tenant) string { return compact(t.Metadata) }},
	{"SECRET, SHOWN ONCE", true, func(t client.Tenant) string { return orNone(t.Secret) }},
	{"CREATED", false, func(t client.Tenant) string { return at(t.CreatedAt) }},
}

var tenantFields = []field{
	{"name", "name", aText, "name, for people"},
	{"contact-email", "contact_email", aText, "who gets mail when an endpoint is in trouble"},
	{"site", "url", aText, "the https address that the platform's users know it by"},
	{"express", "express", aYesNo, "make attempts without a workflow for each event"},
	{"retry", "retry", aValue, `waits between attempts, such as '{"policy":"table-5"}'`},
	{"retention", "retention", aText, "how long bodies are kept, such as 720h"},
	{"limits", "limits", aValue, `limits, such as '{"endpoints":500}'`},
	{"metadata", "metadata", aMap, "names and values of your own: name=value, several by commas"},
}

func newTenants(e Env) *cobra.Command {
	c := &cobra.Command{
		Use: "tenants", Short: "Platforms and partners, isolated from each other",
		Long:    "Shows and changes tenants. A tenant is a platform or a partner, isolated from all others. Most of it needs an administrator's key.",
		Example: "  waybill tenants create acme --name Acme --dialect standard\n  waybill tenants list",
	}
	n := connect(e, c)
	open := func(context.Context) (*client.Client, string, error) {
		w, err := n.Client()
		return w, "", err
	}
	c.AddCommand(newTenantsList(e, open), newTenantsCreate(e, open), newTenantsUpdate(e, open), newTenantsDelete(e, open))
	c.AddCommand(
		one(open, e, about{"get TENANT", "Show a tenant", "Shows a tenant.", "waybill tenants get acme"}, tenantColumns,
			func(in call) (*client.Tenant, error) { return in.client.GetTenant(in.ctx, in.args[0]) }),
		one(open, e, about{
			"secret TENANT", "Show the signing secret of a tenant, which the audit log notes",
			"Shows the signing secret of a tenant whose dialect has one for all its endpoints. That it was shown is noted in the audit log.", "waybill tenants secret acme",
		}, secretColumns, func(in call) (*client.SigningSecret, error) { return in.client.RevealTenantSecret(in.ctx, in.args[0]) }),
		newRotate(open, e, about{
			"rotate-secret TENANT", "Give a tenant a new signing secret",
			"Gives a tenant a new signing secret, where its dialect has one for all its endpoints. A secret of your own is given with --json.",
			"waybill tenants rotate-secret acme --overlap 24h",
		}, func(in call, body *client.RotateSecret) (*client.SigningSecret, error) {
			return in.client.RotateTenantSecret(in.ctx, in.args[0], body)
		}),
		one(open, e, about{
			"retire-secret TENANT", "End the overlap of a rotation", "Ends the overlap of a rotation: only the new secret signs from now on.", "waybill tenants retire-secret acme",
		}, secretColumns, func(in call) (*client.SigningSecret, error) { return in.client.RetireTenantSecret(in.ctx, in.args[0]) }),
		newStats(open, e, about{"stats TENANT", "What a tenant's endpoints got", "Shows what all endpoints of a tenant got in a window.", "waybill tenants stats acme --window 1h"},
			func(in call, window string) (*client.Stats, error) {
				return in.client.GetTenantStats(in.ctx, in.args[0], &client.GetTenantStatsParams{Window: new(client.GetTenantStatsParamsWindow(window))})
			}),
		newPortalLink(open, e),
	)
	return MakeParent(c)
}

// opener returns what a command calls with.
type opener = func(context.Context) (*client.Client, string, error)

func newTenantsList(e Env, open opener) *cobra.Command {
	p := &client.ListTenantsParams{}
	var dialect, q string
	c := many(open, e, about{"list", "List the tenants", "Lists the tenants.", "waybill tenants list --dialect standard\nwaybill tenants list --all -o json"}, tenantColumns,
		func(in call, page *int) (iter.Seq2[client.Tenant, error], error) {
			p.Limit, p.Dialect, p.Q = page, maybe(dialect), maybe(q)
			return in.client.Tenants(in.ctx, p), nil
		})
	c.Flags().StringVar(&dialect, "dialect", "", "only those of a dialect")
	c.Flags().StringVar(&q, "q", "", "only those whose id or name has this text")
	c.Flags().StringToStringVar(&p.Metadata, "metadata", nil, "only those with this metadata: name=value")
	return c
}

func newTenantsCreate(e Env, open opener) *cobra.Command {
	var b *body
	var self *cobra.Command
	self = one(open, e, about{
		"create TENANT", "Make a tenant",
		"Makes a tenant with an id of your choice. Where the dialect's secret is the tenant's, the answer shows it once. A secret of your own is given with --json.",
		"waybill tenants create acme --name Acme --dialect standard\nwaybill tenants create acme --json @tenant.json",
	}, tenantColumns, func(in call) (*client.Tenant, error) {
		var request client.TenantCreate
		if err := b.into(self, &request); err != nil {
			return nil, err
		}
		request.ID = in.args[0]
		return in.client.CreateTenant(in.ctx, request)
	})
	b = addBody(e, self, false, append([]field{{"dialect", "dialect", aText, "how its webhooks look, such as standard"}}, tenantFields...)...)
	return self
}

func newTenantsUpdate(e Env, open opener) *cobra.Command {
	var b *body
	var self *cobra.Command
	self = one(open, e, about{
		"update TENANT", "Change a tenant", "Changes a tenant. What is not given stays.", "waybill tenants update acme --contact-email ops@acme.example\nwaybill tenants update acme --clear retry",
	}, tenantColumns, func(in call) (*client.Tenant, error) {
		var request client.TenantPatch
		if err := b.into(self, &request); err != nil {
			return nil, err
		}
		return in.client.UpdateTenant(in.ctx, in.args[0], request)
	})
	b = addBody(e, self, true, tenantFields...)
	return self
}

var erasureColumns = []column[client.Erasure]{
	{"TENANT", false, func(r client.Erasure) string { return r.Tenant }},
	{"STATUS", false, func(r client.Erasure) string { return text(r.Status) }},
	{"ROWS", false, func(r client.Erasure) string { return number(r.Rows) }},
	{"STARTED", false, func(r client.Erasure) string { return at(r.StartedAt) }},
	{"FINISHED", false, func(r client.Erasure) string { return maybeAt(r.FinishedAt) }},
}

func newTenantsDelete(e Env, open opener) *cobra.Command {
	var yes, wait bool
	c := one(open, e, about{
		"delete TENANT", "Erase a tenant and all that it has",
		"Erases a tenant with its endpoints, events, deliveries, attempts and keys. Nothing brings them back, so that --yes is required. With --wait it waits until all is gone, " +
			"which takes two minutes at least.",
		"waybill tenants delete acme --yes --wait",
	}, erasureColumns, func(in call) (*client.Erasure, error) {
		if !yes {
			return nil, Usagef("%s and all its events are erased for good: say --yes", in.args[0])
		}
		r, err := in.client.EraseTenant(in.ctx, in.args[0], &client.EraseTenantParams{Confirm: in.args[0]})
		if err != nil || !wait {
			return r, err
		}
		fmt.Fprintf(e.Err, "Nobody can use %s any more. Its rows go after what was under way, in two minutes or later.\n", clean(in.args[0]))
		err = e.await(in.ctx, func() (ended bool, says string, err error) {
			now, err := in.client.GetErasure(in.ctx, in.args[0])
			if err != nil {
				return false, "", err
			}
			r = now
			return r.FinishedAt != nil, fmt.Sprintf("%d rows are gone", r.Rows), nil
		})
		return r, err
	})
	c.Flags().BoolVar(&yes, "yes", false, "yes, erase it")
	c.Flags().BoolVar(&wait, "wait", false, "wait until all is gone")
	return c
}

func newPortalLink(open opener, e Env) *cobra.Command {
	var b *body
	var self *cobra.Command
	self = one(open, e, about{
		"portal-link TENANT", "Make a link to a tenant's dashboard", "Makes a short-lived link that opens the dashboard for one tenant. Whoever has it has its rights.",
		"waybill tenants portal-link acme --expires-in 1h --scopes read,manage",
	}, []column[client.Link]{
		{"URL", false, func(l client.Link) string { return l.URL }}, {"EXPIRES", false, func(l client.Link) string { return at(l.ExpiresAt) }},
	}, func(in call) (*client.Link, error) {
		var request client.PortalLinkCreate
		if err := b.into(self, &request); err != nil {
			return nil, err
		}
		return in.client.CreatePortalLink(in.ctx, in.args[0], &request)
	})
	b = addBody(e, self, false, field{"expires-in", "expires_in", aText, "how long it works, such as 1h"}, field{"scopes", "scopes", aList, "read, or read,manage"})
	return self
}

// maybe is nil of a text that is "".
func maybe(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
