package dashboard

import "net/url"

// listTenants is GET /tenants.
func listTenants(c *call) error {
	query := url.Values{}
	if cursor := c.Query("cursor"); cursor != "" {
		query.Set("cursor", cursor)
	}
	var found list[tenant]
	if err := c.get("/v1/tenants", query, &found); err != nil {
		return err
	}
	return c.show("tenants", view{Title: "Tenants", Section: "tenants", Data: found})
}
