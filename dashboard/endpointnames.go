package dashboard

import (
	"net/http"
	"net/url"
	"sync"

	"golang.org/x/sync/errgroup"

	"waybill/webhook"
)

// endpointName is what a line of a log tells of an endpoint.
type endpointName struct {
	ID          string `json:"id"`
	URL         string `json:"url"`
	Description string `json:"description"`
	Status      string `json:"status"`
}

// Host is where the endpoint is; its URL where that has none.
func (e *endpointName) Host() string {
	at, err := url.Parse(e.URL)
	if err != nil || at.Host == "" {
		return e.URL
	}
	return at.Host
}

// lookups is how many endpoints a page looks up at a time.
const lookups = 8

// endpointNames are those that a page has looked up so far.
type endpointNames map[webhook.EndpointID]*endpointName

// learn looks up the endpoints that are not known yet. One that was deleted stays unknown.
func (n endpointNames) learn(c *call, ids []webhook.EndpointID) error {
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(lookups)
	for _, id := range ids {
		mu.Lock()
		_, known := n[id]
		if !known {
			n[id] = nil // it is asked for once
		}
		mu.Unlock()
		if known {
			continue
		}
		g.Go(func() error {
			var found endpointName
			err := c.get(c.path("endpoints", id.String()), nil, &found)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case isStatus(err, http.StatusNotFound):
				return nil
			case err != nil:
				delete(n, id)
				return err
			}
			n[id] = &found
			return nil
		})
	}
	return g.Wait()
}
