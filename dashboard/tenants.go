package dashboard

import (
	"net/url"

	"waybill/webhook"
)

// tenantRoutes are the pages of operators, which belong to no tenant, and the overview of a tenant.
func tenantRoutes() []route {
	return []route{
		{"GET", "/tenants", operators, listTenants},
		{"GET", "/new-tenant", operators, askTenant},
		{"POST", "/new-tenant", operators, addTenant},
		{"GET", "/instance", operators, showInstance},
		{"POST", "/instance/dispatches/{dispatch}/retry", operators, retryDispatch},
		{"GET", tenantPath, ofTenant, showOverview},
		{"GET", tenantPath + "/theme.css", ofTenant, showTheme},
	}
}

// tenantsPage is a page of the list of tenants.
type tenantsPage struct {
	list[tenant]
	Problem *problem
	// Filtered says that not all are listed.
	Filtered bool
}

// listTenants is GET /tenants.
func listTenants(c *call) error {
	query := c.page()
	if text := c.Query("q"); text != "" {
		query.Set("q", text)
	}
	p := tenantsPage{Filtered: query.Has("q")}
	err := c.get("/v1/tenants", query, &p.list)
	if p.Problem = mendable(err); err != nil && p.Problem == nil {
		return err
	}
	return c.show("tenants", view{Title: "Tenants", Section: "tenants", Status: p.Problem.status(), Data: &p})
}

// tenantForm is a new tenant.
type tenantForm struct {
	form
	Dialects []webhook.Dialect
}

// askTenant is GET /new-tenant.
func askTenant(c *call) error {
	return c.showTenantForm(&tenantForm{form: newForm(url.Values{"dialect": {"standard"}})})
}

func (c *call) showTenantForm(f *tenantForm) error {
	var known list[webhook.Dialect]
	if err := c.get("/v1/dialects", nil, &known); err != nil {
		return err
	}
	f.Dialects = known.Data
	f.Values.Del("secret") // it is on no page
	return c.show("new-tenant", view{Title: "Add a tenant", Section: "tenants", Status: f.status(), Data: f})
}

// addTenant is POST /new-tenant.
func addTenant(c *call) error {
	posted := c.posted()
	f := &tenantForm{form: posted}
	in := map[string]string{}
	for _, name := range []string{"id", "name", "dialect", "contact_email", "url", "secret"} {
		if value := f.Value(name); value != "" {
			in[name] = value
		}
	}
	err := c.postOnce("/v1/tenants", f.Once, in, nil)
	if f.refusedBy(err) {
		return c.showTenantForm(f)
	}
	if err != nil {
		return err
	}
	return c.done("/tenants/"+url.PathEscape(f.Value("id")), "The tenant is made. Add its first endpoint, and a key for its backend.")
}
