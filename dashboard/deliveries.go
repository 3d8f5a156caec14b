package dashboard

import (
	"net/url"
	"strconv"
	"strings"

	"waybill/webhook"
)

// deliveryRoutes are the pages of the delivery log.
func deliveryRoutes() []route {
	const one = tenantPath + "/deliveries/{delivery}"
	return []route{
		{"GET", tenantPath + "/deliveries", ofTenant, listDeliveries},
		{"GET", tenantPath + "/deliveries/tail", ofTenant, tailDeliveries},
		{"GET", tenantPath + "/deliveries.csv", ofTenant, exportDeliveries},
		{"GET", one, ofTenant, showDelivery},
		{"GET", one + "/attempts/{attempt}/{side:request|response}-body", ofTenant, showBody},
		{"GET", one + "/attempts/{attempt}/signature", ofTenant, showSignature},
		{"POST", one + "/attempts/{attempt}/signature", ofTenant, verifySignature},
		{"GET", one + "/retry", ofTenant, askRetry},
		{"POST", one + "/retry", ofTenant, retryDelivery},
		{"GET", one + "/cancel", ofTenant, askCancel},
		{"POST", one + "/cancel", ofTenant, cancelDelivery},
	}
}

// logPage is the delivery log.
type logPage struct {
	Rows []*logRow
	Next string
	// Filters are the parameters of the address, and Problem says which of them the API refused.
	Filters url.Values
	Problem *problem
	// Endpoints are those of the lines, to choose from.
	Endpoints []*endpointName
}

// logRow is a line of the log.
type logRow struct {
	webhook.Delivery
	// Endpoint is nil when it was deleted.
	Endpoint *endpointName
}

// Version changes whenever the line does.
func (r *logRow) Version() string {
	return string(r.Status) + "." + strconv.Itoa(r.Attempts) + "." + strconv.FormatInt(r.UpdatedAt.UnixMicro(), 36)
}

// listDeliveries is GET /tenants/{tenant}/deliveries.
func listDeliveries(c *call) error {
	if tidy := c.tidyAddress(); tidy != "" {
		return c.redirect(tidy)
	}
	page := logPage{Filters: c.filters()}
	rows, next, err := c.readLog(c.logQuery(), endpointNames{})
	v := view{Title: "Deliveries", Section: "deliveries", Scripts: []string{"deliveries.js"}}
	if p := mendable(err); p != nil {
		page.Problem, v.Status, err = p, p.Status, nil
	}
	if err != nil {
		return err
	}
	page.Rows, page.Next = rows, next
	seen := map[string]bool{}
	for _, row := range rows {
		if row.Endpoint != nil && !seen[row.Endpoint.ID] {
			seen[row.Endpoint.ID] = true
			page.Endpoints = append(page.Endpoints, row.Endpoint)
		}
	}
	v.Data = &page
	return c.show("deliveries", v)
}

// readLog reads a page of the log with the names of its endpoints.
func (c *call) readLog(query url.Values, names endpointNames) (rows []*logRow, next string, err error) {
	var found list[webhook.Delivery]
	if err := c.get(c.path("deliveries"), query, &found); err != nil {
		return nil, "", err
	}
	ids := make([]webhook.EndpointID, len(found.Data))
	for i := range found.Data {
		ids[i] = found.Data[i].EndpointID
	}
	if err := names.learn(c, ids); err != nil {
		return nil, "", err
	}
	rows = make([]*logRow, len(found.Data))
	for i := range found.Data {
		rows[i] = &logRow{found.Data[i], names[found.Data[i].EndpointID]}
	}
	return rows, found.NextCursor, nil
}

// Narrowed reports whether the log shows a part only.
func (p *logPage) Narrowed() bool {
	for name := range p.Filters {
		if name != "cursor" {
			return true
		}
	}
	return false
}

// Narrowing counts the filters.
func (p *logPage) Narrowing() int {
	n := len(p.Filters)
	if p.Filters.Has("cursor") {
		n--
	}
	return n
}

// Has reports whether a filter contains a value.
func (p *logPage) Has(name, value string) bool {
	for text := range strings.SplitSeq(p.Filters.Get(name), ",") {
		if text == value {
			return true
		}
	}
	return false
}

// FieldTime is a filter's value in a field for date and time.
func (p *logPage) FieldTime(name string) string { return asField(p.Filters.Get(name)) }

// Wrong is what the API says about a filter, "" where it says nothing.
func (p *logPage) Wrong(name string) string {
	if p.Problem != nil {
		for _, field := range p.Problem.Fields {
			if field.Field == name {
				return field.Detail
			}
		}
	}
	return ""
}

// Statuses are those of deliveries.
func (p *logPage) Statuses() []webhook.Status { return webhook.Statuses }

// ErrorClasses are those of attempts.
func (p *logPage) ErrorClasses() []webhook.ErrorClass { return webhook.ErrorClasses }

// Ranges are the spans of time at hand.
func (p *logPage) Ranges() []timeRange { return timeRanges }

// beside is a page next to the log with the same filters, from their first line.
func (c *call) beside(parts ...string) string {
	given := c.filters()
	given.Del("cursor")
	return strings.TrimSuffix(c.Href(parts...)+"?"+given.Encode(), "?")
}

// TailHref is the live tail of this page.
func (c *call) TailHref() string { return c.beside("deliveries", "tail") }

// CSVHref is the file of this page.
func (c *call) CSVHref() string { return c.beside("deliveries.csv") }
