package webhook

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits of metadata.
const (
	MaxMetadata      = 20
	MaxMetadataBytes = 256 // of a name, and of a value
)

// checkMetadata checks the metadata of an event, an endpoint or a tenant: at most MaxMetadata names and values of at most
// MaxMetadataBytes each.
func checkMetadata(metadata map[string]string, found *problems) {
	if len(metadata) > MaxMetadata {
		found.addf("metadata", "has %d members; at most %d fit", len(metadata), MaxMetadata)
	}
	checkStrings("metadata", metadata, MaxMetadataBytes, found)
}

// checkStrings checks each name and value of the member called field. Text with a NUL character cannot be searched for.
func checkStrings(field string, values map[string]string, most int, found *problems) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value := values[name]
		if name == "" || len(name) > most || len(value) > most {
			found.addf(field+"."+name, "has a name and a value of at most %d bytes", most)
		}
		if strings.ContainsRune(name+value, 0) || !utf8.ValidString(name+value) {
			found.addf(field+"."+name, "has a NUL character, or is not UTF-8")
		}
	}
}
