package dashboard

import "crypto/rand"

// newOnce returns a key for a form: sent twice, it does once what it asks.
func newOnce() string { return rand.Text() }
