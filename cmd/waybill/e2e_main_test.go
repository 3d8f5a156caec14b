// The files named e2e_ test the built command from outside, against a real Postgres and a real Temporal. They import
// nothing of Waybill, so that what they check signatures and bytes with cannot share its mistakes. scripts/receiver is no
// part of Waybill: it imports nothing of it and knows nothing of signatures.
package main_test

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for a state that comes within a second or two on an idle machine.
const patience = 40 * time.Second

func TestMain(m *testing.M) {
	code := m.Run()
	if err := ending.run(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e, after the tests:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// ending undoes what all tests share, once they are through.
var ending cleanups

// cleanups is a stack: what was added last is undone first.
type cleanups struct {
	mu   sync.Mutex
	todo []func() error
}

func (c *cleanups) add(undo func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.todo = append(c.todo, undo)
}

func (c *cleanups) run() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, undo := range slices.Backward(c.todo) {
		errs = append(errs, undo())
	}
	c.todo = nil
	return errors.Join(errs...)
}

// sharedServer is the server of every test that needs nothing special: tenants keep the tests apart.
var sharedServer = sync.OnceValues(func() (*server, error) {
	g, err := newGroup(groupOptions{})
	if err != nil {
		return nil, err
	}
	ending.add(g.close)
	return g.start("serve")
})

func shared(t *testing.T) *server {
	t.Helper()
	s, err := sharedServer()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// variable reads what the test stack tells the tests.
func variable(name string) (string, error) {
	if value := os.Getenv(name); value != "" {
		return value, nil
	}
	return "", fmt.Errorf("%s is not set: run the tests with make test", name)
}

// await polls until ok returns nil. When that takes longer than within, the test fails with what ok said last.
func await(t *testing.T, within time.Duration, what string, ok func() error) {
	t.Helper()
	if err := until(within, ok); err != nil {
		t.Fatalf("waited %s for %s: %s", within, what, err)
	}
}

func until(within time.Duration, ok func() error) error {
	ticker := time.NewTicker(25 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.Now().Add(within)
	for {
		err := ok()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		<-ticker.C
	}
}

// awaitClock waits for a moment to pass, such as one at which something must not happen.
func awaitClock(t *testing.T, moment time.Time) {
	t.Helper()
	await(t, time.Until(moment)+time.Second, "a moment to pass", func() error {
		if left := time.Until(moment); left > 0 {
			return fmt.Errorf("%s are left", left)
		}
		return nil
	})
}

var notSlug = regexp.MustCompile(`[^a-z0-9]+`)

// unique returns a name that no other test has, from letters, digits and dashes.
func unique(name string) string {
	slug := notSlug.ReplaceAllString(strings.ToLower(strings.TrimPrefix(name, "Test")), "-")
	return strings.Trim(slug[:min(len(slug), 40)], "-") + "-" + hex.EncodeToString(random(4))
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}
