package receiver

import (
	"maps"
	"net/http"
	"slices"
)

// usual headers are in every request and tell nothing.
var usual = map[string]bool{"Content-Length": true, "Content-Type": true, "Accept-Encoding": true, "User-Agent": true, "Connection": true}

// sortedNames returns the headers worth showing: signatures, ids, an endpoint's own.
func sortedNames(h http.Header) []string {
	names := slices.Sorted(maps.Keys(h))
	return slices.DeleteFunc(names, func(name string) bool { return usual[name] })
}
